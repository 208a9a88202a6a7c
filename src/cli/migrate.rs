//! `hubdns migrate`: private hosted zones beside our answers, and the order to do without them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;

use super::{
    args::MigrateArgs,
    complain,
    hubs::{Hubs, listens},
    progress::waiting,
    run, say, small_runtime,
};
use crate::{
    admin::json::to_text,
    app::{host_lookup, offline_inventory, table_of},
    export::{Routes, Scope, routes},
    migrate::{Migration, Recording, Text},
};

/// What scripts are told by when clients would notice, or not all could be read.
const DIFFERS: u8 = 2;

/// Octets of one file: a zone of 10,000 record sets, the default limit, has 3 MB of JSON.
const FILE_LEN_MAX: u64 = 64 * 1024 * 1024;

/// `--format` of `hubdns migrate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people: zone by zone, then step by step.
    Text,
    /// The same as a document.
    Json,
}

pub(super) fn migrate(args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let config = match run::load(&args.config.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    let recording = Recording::read(texts(&args.zones)?);
    if recording.zones.is_empty() {
        recording.doubts.iter().for_each(|it| complain(&format!("{}: {}", it.about, it.why)));
        anyhow::bail!(
            "no hosted zone in {}; save there what `aws route53 get-hosted-zone --id ID` and \
             `aws route53 list-resource-record-sets --hosted-zone-id ID` print, a file each",
            args.zones.display()
        );
    }
    let lookup = host_lookup(&config);
    let asked = waiting("asking the sources", offline_inventory(&config, &lookup));
    let asked = small_runtime()?.block_on(asked);
    let (inventory, notes) = asked?;
    notes.iter().for_each(|note| complain(note));
    let table = table_of(&inventory, &config, &|_| false, &|_| false);
    let Some(view) = (match &args.view {
        Some(name) => table.view(name),
        None => table.views().last(),
    }) else {
        let known: Vec<&str> = table.views().map(|it| it.name().as_str()).collect();
        anyhow::bail!("--view: there is no such view; there are: {}", known.join(", "));
    };
    let hubs = match &args.hub.hub_vpcs[..] {
        [] => Hubs::found(&listens(&config).collect::<Vec<_>>(), &inventory, &table),
        named => Hubs::named(named),
    };
    hubs.warn();
    let Routes { forward, .. } = routes(&table, Some(view.name().as_str()), Scope::Region);
    let migration = Migration::new(recording, view, &hubs.vpcs, &forward);
    say(&match args.format {
        Format::Text => migration.to_string(),
        Format::Json => to_text(&migration),
    })?;
    Ok(if migration.is_smooth() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

/// Every file of a folder and of those in it, in one order.
fn texts(folder: &Path) -> anyhow::Result<Vec<Text>> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("--zones: cannot read the folder {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => pending.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                // A link could lead anywhere.
                _ => (),
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let len = fs::metadata(&path)?.len();
            anyhow::ensure!(len <= FILE_LEN_MAX, "{} is too long to be a list", path.display());
            let octets =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let file = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
            Ok(Text { file, text: String::from_utf8_lossy(&octets).into_owned() })
        })
        .collect()
}
