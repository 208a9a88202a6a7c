//! Domain names, checked once.
//!
//! A [`Name`] is absolute, in wire form and in lower case, so that equal names are equal bytes
//! (RFC 4343) and a lookup needs no second spelling. The spelling a client used is kept by `wire`.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt::{self, Write as _},
    str::FromStr,
    sync::Arc,
};

/// Octets of a label (RFC 1035 section 2.3.4).
pub const LABEL_LEN_MAX: usize = 63;
/// Octets of a name in wire form, its root label counted (RFC 1035 section 2.3.4).
pub const NAME_LEN_MAX: usize = 255;

/// Labels of a name at most: 127 of one octet each, and the root's.
const LABELS_MAX: usize = 128;

/// An absolute domain name: length-prefixed labels in lower case, ended by the root label.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<[u8]>);

/// Octets of a name in wire form as its text: for one that was checked, and is not kept as a [`Name`].
#[derive(Clone, Copy, Debug)]
pub struct Spelled<'w>(pub &'w [u8]);

/// Why a text or some bytes are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("an empty text is no name")]
    Empty,
    /// Two dots in a row, or one at the start.
    #[error("it has an empty label")]
    EmptyLabel,
    /// A label above [`LABEL_LEN_MAX`].
    #[error("it has a label of more than {LABEL_LEN_MAX} octets")]
    LabelTooLong,
    /// A name above [`NAME_LEN_MAX`].
    #[error("it is longer than {NAME_LEN_MAX} octets")]
    NameTooLong,
    /// A byte that no host or service name carries: white space, a control, a backslash, or
    /// beyond ASCII.
    #[error("it has a character that is not printable ASCII")]
    Character,
    /// Bytes that are not an uncompressed name.
    #[error("it is not a name in wire form")]
    Wire,
}

/// The names that one published name covers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// That name alone.
    Exact(Name),
    /// `*.NAME`: every name below NAME, at any depth, never NAME itself (RFC 4592).
    Below(Name),
}

// === impl Name ===

impl Name {
    /// The root.
    pub fn root() -> Name {
        Name(Arc::from([0u8]))
    }

    /// A name from its text, with or without the final dot. Verbatim: underscores, digits and
    /// asterisks are labels like any other.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        if text == "." {
            return Ok(Name::root());
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.') {
            let len = match label.len() {
                0 => return Err(NameError::EmptyLabel),
                len if LABEL_LEN_MAX < len => return Err(NameError::LabelTooLong),
                len => u8::try_from(len).map_err(|_| NameError::LabelTooLong)?,
            };
            if !label.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
                return Err(NameError::Character);
            }
            wire.push(len);
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        match wire.len() <= NAME_LEN_MAX {
            true => Ok(Name(wire.into())),
            false => Err(NameError::NameTooLong),
        }
    }

    /// A name from uncompressed wire bytes in any case; they must be exactly one name.
    pub fn from_wire(bytes: &[u8]) -> Result<Name, NameError> {
        if NAME_LEN_MAX < bytes.len() {
            return Err(NameError::NameTooLong);
        }
        let mut rest = bytes;
        loop {
            match rest {
                [0] => return Ok(Name(bytes.to_ascii_lowercase().into())),
                [len, tail @ ..] if 0 < *len && usize::from(*len) <= LABEL_LEN_MAX => {
                    rest = tail.get(usize::from(*len)..).ok_or(NameError::Wire)?;
                }
                _ => return Err(NameError::Wire),
            }
        }
    }

    /// The wire form, in lower case, root label included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The labels from left to right, without the root's.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let mut labels = Vec::with_capacity(8);
        let mut rest = &self.0[..];
        while let [len, tail @ ..] = rest
            && *len != 0
        {
            let (label, next) = tail.split_at(usize::from(*len));
            labels.push(label);
            rest = next;
        }
        labels.into_iter()
    }

    /// This name and then each of its ancestors up to the root, in wire form. What a lookup walks.
    pub fn suffixes(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(&self.0[..]);
        std::iter::from_fn(move || {
            let this = rest?;
            rest = match this {
                [0] | [] => None,
                [len, tail @ ..] => tail.get(usize::from(*len)..),
            };
            Some(this)
        })
    }

    /// This name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Name> {
        self.suffixes().nth(1).map(|suffix| Name(suffix.into()))
    }

    /// The name one `label` below this one.
    pub fn child(&self, label: &str) -> Result<Name, NameError> {
        let len = match label.len() {
            0 => return Err(NameError::EmptyLabel),
            len if LABEL_LEN_MAX < len => return Err(NameError::LabelTooLong),
            len => u8::try_from(len).map_err(|_| NameError::LabelTooLong)?,
        };
        Name::from_wire(&[&[len], label.as_bytes(), self.as_wire()].concat())
    }

    /// Where each label's length octet stands, and how many labels there are.
    fn label_starts(&self) -> ([u8; LABELS_MAX], usize) {
        let mut starts = [0; LABELS_MAX];
        let (mut at, mut count) = (0u8, 0);
        // The name was checked when it was made: at most 255 octets, so places fit an octet.
        while let Some(len @ 1..) = self.0.get(usize::from(at)).copied() {
            starts[count] = at;
            count += 1;
            at += len + 1;
        }
        (starts, count)
    }

    fn label_at(&self, start: u8) -> &[u8] {
        let start = usize::from(start);
        let len = usize::from(self.0[start]);
        &self.0[start + 1..start + 1 + len]
    }

    /// Whether this name is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &Name) -> bool {
        self.suffixes().any(|suffix| suffix == ancestor.as_wire())
    }
}

/// Lets a map keyed by `Name` be asked with the wire bytes of a question.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Name::parse(text)
    }
}

