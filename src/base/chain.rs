//! Prints an error with everything behind it, once, at the edge.

use std::{error::Error, fmt};

use super::printable;

/// An error and its causes on one line: `what failed: why: why that`.
///
/// Our own errors never repeat their cause in their message. Others' sometimes do; a cause whose
/// text already stands at the end of the line is not printed again.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

// === impl Chain ===

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        // One event is one line: an error that carries a body with line ends is folded.
        for (at, part) in line.split_whitespace().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            // AWS, or whoever stands at an `endpoint_url`, has words in it.
            f.write_str(&printable(part))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Chain;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layer(text: &'static str, source: Option<Layer>) -> Layer {
        Layer { text, source: source.map(Box::new) }
    }

    #[test]
    fn causes_follow_on_one_line() {
        let error = layer("cannot read", Some(layer("file\nis gone", None)));
        assert_eq!(Chain(&error).to_string(), "cannot read: file is gone");
    }

    #[test]
    fn what_others_say_moves_no_cursor() {
        let error = layer("refused", Some(layer("\u{1b}[2Jgood\u{9b}\r\n", None)));
        assert_eq!(Chain(&error).to_string(), r"refused: \u{1b}[2Jgood\u{9b}");
    }

    #[test]
    fn a_cause_already_told_is_not_repeated() {
        let error = layer("dispatch failure: refused", Some(layer("refused", None)));
        assert_eq!(Chain(&error).to_string(), "dispatch failure: refused");
    }
}
