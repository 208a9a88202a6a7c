//! `hubdns names` and `hubdns explain`: from the running daemon, or without one from the
//! configuration.

use std::process::ExitCode;

use super::{
    args::{ExplainArgs, NamesArgs},
    ask, complain, explain,
    fold::width,
    names,
    progress::waiting,
    run, say, small_runtime,
};
use crate::{
    admin::{
        ask_live,
        client::with_parameters,
        json::{ExplainDocument, NamesDocument, from_text},
        no_listener,
    },
    answer::{self, Exempt, Vantage},
    app::{host_lookup, offline_table},
    config::Config,
};

/// What the daemon says of an address that is none of its own.
const NOT_FOUND: u16 = 404;
/// The exit status of arguments that cannot be meant.
const MISUSED: u8 = 2;

/// Lists what is answered.
pub(super) fn names(args: &NamesArgs) -> anyhow::Result<ExitCode> {
    let config = match run::load(&args.config.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    let document = small_runtime()?.block_on(async {
        match ask::names(&config, None).await? {
            Some(names) => Ok(names),
            None => {
                let table = offline(&config).await?;
                anyhow::Ok(NamesDocument::new(&table, None, None))
            }
        }
    })?;
    say(&names::render(&document, args.format, width())?)?;
    Ok(ExitCode::SUCCESS)
}

/// Explains one answer.
pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let config = match run::load(&args.config.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    let document = match small_runtime()?.block_on(explained(&config, args)) {
        Ok(document) => document,
        Err(error) => match error.downcast_ref::<ask::Refused>() {
            Some(ask::Refused { status: NOT_FOUND, why }) => return Ok(misused(why)),
            Some(_) | None => return Err(error),
        },
    };
    say(&explain::render(&document, args.format))?;
    Ok(outcome(&document))
}

/// By the running daemon, or without one from the configuration.
async fn explained(config: &Config, args: &ExplainArgs) -> anyhow::Result<ExplainDocument> {
    let (name, rtype) = (args.name.to_string(), args.rtype.to_string());
    let (from, listener) = (args.from.to_string(), args.listener.map(|it| it.to_string()));
    let mut parameters =
        vec![("name", name.as_str()), ("type", rtype.as_str()), ("from", from.as_str())];
    parameters.extend(listener.as_deref().map(|listener| ("listener", listener)));
    let path = with_parameters("/api/v1/explain", &parameters);
    if let Some(explained) = by_daemon(config, &path, args).await? {
        return Ok(explained);
    }
    if let Some(listener) = args.listener
        && !config.serve.may_be_asked_at(listener)
    {
        let listens: Vec<String> =
            config.serve.entries().map(|entry| entry.listen.to_string()).collect();
        let why = no_listener(listener, &listens);
        return Err(ask::Refused { status: NOT_FOUND, why }.into());
    }
    let table = offline(config).await?;
    let listener = args.listener.unwrap_or_else(|| config.serve.likely_asked());
    let vantage = Vantage::new(args.from, listener);
    let (forward, exempt) = (&config.forward, Exempt::new(&config.exempt));
    let explanation = answer::explain(&table, forward, &exempt, &args.name, args.rtype, vantage);
    Ok(ExplainDocument::from(&explanation))
}

/// Tells of an argument that cannot be meant.
fn misused(why: &str) -> ExitCode {
    complain(&format!("hubdns: {why}"));
    ExitCode::from(MISUSED)
}

/// What the running daemon explains and answers, if one runs.
async fn by_daemon(
    config: &Config,
    path: &str,
    args: &ExplainArgs,
) -> anyhow::Result<Option<ExplainDocument>> {
    let look = async || -> anyhow::Result<Option<ExplainDocument>> {
        let Some(text) = ask::daemon(config, path).await? else { return Ok(None) };
        let mut explained: ExplainDocument = from_text(&text)?;
        let is_encrypted = config.serve.is_encrypted_at(explained.listener);
        explained.live = Some(ask_live(&explained, &args.name, args.rtype, is_encrypted).await);
        Ok(Some(explained))
    };
    let explained = look().await?;
    // A table may have come between the two.
    match explained.as_ref().is_some_and(differs) {
        true => look().await,
        false => Ok(explained),
    }
}

fn differs(document: &ExplainDocument) -> bool {
    document.live.as_ref().is_some_and(|live| live.agrees == Some(false))
}

/// The exit status: 0 for what is ours, and others as `--help` has them.
fn outcome(document: &ExplainDocument) -> ExitCode {
    match document.decision.as_str() {
        _ if differs(document) => ExitCode::from(5),
        "forward" => ExitCode::from(3),
        "refuse" => ExitCode::from(4),
        _ => ExitCode::SUCCESS,
    }
}

/// The table without a daemon; says on standard error that it is so, and what was amiss.
async fn offline(config: &Config) -> anyhow::Result<crate::table::AnswerTable> {
    complain("no daemon runs on this configuration; its sources are asked instead");
    let lookup = host_lookup(config);
    let (table, notes) = waiting("asking the sources", offline_table(config, &lookup)).await?;
    notes.iter().for_each(|note| complain(note));
    Ok(table)
}
