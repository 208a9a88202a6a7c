//! Writes a file whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Puts `bytes` where `path` is: a reader, also after a crash, finds the old file or the new one.
/// Written beside it, synced, renamed over it, and then the folder is synced, or else the rename
/// itself may be lost.
///
/// Blocks; async callers come through [`unblocked`].
pub(super) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // A caller that was dropped while it waited leaves its write running; the next one must not
    // share the file beside with it. Other files are not kept waiting: they may be on another disk.
    let turn = turn(path);
    let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);

    let beside = beside(path)?;
    let written = write_synced(&beside, bytes, mode).and_then(|()| fs::rename(&beside, path));
    if let Err(error) = written {
        // The first error is the one to tell; a leftover is overwritten next time.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    File::open(folder_of(path))?.sync_all()
}

/// Held by who writes the file of this path.
fn turn(path: &Path) -> Arc<Mutex<()>> {
    static TURNS: Mutex<BTreeMap<PathBuf, Arc<Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    turns.retain(|_, turn| 1 < Arc::strong_count(turn));
    Arc::clone(turns.entry(path.to_owned()).or_default())
}

/// Runs what blocks on disk away from the threads that answer.
pub(super) async fn unblocked<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// The same for what takes the processor for long.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // A panic is a mistake of ours, and ends whoever asked as if it had happened there.
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    // The mode above counts only for a new file, and less the umask.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut beside = name.to_owned();
    beside.push(".new");
    Ok(path.with_file_name(beside))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use super::{turn, write_whole};

    #[test]
    fn a_write_that_hangs_keeps_its_own_file_waiting_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        let hangs = turn(&one);
        let held = hangs.lock().unwrap();
        write_whole(&two, b"2", 0o600).unwrap();
        let (written, told) = mpsc::channel();
        let same = one.clone();
        let writer = thread::spawn(move || {
            write_whole(&same, b"1", 0o600).unwrap();
            written.send(()).unwrap();
        });
        assert!(told.recv_timeout(Duration::from_millis(100)).is_err());
        drop(held);
        writer.join().unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), b"1");
    }
}
