//! The last good inventory on disk, so that a start without AWS is an ordinary start.
//!
//! Written whole or not at all, checked when read. The checksum is against corruption, not
//! against attack: who can write the file can write its checksum.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::disk::{unblocked, write_whole};
use crate::inventory::Inventory;

/// Bytes of the file. An endpoint with its service and three interfaces is about 3 kB, so this has
/// room for 20,000 endpoints: 400 VPCs at AWS's default of 50 each.
pub const STATE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What the file calls itself.
const FORMAT: &str = "hubdns inventory";
/// Counted up when an older program could not read the file, or would read it wrongly.
const VERSION: u32 = 1;
/// Ours alone: it lists the hub's endpoints.
const STATE_MODE: u32 = 0o600;

/// What the file held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastGood {
    /// The facts.
    pub inventory: Inventory,
    /// When they were written, in seconds since 1970.
    pub written_at_secs: u64,
}

/// Why the file is of no use. A missing one is no error.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is there, and cannot be read.
    #[error("cannot read the state file {path}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not what we wrote.
    #[error("the state file {path} is corrupt: {what}", path = path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An older or a newer hubdns wrote it.
    #[error(
        "the state file {path} has version {found}, this hubdns knows {VERSION}",
        path = path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The version in it.
        found: u32,
    },
    /// It cannot be written.
    #[error("cannot write the state file {path}", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The first look: whether the rest is ours to read.
#[derive(Deserialize)]
struct Heading {
    format: String,
    version: u32,
}

/// The whole file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    written_at_secs: u64,
    checksum: String,
    inventory: Inventory,
}

