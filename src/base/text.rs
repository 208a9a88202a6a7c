//! Makes texts of others safe to print. Does not judge them otherwise.

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

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_a_terminal_obeys_is_shown_as_text_and_all_else_as_it_is() {
        assert_eq!(printable("a\u{1b}[2Jb\r\n\u{9b}"), r"a\u{1b}[2Jb\r\n\u{9b}");
        assert_eq!(printable("zürich \\ *.example"), "zürich \\ *.example");
    }
}
