//! `hubdns discover`: what there is, as AWS tells it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use comfy_table::{Table, presets};

use super::{
    args::{DiscoverArgs, Format},
    complain,
    progress::waiting,
    run, say, small_runtime,
};
use crate::{
    admin::json::{DiscoverDocument, FoundSourceDocument, to_text},
    app::host_lookup,
    base::{Chain, count, printable},
    config::Config,
    discover::{CallPace, Recorded, Source, SourceConfig, normalise, save},
    inventory::SourceFacts,
};

pub(super) fn discover(args: &DiscoverArgs) -> anyhow::Result<ExitCode> {
    let config = match run::load(&args.config.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    let (save, format) = (args.save.as_deref(), args.format);
    let sources = small_runtime()?.block_on(ask_all(&config, save, format))?;
    let failed = sources.iter().any(|source| source.error.is_some());
    if format == Format::Json {
        say(&to_text(&DiscoverDocument { sources }))?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Asks each source, and tells of each as soon as it has told unless a document will.
async fn ask_all(
    config: &Config,
    folder: Option<&Path>,
    format: Format,
) -> anyhow::Result<Vec<FoundSourceDocument>> {
    let lookup = host_lookup(config);
    let pace = CallPace::new();
    let mut documents = Vec::new();
    for source in &config.sources {
        let mut asked = Source::new(source.clone(), lookup.clone(), pace.clone());
        let what = format!("asking source {}", source.name);
        let recorded = waiting(&what, asked.record(true)).await;
        let lacks: Vec<String> = asked.lacks().iter().map(ToString::to_string).collect();
        let found = recorded.and_then(|(region, recorded)| {
            let facts = normalise(source, region, &recorded)?;
            Ok((facts, recorded))
        });
        let mut document = FoundSourceDocument { lacks, ..FoundSourceDocument::default() };
        document.name = source.name.to_string();
        if format == Format::Text {
            for lack in &document.lacks {
                complain(&format!("source {}, left out: {lack}", source.name));
            }
        }
        match found {
            Ok((facts, recorded)) => {
                if format == Format::Text {
                    say(&listing(&facts))?;
                }
                document.tells(&facts);
                if let Some(folder) = folder {
                    let folder = keep(&recorded, folder, source, config.sources.len()).await?;
                    document.saved = Some(folder.display().to_string());
                }
            }
            Err(error) => {
                let why = Chain(&error).to_string();
                if format == Format::Text {
                    complain(&format!("source {}: {why}", source.name));
                }
                document.error = Some(why);
            }
        }
        documents.push(document);
    }
    Ok(documents)
}

/// Writes a source's files: into the folder itself if it is the only source. Where they are.
async fn keep(
    recorded: &Recorded,
    folder: &Path,
    source: &SourceConfig,
    sources: usize,
) -> anyhow::Result<PathBuf> {
    let folder = match sources {
        1 => folder.to_owned(),
        _ => folder.join(source.name.as_str()),
    };
    save(recorded, &folder).await.with_context(|| format!("nothing saved for {}", source.name))?;
    complain(&format!("source {}: saved in {}", source.name, folder.display()));
    Ok(folder)
}

/// One line an endpoint.
fn listing(facts: &SourceFacts) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["ENDPOINT", "STATE", "KIND", "SERVICE", "NAMES", "ADDRESSES"]);
    for endpoint in &facts.endpoints {
        let published = facts.service(&endpoint.service).map_or(0, |it| it.private_names.len());
        let interfaces = endpoint.interfaces.iter().filter_map(|id| facts.interface(id));
        let mut addresses: Vec<String> = interfaces
            .map(|interface| {
                let v4 = interface.ipv4.iter().map(ToString::to_string);
                let v6 = interface.ipv6.iter().map(ToString::to_string);
                let all: Vec<String> = v4.chain(v6).collect();
                format!("{}={}", printable(&interface.az.to_string()), all.join("+"))
            })
            .collect();
        addresses.sort();
        table.add_row([
            printable(&endpoint.id.to_string()),
            printable(&endpoint.state.to_string()),
            printable(&endpoint.kind.to_string()),
            printable(&endpoint.service.to_string()),
            published.to_string(),
            addresses.join(" "),
        ]);
    }
    let region = facts.region.as_ref().map_or("region unknown".into(), |it| printable(it.as_str()));
    let lines: Vec<String> = table.to_string().lines().map(|line| line.trim().to_owned()).collect();
    format!(
        "source {} ({region}): {}\n{}\n\n",
        facts.source,
        count(facts.endpoints.len(), "endpoint", "endpoints"),
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::listing;
    use crate::policy::facts;

    #[test]
    fn nothing_that_a_source_says_reaches_the_terminal_as_a_command() {
        let line = "vpce-1 com.amazonaws.eu-west-1.\u{1b}[2Jsqs eu-west-1a=10.0.1.5";
        let inventory = facts::inventory(line);
        let text = listing(inventory.sources.first().unwrap());
        assert!(text.contains(r"com.amazonaws.eu-west-1.\u{1b}[2Jsqs"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
