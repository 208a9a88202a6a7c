//! What systemd says of the units without running them.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::machine::project;

/// The greatest exposure that the service may have, in tenths.
const EXPOSURE_MAX: &str = "10";

/// The units in a folder, with one of the drop-ins if it has a name, and where the service is.
fn units(drop_in: Option<&str>) -> (TempDir, Vec<PathBuf>) {
    let folder = TempDir::new().unwrap();
    let shipped = project().join("systemd");
    let place = |from: &str, to: &str| {
        let text = fs::read_to_string(shipped.join(from)).unwrap();
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        // It looks whether there is such a program.
        let text = text.replace("/usr/bin/hubdns", env!("CARGO_BIN_EXE_hubdns"));
        fs::write(&to, text).unwrap();
        to
    };
    let units =
        ["hubdns.service", "hubdns.socket", "hubdns-refused.service", "hubdns-notrack.service"];
    let units = units.map(|name| place(name, name));
    if let Some(name) = drop_in {
        place(&format!("drop-ins/{name}"), &format!("hubdns.service.d/{name}"));
    }
    (folder, units.into())
}

/// What `systemd-analyze security` prints last of the service, as in `1.0 OK`.
fn exposure(drop_in: Option<&str>) -> String {
    let (_folder, units) = units(drop_in);
    let analyzed = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&units[0])
        .output()
        .unwrap();
    let told = String::from_utf8(analyzed.stdout).unwrap();
    let last = told.lines().last().unwrap_or_default();
    let (_, rest) = last.split_once("hubdns.service: ").unwrap_or_else(|| panic!("{told}"));
    rest.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let drop_ins = fs::read_dir(project().join("systemd/drop-ins")).unwrap();
    let drop_ins = drop_ins.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    for drop_in in [None].into_iter().chain(drop_ins.map(Some)) {
        let (_folder, units) = units(drop_in.as_deref());
        let verified =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output();
        let verified = verified.expect("systemd-analyze is installed: run tests/setup.sh");
        // An unknown key is a warning, and the status is 0 all the same.
        let told = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<&str> = told.lines().filter(|line| line.contains("hubdns")).collect();
        assert!(verified.status.success() && ours.is_empty(), "{drop_in:?}: {told}");
    }
}

#[test]
fn the_service_is_exposed_no_more_than_it_may_be() {
    let (_folder, units) = units(None);
    let analyzed = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(format!("--threshold={EXPOSURE_MAX}"))
        .arg(&units[0])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&analyzed.stdout);
    assert!(analyzed.status.success(), "{told}");
}

#[test]
fn what_a_drop_in_costs_is_what_the_document_says() {
    let page = fs::read_to_string(project().join("docs/OPERATIONS.md")).unwrap();
    let mut told = 0;
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if let [name, _, _, score] = cells[..]
            && name.ends_with(".conf`")
        {
            assert_eq!(exposure(Some(name.trim_matches('`'))), score, "{name}");
            told += 1;
        }
    }
    let shipped = fs::read_dir(project().join("systemd/drop-ins")).unwrap().count();
    assert_eq!(told, shipped, "each drop-in has a row");
}

#[test]
fn both_packages_have_the_same_files() {
    let manifest = fs::read_to_string(project().join("Cargo.toml")).unwrap();
    let (_, deb) = manifest.split_once("[package.metadata.deb]").unwrap();
    let (deb, rpm) = deb.split_once("[package.metadata.generate-rpm]").unwrap();
    // Source, place and mode: what is quoted and begins so.
    let files = |text: &str, start: &str| -> Vec<[String; 3]> {
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with(start));
        let quoted = lines.map(|line| line.split('"').skip(1).step_by(2).map(str::to_owned));
        quoted.map(|mut words| [(); 3].map(|()| words.next().unwrap())).collect()
    };
    let (mut deb, rpm) = (files(deb, "[\""), files(rpm, "{ source"));
    for [_, place, _] in &mut deb {
        // Debian's zsh reads what packages bring elsewhere.
        *place = place.replace("/zsh/vendor-completions/", "/zsh/site-functions/");
    }
    assert_eq!(deb, rpm);
    assert!(deb.iter().any(|[source, ..]| source == "systemd/hubdns.service"), "{deb:?}");
}
