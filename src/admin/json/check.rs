//! What `hubdns check` prints for programs.

use serde::{Deserialize, Serialize};

/// What came of checking a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedDocument {
    /// The file.
    pub file: String,
    /// Whether a daemon would run on it; with `--online` also whether all who were asked answered.
    pub good: bool,
    /// How many sources it has; nothing where it is not good.
    pub sources: Option<usize>,
    /// How many views it has; nothing where it is not good.
    pub views: Option<usize>,
    /// What is wrong, in the order of the file.
    pub problems: Vec<ProblemDocument>,
    /// What works and is hardly meant, in the order of the file.
    pub warnings: Vec<ProblemDocument>,
    /// Who was asked with `--online`, and what came of it; empty without.
    pub asked: Vec<AskedOnceDocument>,
}

/// One thing that is wrong or doubtful.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemDocument {
    /// The key it is about; empty for the file as a whole.
    pub key: String,
    /// Its line, from 1; nothing for a file that cannot be read.
    pub line: Option<usize>,
    /// Its column in characters, from 1.
    pub column: Option<usize>,
    /// What is wrong, in one line.
    pub what: String,
    /// What would be right, or what to do next.
    pub help: Vec<String>,
}

/// A source or an upstream that was asked once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedOnceDocument {
    /// `source` or `upstream`.
    pub kind: String,
    /// Its name or its address.
    pub name: String,
    /// Whether it answered.
    pub answered: bool,
    /// What it told, or why it did not.
    pub what: String,
}
