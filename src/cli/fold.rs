//! Fits what a person reads to the terminal: at words, and what goes on stands below its beginning.
//!
//! Breaks no word, since names, addresses and commands are copied from there. What goes to a file or
//! another program is left as it is.

use comfy_table::Table;

/// A head of a line, such as `access    `, ends before this column.
const HEAD_MAX: usize = 16;
/// What has to be left beside a head; else what goes on stands below it.
const TEXT_MIN: usize = 20;
/// How far to the right what goes on stands then, or where there is no head.
const HANG: usize = 2;

/// The columns of the terminal; `None` when the output goes elsewhere.
pub(super) fn width() -> Option<usize> {
    Table::new().width().map(usize::from)
}

/// The same lines, those that are too long for the terminal as several.
pub(super) fn folded(text: &str) -> String {
    match width() {
        Some(width) => fitted(text, width),
        None => text.to_owned(),
    }
}

/// The same for so many columns.
pub(super) fn fitted(text: &str, width: usize) -> String {
    let mut fitted = String::with_capacity(text.len());
    for line in text.lines() {
        match line.chars().count() <= width {
            true => fitted.push_str(line),
            false => fold(line, width, &mut fitted),
        }
        fitted.push('\n');
    }
    fitted
}

fn fold(line: &str, width: usize, out: &mut String) {
    let (head, text) = line.split_at(begins(line));
    let head_width = head.chars().count();
    let hang = match 0 < head_width && head_width + TEXT_MIN <= width {
        true => head_width,
        false => HANG,
    };
    out.push_str(head);
    let mut column = head_width;
    for (at, word) in text.split(' ').enumerate() {
        let len = word.chars().count();
        match at {
            0 => (),
            _ if column + 1 + len <= width => {
                out.push(' ');
                column += 1;
            }
            _ => {
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', hang));
                column = hang;
            }
        }
        out.push_str(word);
        column += len;
    }
}

/// Where the text of a line begins: behind a head that two spaces end, or behind its indentation.
fn begins(line: &str) -> usize {
    let indentation = line.len() - line.trim_start().len();
    let rest = line.get(indentation..).unwrap_or_default();
    let head = rest.split_once("  ").map(|(head, text)| (head, text.trim_start()));
    match head {
        Some((head, text)) if indentation + head.len() < HEAD_MAX => line.len() - text.len(),
        Some(_) | None => indentation,
    }
}

#[cfg(test)]
mod tests {
    use super::fitted;

    #[test]
    fn what_is_too_long_goes_on_below_its_beginning() {
        let text = "\
            sqs.eu-west-1.amazonaws.com A from 127.0.0.1: answer\n\
            \x20 access    127.0.0.1 may ask: clients.allow holds it\n\
            \x20           10.20.1.20      eu-west-1a eni-08000f8da7681e8cb\n\
            passed  loop: none is known\n\
            \x20       next: a-word-that-is-longer-than-any-line-here and more\n";
        insta::assert_snapshot!(fitted(text, 40), @r"
        sqs.eu-west-1.amazonaws.com A from
          127.0.0.1: answer
          access    127.0.0.1 may ask:
                    clients.allow holds it
                    10.20.1.20      eu-west-1a
                    eni-08000f8da7681e8cb
        passed  loop: none is known
                next:
                a-word-that-is-longer-than-any-line-here
                and more
        ");
        assert_eq!(fitted(text, 80), text);
    }

    #[test]
    fn a_terminal_of_a_few_columns_gets_words_all_the_same() {
        assert_eq!(fitted("  access    it may ask\n", 8), "  access    it\n  may\n  ask\n");
        assert_eq!(fitted("", 0), "");
    }
}
