//! The zones that a person has taken out of the answers, on disk beside the last good inventory, so
//! that a restart does not put them back.
//!
//! Written whole or not at all. What a zone is, is not known here.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    disk::{unblocked, write_whole},
    state::StateError,
};

/// What the file calls itself.
const FORMAT: &str = "hubdns drained zones";
/// Counted up when an older program would read the file wrongly.
const VERSION: u32 = 1;
/// Octets of the file: a zone takes some 30, and no region has 100 of them, local zones included.
const BYTES_MAX: u64 = 64 * 1024;
/// As the inventory's.
const MODE: u32 = 0o600;

/// Zones by name or id, each with the second since 1970 at which it was drained.
pub type Drains = BTreeMap<String, u64>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u32,
    zones: Drains,
}

/// Where they are, for a last good inventory that is there.
pub fn drains_path(state_file: &Path) -> PathBuf {
    state_file.with_extension("drained.json")
}

/// Reads them; none when there is no file.
pub async fn read_drains(path: &Path) -> Result<Drains, StateError> {
    let from = path.to_owned();
    let read = unblocked(move || {
        let mut bytes = Vec::new();
        File::open(from)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let corrupt = |what: String| StateError::Corrupt { path: path.to_owned(), what };
    let bytes = match read.await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Drains::new()),
        Err(source) => return Err(StateError::Unreadable { path: path.to_owned(), source }),
    };
    let document: Document =
        serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
    match (document.format.as_str(), document.version) {
        (FORMAT, VERSION) => Ok(document.zones),
        (FORMAT, found) => Err(StateError::OtherVersion { path: path.to_owned(), found }),
        (format, _) => Err(corrupt(format!("its format is {format:?}"))),
    }
}

/// Writes them in place of those before.
pub async fn write_drains(path: &Path, zones: &Drains) -> Result<(), StateError> {
    let (format, zones) = (FORMAT.to_owned(), zones.clone());
    let document = serde_json::to_vec(&Document { format, version: VERSION, zones });
    let target = path.to_owned();
    unblocked(move || write_whole(&target, &document?, MODE))
        .await
        .map_err(|source| StateError::Unwritable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Drains, drains_path, read_drains, write_drains};

    #[tokio::test]
    async fn what_was_written_is_read_and_what_is_not_ours_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = drains_path(&folder.path().join("inventory.json"));
        assert_eq!(path, folder.path().join("inventory.drained.json"));
        assert_eq!(read_drains(&path).await.unwrap(), Drains::new());
        let zones = Drains::from([("euw1-az1".to_owned(), 1_700_000_000)]);
        write_drains(&path, &zones).await.unwrap();
        assert_eq!(read_drains(&path).await.unwrap(), zones);
        let good = fs::read_to_string(&path).unwrap();
        for (text, word) in [
            (&good[..good.len() / 2], "corrupt"),
            ("", "corrupt"),
            (&good.replace("drained", "dry"), "corrupt"),
            (&good.replace("\"version\":1", "\"version\":2"), "other_version"),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_drains(&path).await.unwrap_err().word(), word, "{text}");
        }
        assert_eq!(read_drains(folder.path()).await.unwrap_err().word(), "unreadable");
    }
}
