//! Makes texts of others safe to print, and numbers read well. Does not judge them otherwise.

/// A text without characters that a terminal obeys: what AWS or a file calls something may have
/// any, and must not be able to rewrite what stands beside it.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
        shown
    })
}

/// A text as one word of a shell's line: names of others may have anything in them, and a line that is
/// shown is a line that is typed.
pub fn shell_word(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// `4 s`, `12 min`, `3 h`, `5 d`.
pub fn age(secs: u64) -> String {
    match secs {
        0..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3_600),
        _ => format!("{} d", secs / 86_400),
    }
}

/// `1 name`, `2 names`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::{count, printable, shell_word};

    #[test]
    fn one_thing_is_no_many() {
        assert_eq!(
            [0, 1, 2].map(|it| count(it, "name", "names")),
            ["0 names", "1 name", "2 names"]
        );
    }

    #[test]
    fn a_word_is_one_word_whatever_it_is() {
        for (text, word) in [
            ("sqs.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com"),
            ("*.s3", "'*.s3'"),
            ("a;$(b)|`c`", "'a;$(b)|`c`'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }

    #[test]
    fn what_a_terminal_obeys_is_shown_as_text_and_all_else_as_it_is() {
        assert_eq!(printable("a\u{1b}[2Jb\r\n\u{9b}"), r"a\u{1b}[2Jb\r\n\u{9b}");
        assert_eq!(printable("zürich \\ *.example"), "zürich \\ *.example");
    }
}
