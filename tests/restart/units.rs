//! The units as they are shipped.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = TempDir::new().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let mut units = Vec::new();
    for name in ["hubdns.service", "hubdns.socket"] {
        let text = fs::read_to_string(shipped.join(name)).unwrap();
        // It looks whether there is such a program.
        let text = text.replace("/usr/bin/hubdns", env!("CARGO_BIN_EXE_hubdns"));
        units.push(folder.path().join(name));
        fs::write(units.last().unwrap(), text).unwrap();
    }
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(&units)
        .output()
        .expect("systemd-analyze is installed");
    // An unknown key is a warning, and the status is 0 all the same.
    let told = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("hubdns")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{told}");
}
