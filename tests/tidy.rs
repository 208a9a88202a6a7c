//! The house rules that no compiler checks: who may import whom, and how big a file may be.
//!
//! Put this at `tests/tidy.rs`. It reads `src/` as text, so it needs no dependency and no build
//! of the daemon. Changing `FLOORS` is changing the architecture: say why in the commit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every room of `src/`, from the ground up, and the rooms it may import.
/// A room may only name rooms written above it in this list, so a cycle cannot be spelled.
const FLOORS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("wire", &["base"]),
    ("inventory", &["base"]),
    ("coverage", &["base"]),
    ("telemetry", &["base", "coverage"]),
    ("policy", &["base", "inventory"]),
    ("discover", &["base", "inventory", "telemetry"]),
    ("forward", &["base", "wire", "coverage", "telemetry"]),
    ("table", &["base", "wire", "inventory", "policy"]),
    ("querylog", &["base", "telemetry"]),
    (
        "answer",
        &["base", "wire", "coverage", "telemetry", "policy", "forward", "table", "querylog"],
    ),
    ("health", &["base", "telemetry"]),
    ("refresh", &["base", "inventory", "telemetry", "policy", "discover", "table", "health"]),
    ("serve", &["base", "wire", "telemetry", "answer"]),
    (
        "admin",
        &[
            "base",
            "inventory",
            "coverage",
            "telemetry",
            "policy",
            "table",
            "answer",
            "refresh",
            "serve",
        ],
    ),
    (
        "config",
        &[
            "base",
            "coverage",
            "telemetry",
            "policy",
            "discover",
            "forward",
            "querylog",
            "health",
            "refresh",
            "serve",
            "admin",
        ],
    ),
    (
        "app",
        &[
            "base",
            "inventory",
            "telemetry",
            "policy",
            "discover",
            "forward",
            "table",
            "querylog",
            "answer",
            "health",
            "refresh",
            "serve",
            "admin",
            "config",
        ],
    ),
    ("preview", &["base", "policy", "table", "admin"]),
    ("migrate", &["base", "coverage", "policy", "table"]),
    ("export", &["base", "coverage", "policy", "discover", "table"]),
    (
        "cli",
        &[
            "base",
            "inventory",
            "telemetry",
            "policy",
            "discover",
            "table",
            "answer",
            "serve",
            "admin",
            "config",
            "app",
            "preview",
            "migrate",
            "export",
        ],
    ),
];