/// By label from the right (RFC 4034 section 6.1), so that a list keeps domains together. Tables
/// of many names are sorted at each change, so it does not allocate.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let (ours, theirs) = (self.label_starts(), other.label_starts());
        let mut at = (ours.1, theirs.1);
        loop {
            match at {
                (0, 0) => return Ordering::Equal,
                (0, _) => return Ordering::Less,
                (_, 0) => return Ordering::Greater,
                (left, right) => {
                    let order =
                        self.label_at(ours.0[left - 1]).cmp(other.label_at(theirs.0[right - 1]));
                    if order != Ordering::Equal {
                        return order;
                    }
                    at = (left - 1, right - 1);
                }
            }
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Without the final dot, but `.` for the root. Bytes outside printable ASCII as `\DDD`
/// (RFC 1035 section 5.1): questions can carry them.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.width().or(f.precision()) {
            None => Spelled(self.as_wire()).fmt(f),
            Some(_) => f.pad(&Spelled(self.as_wire()).to_string()),
        }
    }
}

// === impl Spelled ===

impl fmt::Display for Spelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        if let [0, ..] = rest {
            return f.write_char('.');
        }
        let mut is_first = true;
        while let [len, tail @ ..] = rest
            && *len != 0
            && let Some((label, after)) = tail.split_at_checked(usize::from(*len))
        {
            if !is_first {
                f.write_char('.')?;
            }
            (is_first, rest) = (false, after);
            for byte in label {
                match byte {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
                    byte if byte.is_ascii_graphic() => f.write_char(char::from(*byte))?,
                    byte => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

// === impl Pattern ===

impl Pattern {
    /// A pattern from its text: `*.NAME` is [`Pattern::Below`], all else is exact.
    pub fn parse(text: &str) -> Result<Pattern, NameError> {
        match text.strip_prefix("*.") {
            Some(parent) => Name::parse(parent).map(Pattern::Below),
            None => Name::parse(text).map(Pattern::Exact),
        }
    }

    /// The exact name, or the one below which all are covered.
    pub fn name(&self) -> &Name {
        match self {
            Pattern::Exact(name) | Pattern::Below(name) => name,
        }
    }

    /// Whether `name` is covered.
    pub fn covers(&self, name: &Name) -> bool {
        match self {
            Pattern::Exact(exact) => exact == name,
            Pattern::Below(parent) => name != parent && name.is_within(parent),
        }
    }
}

impl FromStr for Pattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Pattern::parse(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Exact(name) => name.fmt(f),
            Pattern::Below(name) => f.pad(&format!("*.{name}")),
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::{Name, NameError, Pattern};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn case_and_the_final_dot_do_not_matter() {
        assert_eq!(name("SQS.eu-West-1.amazonaws.com."), name("sqs.eu-west-1.amazonaws.com"));
        assert_eq!(name("a.B").to_string(), "a.b");
        assert_eq!(name(".").to_string(), ".");
    }

    #[test]
    fn what_cannot_be_a_name_is_told_apart() {
        assert_eq!(Name::parse(""), Err(NameError::Empty));
        assert_eq!(Name::parse("a..b"), Err(NameError::EmptyLabel));
        assert_eq!(Name::parse(&"a".repeat(64)), Err(NameError::LabelTooLong));
        assert_eq!(Name::parse(&"abc.".repeat(64)), Err(NameError::NameTooLong));
        assert_eq!(Name::parse("a b"), Err(NameError::Character));
        assert_eq!(Name::from_wire(&[1, b'a']), Err(NameError::Wire));
        assert_eq!(Name::from_wire(&[0, 0]), Err(NameError::Wire));
    }

    #[test]
    fn limits_are_inclusive() {
        assert!(Name::parse(&"a".repeat(63)).is_ok());
        assert_eq!(name(&format!("{}a", "ab.".repeat(84))).as_wire().len(), 255);
        assert!(Name::parse(&format!("{}ab", "ab.".repeat(84))).is_err());
    }

    #[test]
    fn a_wildcard_covers_every_depth_and_never_its_apex() {
        let pattern = Pattern::parse("*.s3.eu-west-1.amazonaws.com").unwrap();
        assert!(pattern.covers(&name("b.s3.eu-west-1.amazonaws.com")));
        assert!(pattern.covers(&name("a.b.s3.eu-west-1.amazonaws.com")));
        assert!(!pattern.covers(&name("s3.eu-west-1.amazonaws.com")));
        assert!(!pattern.covers(&name("xs3.eu-west-1.amazonaws.com")));
        assert_eq!(pattern.to_string(), "*.s3.eu-west-1.amazonaws.com");
    }

    #[test]
    fn suffixes_walk_to_the_root() {
        let text: Vec<usize> = name("a.bc.d").suffixes().map(<[u8]>::len).collect();
        assert_eq!(text, [8, 6, 3, 1]);
    }

    #[test]
    fn order_keeps_domains_together() {
        let mut names = [name("b.z"), name("a.y"), name("z"), name("a.z")];
        names.sort();
        assert_eq!(names.map(|name| name.to_string()), ["a.y", "z", "a.z", "b.z"]);
    }

    #[test]
    fn names_of_the_most_labels_compare() {
        let long = name(&vec!["a"; 127].join("."));
        assert_eq!(long.cmp(&long), Ordering::Equal);
        assert!(name(&vec!["a"; 126].join(".")) < long);
        assert!(name(".") < long);
    }

    #[test]
    fn bytes_from_a_question_print_escaped() {
        let odd = Name::from_wire(&[3, b'.', 0xff, b'A', 0]).unwrap();
        assert_eq!(odd.to_string(), "\\.\\255a");
    }
}
