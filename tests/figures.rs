//! `benches/mixed.py` runs. What it measures is for those who read its tables, not for a test.

mod support;

use std::{process::Command, time::Duration};

use tempfile::TempDir;

use crate::support::{Process, venv};

/// It takes 20 s; two cores may be busy.
const SCRIPT_LIMIT: Duration = Duration::from_secs(120);

#[test]
fn the_script_of_the_figures_fills_its_tables() {
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(venv().join("bin/python"));
    command
        .args(["-B", concat!(env!("CARGO_MANIFEST_DIR"), "/benches/mixed.py"), "--quick"])
        .args(["--hubdns", env!("CARGO_BIN_EXE_hubdns")]);
    let mut script = Process::spawn("figures", &mut command, dir.path());
    let status = script.wait(SCRIPT_LIMIT);
    let printed = script.stdout();
    assert!(status.success(), "{status}; what it said is below");
    let rows = |heading: &str, peer: &str| {
        let (_, table) = printed.split_once(heading).unwrap_or_else(|| panic!("no {heading}"));
        let table = table.split("\n\n").nth(1).unwrap();
        let rows = table.lines().filter(|row| row.starts_with(&format!("| {peer} |")));
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    for peer in ["hubdns", "unbound"] {
        assert_eq!(rows("Mixed load", peer).len(), 1, "{printed}");
        assert_eq!(rows("first of two upstreams", peer).len(), 3, "{printed}");
        assert_eq!(rows("All upstreams fall silent", peer).len(), 4, "{printed}");
    }
    for row in rows("Mixed load", "hubdns") {
        assert!(row.ends_with("| 400 answer |"), "{row}");
    }
}
