//! `hubdns plan`: what another configuration would change, before anything does.

use std::{collections::BTreeSet, net::IpAddr, path::Path, process::ExitCode};

use super::{args::PlanArgs, ask, complain, progress::waiting, run, say, small_runtime};
use crate::{
    admin::{
        client::{self, with_parameters},
        json::{NamesDocument, Only, ReloadDocument, StatusDocument, from_text, to_text},
    },
    app::{effects, host_lookup, known_inventory, offline_inventory, table_of},
    base::{Az, Chain, EndpointId, SourceName},
    config::Config,
    discover::SourceConfig,
    inventory::Inventory,
    preview::{Preview, endpoints_of, left_out, preview, table_told},
};

/// What scripts are told by when something would change.
const CHANGES: u8 = 2;

/// `--format` of `hubdns plan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people: a line a change.
    Text,
    /// The same as a document.
    Json,
}

/// What a plan comes to.
struct Planned {
    /// With what it was compared.
    against: String,
    preview: Preview,
    reload: ReloadDocument,
}

pub(super) fn plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let new = match run::load(&args.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    run::warn(&new.warnings);
    let planned = match &args.against {
        Some(file) => match run::load(file) {
            Ok(old) => small_runtime()?.block_on(against_file(&new, &old, file))?,
            Err(text) => return run::refuse(&text),
        },
        None => small_runtime()?.block_on(against_daemon(&new, args))?,
    };
    let Planned { against, preview, reload } = planned;
    if !reload.problems.is_empty() {
        reload.problems.iter().for_each(|shown| complain(shown));
        complain("hubdns: the daemon would refuse this configuration, and go on as it is");
        return Ok(ExitCode::FAILURE);
    }
    say(&match args.format {
        Format::Text => text(&against, &preview, &reload),
        Format::Json => to_text(&preview.document(&against, Some(&reload))),
    })?;
    Ok(match preview.is_empty() && !reload.acts() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(CHANGES),
    })
}

/// Both from the sources as they are now. What both ask in one way is asked once, so that nothing
/// that happens in between is told as a change.
async fn against_file(new: &Config, old: &Config, file: &Path) -> anyhow::Result<Planned> {
    let of_new = inventory(new).await?;
    let is_shared = |source: &SourceConfig| new.sources.contains(source);
    let rest = old.sources.iter().filter(|source| !is_shared(source)).cloned().collect();
    let of_rest = of_replaced(&Config { sources: rest, ..old.clone() }, file).await;
    let mut of_old = Inventory::default();
    for source in &old.sources {
        // One of both that could not be asked has been told.
        let known = if is_shared(source) { &of_new } else { &of_rest };
        of_old.sources.extend(known.sources.iter().find(|it| it.source == source.name).cloned());
    }
    let unknown_after = uncompared(new, &of_new, &of_old);
    let unknown_before = uncompared(old, &of_old, &of_new);
    let table = |inventory, config| table_of(inventory, config, &|_| false, &|_| false);
    Ok(Planned {
        against: file.display().to_string(),
        preview: preview(&table(&of_old, old), &table(&of_new, new))
            .without(&unknown_after, &unknown_before),
        reload: effects(old, new),
    })
}

/// What the sources tell that only the old file has. One that cannot be asked is why one plans: it is
/// told, and left out.
async fn of_replaced(config: &Config, file: &Path) -> Inventory {
    let lookup = host_lookup(config);
    let asked = known_inventory(config, &lookup);
    let (inventory, notes) = waiting("asking the sources that are replaced", asked).await;
    notes.iter().for_each(|note| complain(&format!("{}: {note}", file.display())));
    inventory
}

/// The endpoints that one side has of sources of which the other, which has them as well, knows nothing.
fn uncompared(config: &Config, known: &Inventory, other: &Inventory) -> BTreeSet<EndpointId> {
    let is_unknown = |source: &&SourceConfig| !is_known(known, &source.name);
    let mut endpoints = BTreeSet::new();
    for SourceConfig { name, .. } in config.sources.iter().filter(is_unknown) {
        let Some(facts) = other.sources.iter().find(|facts| facts.source == *name) else {
            continue;
        };
        complain(&format!(
            "source {name}: what it tells is known by one of the two files alone, so its endpoints are \
             left out of the comparison"
        ));
        endpoints.extend(facts.endpoints.iter().map(|endpoint| endpoint.id.clone()));
    }
    endpoints
}

