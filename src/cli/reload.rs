//! `hubdns reload`: waits until the configuration is in force, or tells why it is not.

use std::process::ExitCode;

use super::{
    args::{DaemonArgs, Format},
    ask, complain,
    progress::waiting,
    run, say, small_runtime,
};
use crate::{
    admin::{
        client,
        json::{ReloadDocument, from_text, to_text},
    },
    base::Chain,
};

pub(super) fn reload(args: &DaemonArgs) -> anyhow::Result<ExitCode> {
    let socket = match ask::socket(args) {
        Ok(socket) => socket,
        Err(text) => return run::refuse(&text),
    };
    let asked = client::post_within(&socket, "/api/v1/reload", ask::CARRIED_OUT_WITHIN);
    let asked = waiting("the daemon reads its configuration", asked);
    let text = match small_runtime()?.block_on(asked) {
        Ok((200 | 422, text)) => text,
        Ok((status, text)) => return Err(ask::refused(status, text)),
        Err(error) => anyhow::bail!("{}", Chain(&error)),
    };
    let outcome: ReloadDocument = from_text(&text)?;
    if args.format == Format::Json {
        say(&to_text(&outcome))?;
        return Ok(if outcome.done { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    outcome.warnings.iter().chain(&outcome.problems).for_each(|shown| complain(shown));
    if !outcome.done {
        complain("hubdns: refused; the configuration in force stays");
        return Ok(ExitCode::FAILURE);
    }
    say(&told(&outcome))?;
    Ok(ExitCode::SUCCESS)
}

/// What was put in force, a line a part.
fn told(outcome: &ReloadDocument) -> String {
    let mut text = match outcome.changed.is_empty() {
        true => "nothing has changed; the sources are asked again\n".to_owned(),
        false => format!("in force: {}\n", outcome.changed.join(", ")),
    };
    if !outcome.at_next_start.is_empty() {
        text.push_str(&format!("at the next start: {}\n", outcome.at_next_start.join(", ")));
    }
    text
}