/// Outside crates that are kept behind one door, and the rooms that hold the key.
const FENCES: &[(&str, &[&str])] = &[
    ("aws_", &["discover"]),
    ("hickory_server", &["serve"]),
    ("hickory_resolver", &["forward"]),
    ("rustls", &["forward", "health", "serve"]),
    ("tokio_rustls", &["forward", "health", "serve"]),
    ("x509_cert", &["health", "serve"]),
    ("data_encoding", &["serve", "admin"]),
    ("domain", &["wire"]),
    ("arc_swap", &["table"]),
    ("quick_cache", &["forward"]),
    ("toml", &["config"]),
    ("schemars", &["config", "admin"]),
    ("clap", &["cli"]),
    ("axum", &["admin"]),
    ("maud", &["admin"]),
    ("hyper", &["serve", "admin"]),
    ("http_body_util", &["serve", "admin"]),
    ("prometheus", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    (
        "tokio",
        &["discover", "forward", "answer", "health", "refresh", "serve", "admin", "app", "cli"],
    ),
    (
        "serde",
        &["base", "inventory", "discover", "querylog", "admin", "config", "migrate", "export"],
    ),
    ("anyhow", &["app", "cli"]),
    ("listenfd", &["app"]),
    ("sd_notify", &["app"]),
];

const LINES_MAX: usize = 400;

#[test]
fn rooms_are_built_from_the_ground_up() {
    for (floor, (room, imports)) in FLOORS.iter().enumerate() {
        for import in *imports {
            assert!(
                FLOORS[..floor].iter().any(|(below, _)| below == import),
                "{room} may not list {import}: it is not below it",
            );
        }
    }
}

#[test]
fn rooms_import_downwards() {
    let mut faults = Vec::new();
    for file in sources() {
        let Some(room) = room_of(&file) else { continue };
        let text = production_text(&file);
        match FLOORS.iter().find(|(name, _)| *name == room) {
            None => faults.push(format!("{}: {room} is not in FLOORS", file.display())),
            Some((_, allowed)) => {
                for import in idents_after(&text, "crate::") {
                    let known = FLOORS.iter().any(|(name, _)| *name == import);
                    if known && import != room && !allowed.contains(&import.as_str()) {
                        faults.push(format!("{}: {room} may not import {import}", file.display()));
                    }
                }
            }
        }
        for (krate, keys) in FENCES {
            if names_crate(&text, krate) && !keys.contains(&room.as_str()) {
                faults.push(format!("{}: {room} may not name {krate}", file.display()));
            }
        }
        if text.contains("super::super") {
            faults.push(format!("{}: super::super hides an import; write crate::", file.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn files_are_small_and_introduce_themselves() {
    let mut faults = Vec::new();
    for file in sources() {
        let lines = production_text(&file).lines().count();
        if LINES_MAX < lines {
            faults.push(format!("{}: {lines} lines, at most {LINES_MAX}", file.display()));
        }
        if !fs::read_to_string(&file).unwrap().starts_with("//! ") {
            faults.push(format!("{}: first line must be a //! sentence", file.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What an ordinary run leaves out, a script runs, and is red when it did not.
#[test]
fn a_test_that_is_ignored_is_run_by_the_script_that_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut faults) = (0, Vec::new());
    for file in under("tests").into_iter().chain(sources()) {
        let text = fs::read_to_string(&file).unwrap();
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("#[ignore")) {
            found += 1;
            let script =
                line.rsplit_once(": ").map_or("", |(_, rest)| rest.trim_end_matches("\"]"));
            let script = fs::read_to_string(root.join(script)).unwrap_or_default();
            let folder = file.parent().and_then(Path::file_name).unwrap().to_str().unwrap();
            let module = format!(" {}::", file.file_stem().unwrap().to_str().unwrap());
            let runs = ["--run-ignored only", "--no-tests fail", &format!("--test {folder} ")];
            let is_chosen = !script.contains(":: ") || script.contains(&module);
            if !runs.iter().all(|it| script.contains(it)) || !is_chosen {
                faults.push(format!("{}: no script runs it: {line}", file.display()));
            }
        }
    }
    assert!(0 < found && faults.is_empty(), "{}", faults.join("\n"));
}

/// Every `.rs` file under `src/`.
fn sources() -> Vec<PathBuf> {
    under("src")
}

/// Every `.rs` file under a folder, sorted. Fails when there are none: a wrong path must not pass.
fn under(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => pending.push(path),
                false if path.extension().is_some_and(|ext| ext == "rs") => found.push(path),
                false => (),
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no sources under {folder}/");
    found
}

/// The room a file belongs to; `None` for `main.rs` and `lib.rs`, which stand in no room.
fn room_of(file: &Path) -> Option<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = file.strip_prefix(src).unwrap();
    let first = inside.iter().next().unwrap().to_str().unwrap();
    (first != "main.rs" && first != "lib.rs").then(|| first.trim_end_matches(".rs").to_owned())
}

/// The file without its comments and without its trailing unit tests; nothing of a file that is all
/// tests: `tests.rs`, and what stands in a folder `tests`.
fn production_text(file: &Path) -> String {
    let is_in_tests = file.parent().is_some_and(|dir| dir.ends_with("tests"));
    if is_in_tests || file.file_name().is_some_and(|name| name == "tests.rs") {
        return String::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let body = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    body.lines()
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Identifiers that directly follow `prefix`, including each head inside `prefix{a::x, b::y}`.
fn idents_after(text: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for tail in text.split(prefix).skip(1) {
        match tail.strip_prefix('{') {
            None => found.push(ident(tail)),
            Some(group) => {
                let mut depth = 0usize;
                let mut at_head = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => at_head = true,
                        c if at_head && (c.is_alphanumeric() || c == '_') => {
                            found.push(ident(&group[at..]));
                            at_head = false;
                        }
                        _ => (),
                    }
                }
            }
        }
    }
    found
}

fn ident(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Whether `text` names a crate whose name begins with `krate`, as a path or an import.
fn names_crate(text: &str, krate: &str) -> bool {
    text.match_indices(krate).any(|(at, _)| {
        let fresh = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        let name = ident(&text[at..]);
        let rest = &text[at + name.len()..];
        let whole = krate.ends_with('_') || name == krate || name.starts_with(&format!("{krate}_"));
        fresh && whole && (rest.starts_with("::") || rest.starts_with(';'))
    })
}
