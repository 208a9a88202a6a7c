//! Whether the last good inventory can be kept on this machine, and read again. Writes nothing.

use std::{fs, io, path::Path};

use nix::unistd::{AccessFlags, access};

use crate::{
    base::Chain,
    config::{Config, Place, Problem},
    discover::{StateError, read_state},
};

/// What the unit names with `StateDirectory=`: systemd makes it at a start, and lets nobody in but hubdns.
const STATE: &str = "/var/lib/hubdns";

const NO_FOLDER: &str = "make the folder for the user that hubdns runs as (a unit: StateDirectory=), or \
                         name a file elsewhere; \"\" keeps nothing";
const NO_PLACE: &str = "name a file in a folder that hubdns can write to; \"\" keeps nothing";
const NOT_THIS_USER: &str = "hubdns has to be let in there: `sudo -u hubdns hubdns check` looks as the user \
                             that it runs as";
const REPLACED: &str = "the next look at the sources replaces it; until then no start should have to do \
                        without AWS";

/// What is doubtful about the state file for the user that asks. A daemon runs all the same, and tells it.
pub async fn state_file_doubt(config: &Config) -> Option<Problem> {
    let path = config.refresh.state_file.as_deref()?;
    let folder = path.parent()?;
    if folder.starts_with(STATE) && folder.metadata().is_err() {
        return None;
    }
    let doubt = |what: &str, why, help| config.places.warning(Place::StateFile, what, why, help);
    if let Err(error) = try_place(path, folder) {
        let help = match error.kind() {
            io::ErrorKind::NotFound => NO_FOLDER,
            io::ErrorKind::PermissionDenied => NOT_THIS_USER,
            _ => NO_PLACE,
        };
        let what = format!("the state file {} cannot be written: {error}", path.display());
        let why = "a restart without AWS would serve what it holds already, if anything";
        return Some(doubt(&what, why, help));
    }
    let error = read_state(path).await.err()?;
    let help = match &error {
        StateError::Unreadable { source, .. }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            NOT_THIS_USER
        }
        StateError::Unreadable { .. }
        | StateError::Corrupt { .. }
        | StateError::OtherVersion { .. }
        | StateError::Unwritable { .. } => REPLACED,
    };
    let why = "a start without AWS would have nothing to answer from";
    Some(doubt(&Chain(&error).to_string(), why, help))
}

/// Whether a file could be made there, and put in place of one that is there.
fn try_place(path: &Path, folder: &Path) -> io::Result<()> {
    match (fs::metadata(folder)?.is_dir(), path.is_dir()) {
        (true, false) => Ok(access(folder, AccessFlags::W_OK | AccessFlags::X_OK)?),
        (false, _) => Err(io::ErrorKind::NotADirectory.into()),
        (true, true) => Err(io::ErrorKind::IsADirectory.into()),
    }
}