fn is_known(inventory: &Inventory, source: &SourceName) -> bool {
    inventory.sources.iter().any(|it| it.source == *source)
}

/// From the sources as they are now; which addresses are down and which zones are drained, the
/// daemon knows.
async fn against_daemon(new: &Config, args: &PlanArgs) -> anyhow::Result<Planned> {
    let Some(socket) = args.socket.as_ref().or(new.control_socket.as_ref()) else {
        anyhow::bail!(
            "no daemon to compare with: `control.socket` is \"\" in this configuration; say \
             `--socket PATH`, or `--against FILE` for the configuration in force"
        );
    };
    let told = ask::names_at(socket, Some(Only::Answered)).await.map_err(|error| {
        anyhow::anyhow!(
            "{error}; `--against FILE` compares with a configuration in place of a daemon"
        )
    })?;
    let status: StatusDocument = from_text(&ask::look(socket, "/api/v1/status").await?)?;
    let reload = rehearse(socket, &args.config).await?;
    let down: BTreeSet<IpAddr> = left_out(&told);
    let drained = |az: &Az| status.drained_zones.iter().any(|it| az.is_called(&it.zone));
    let inventory = inventory(new).await?;
    let table = table_of(&inventory, new, &|ip| down.contains(ip), &drained);
    Ok(Planned {
        against: format!("the daemon at {}", socket.display()),
        preview: preview(&table_told(&told)?, &table)
            .without(&unknown(new, &inventory, &told), &BTreeSet::new()),
        reload,
    })
}

/// The endpoints of sources of which nothing is known here. A daemon keeps what it knows of a source
/// until that tells otherwise.
fn unknown(new: &Config, inventory: &Inventory, told: &NamesDocument) -> BTreeSet<EndpointId> {
    let mut unknown = BTreeSet::new();
    let names = new.sources.iter().map(|source| &source.name);
    for source in names.filter(|name| !is_known(inventory, name)) {
        let endpoints = endpoints_of(told, source);
        if !endpoints.is_empty() {
            complain(&format!(
                "source {source}: what the daemon answers by it is left out of the comparison, for a \
                 reload keeps that until the source tells otherwise"
            ));
        }
        unknown.extend(endpoints);
    }
    unknown
}

async fn inventory(config: &Config) -> anyhow::Result<Inventory> {
    let lookup = host_lookup(config);
    let (inventory, notes) =
        waiting("asking the sources", offline_inventory(config, &lookup)).await?;
    notes.iter().for_each(|note| complain(note));
    Ok(inventory)
}

/// What the daemon says that a reload of this file would do.
async fn rehearse(socket: &Path, file: &Path) -> anyhow::Result<ReloadDocument> {
    let text = std::fs::read_to_string(file)?;
    // The daemon has another working folder.
    let file = std::path::absolute(file)?.display().to_string();
    let path = with_parameters("/api/v1/plan", &[("file", &file)]);
    match client::post_text(socket, &path, text).await {
        Ok((200, text)) => Ok(from_text(&text)?),
        Ok((status, text)) => Err(ask::refused(status, text)),
        Err(error) => anyhow::bail!("{}", Chain(&error)),
    }
}

fn text(against: &str, preview: &Preview, reload: &ReloadDocument) -> String {
    let mut text = format!("against {against}:\n");
    if preview.is_empty() && !reload.acts() {
        text.push_str("nothing changes\n");
        return text;
    }
    text.push_str(&preview.to_string());
    if !reload.changed.is_empty() {
        text.push_str(&format!("a reload puts in force: {}\n", reload.changed.join(", ")));
    }
    if !reload.at_next_start.is_empty() {
        text.push_str(&format!("at the next start: {}\n", reload.at_next_start.join(", ")));
    }
    reload.details.iter().for_each(|detail| text.push_str(&format!("  {detail}\n")));
    text.push_str(&format!("{}", preview.counts()));
    if !preview.moves.is_empty() {
        text.push_str("; clients come to another view");
    }
    text.push('\n');
    text
}