/// Reads the last good inventory; `None` when there is no file.
pub async fn read_state(path: &Path) -> Result<Option<LastGood>, StateError> {
    let from = path.to_owned();
    let read = unblocked(move || {
        let mut bytes = Vec::new();
        File::open(from)?.take(STATE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match read.await {
        Ok(bytes) => understood(&bytes, path).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Writes `inventory` as the last good one, found at `now_secs` (seconds since 1970).
pub async fn write_state(
    path: &Path,
    inventory: &Inventory,
    now_secs: u64,
) -> Result<(), StateError> {
    let written = encoded(inventory, now_secs);
    let target = path.to_owned();
    unblocked(move || write_whole(&target, &readable(written?)?, STATE_MODE))
        .await
        .map_err(|source| StateError::Unwritable { path: path.to_owned(), source })
}

/// These, if a start would read as many.
fn readable(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    match u64::try_from(bytes.len()).is_ok_and(|len| len <= STATE_BYTES_MAX) {
        true => Ok(bytes),
        false => Err(io::Error::other(format!(
            "what is known has {} bytes, and a start reads {STATE_BYTES_MAX} at most; narrow the \
             sources by `vpc_ids` or `tags`",
            bytes.len()
        ))),
    }
}

fn encoded(inventory: &Inventory, written_at_secs: u64) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Document {
        format: FORMAT.to_owned(),
        version: VERSION,
        written_at_secs,
        checksum: checksum(inventory)?,
        inventory: inventory.clone(),
    })
}

fn understood(bytes: &[u8], path: &Path) -> Result<LastGood, StateError> {
    let corrupt = |what: String| StateError::Corrupt { path: path.to_owned(), what };
    if u64::try_from(bytes.len()).is_ok_and(|len| STATE_BYTES_MAX < len) {
        return Err(corrupt(format!("it has more than {STATE_BYTES_MAX} bytes")));
    }
    let heading: Heading =
        serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
    if heading.format != FORMAT {
        return Err(corrupt(format!("its format is {:?}", heading.format)));
    }
    if heading.version != VERSION {
        return Err(StateError::OtherVersion { path: path.to_owned(), found: heading.version });
    }
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| corrupt(error.to_string()))?;
    let sum = checksum(&document.inventory).map_err(|error| corrupt(error.to_string()))?;
    match sum == document.checksum {
        true => Ok(LastGood {
            inventory: document.inventory,
            written_at_secs: document.written_at_secs,
        }),
        false => Err(corrupt("its checksum does not match".to_owned())),
    }
}

/// FNV-1a, 64 bits, of the inventory's JSON text without white space, as hex. An inventory has one
/// such text: its maps are sorted and its fields have one order.
fn checksum(inventory: &Inventory) -> serde_json::Result<String> {
    let mut hash = Fnv1a(Fnv1a::OFFSET_BASIS);
    serde_json::to_writer(&mut hash, inventory)?;
    Ok(format!("{:016x}", hash.0))
}

/// Hashes what is written to it and keeps none of it.
struct Fnv1a(u64);

// === impl Fnv1a ===

impl Fnv1a {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
}

impl io::Write for Fnv1a {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(Self::PRIME);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl StateError ===

impl StateError {
    /// One bounded word, for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Corrupt { .. } => "corrupt",
            Self::OtherVersion { .. } => "other_version",
            Self::Unwritable { .. } => "unwritable",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

    use super::{LastGood, STATE_BYTES_MAX, StateError, read_state, readable, write_state};
    use crate::{
        base::SourceName,
        discover::{SourceConfig, SourceKind, demo, normalise},
        inventory::Inventory,
    };

    fn hub() -> Inventory {
        let source = SourceConfig {
            name: SourceName::from("hub"),
            kind: SourceKind::Files { path: PathBuf::new() },
            vpc_ids: Vec::new(),
            subnets: false,
            interval: None,
            tags: Default::default(),
        };
        Inventory { sources: vec![normalise(&source, None, &demo()).unwrap().into()] }
    }

    /// The word of the error that a file with this text gives.
    async fn word_of(text: &[u8]) -> &'static str {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.json");
        fs::write(&path, text).unwrap();
        read_state(&path).await.unwrap_err().word()
    }

    async fn written() -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.json");
        write_state(&path, &hub(), 1_700_000_000).await.unwrap();
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn what_a_start_would_not_read_is_not_written() {
        let most = usize::try_from(STATE_BYTES_MAX).unwrap();
        assert!(readable(vec![0; most]).is_ok());
        let error = readable(vec![0; most + 1]).unwrap_err().to_string();
        assert!(error.contains("a start reads 67108864 at most"), "{error}");
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_only_we_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inventory.json");
        assert_eq!(read_state(&path).await.unwrap(), None);
        for written_at_secs in [1_700_000_000, 1_700_000_030] {
            write_state(&path, &hub(), written_at_secs).await.unwrap();
            let expected = LastGood { inventory: hub(), written_at_secs };
            assert_eq!(read_state(&path).await.unwrap(), Some(expected));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_cut_changed_or_foreign_file_is_corrupt() {
        let good = written().await;
        assert_eq!(word_of(b"").await, "corrupt");
        assert_eq!(word_of(b"[]").await, "corrupt");
        assert_eq!(word_of(b"\xff\x00").await, "corrupt");
        assert_eq!(word_of(&good.as_bytes()[..good.len() / 2]).await, "corrupt");
        let changed = good.replacen("10.20.1.20", "10.20.1.21", 1);
        assert_ne!(changed, good);
        assert_eq!(word_of(changed.as_bytes()).await, "corrupt");
        let foreign = good.replacen("hubdns inventory", "unbound inventory", 1);
        assert_eq!(word_of(foreign.as_bytes()).await, "corrupt");
    }

    #[tokio::test]
    async fn an_older_or_newer_version_is_told_apart_whatever_else_it_holds() {
        let text = br#"{"format": "hubdns inventory", "version": 2, "facts": [1]}"#;
        assert_eq!(word_of(text).await, "other_version");
        let text = br#"{"format": "hubdns inventory", "version": 0}"#;
        assert_eq!(word_of(text).await, "other_version");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_or_written_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_state(folder.path()).await.unwrap_err();
        assert!(matches!(error, StateError::Unreadable { .. }), "{error}");
        let error = write_state(folder.path(), &hub(), 0).await.unwrap_err();
        assert!(matches!(error, StateError::Unwritable { .. }), "{error}");
        let below = folder.path().join("no").join("such");
        let error = write_state(&below, &hub(), 0).await.unwrap_err();
        assert!(matches!(error, StateError::Unwritable { .. }), "{error}");
    }
}
