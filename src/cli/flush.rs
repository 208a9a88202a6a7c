//! `hubdns flush`: what upstreams said is forgotten.

use std::process::ExitCode;

use super::{
    args::{FlushArgs, Format},
    ask, run, say, small_runtime,
};
use crate::{
    admin::{
        client::with_parameters,
        json::{FlushDocument, from_text, to_text},
    },
    base::count,
};

pub(super) fn flush(args: &FlushArgs) -> anyhow::Result<ExitCode> {
    let socket = match ask::socket(&args.daemon) {
        Ok(socket) => socket,
        Err(text) => return run::refuse(&text),
    };
    let name = args.name.as_ref().map(ToString::to_string);
    let parameters: Vec<(&str, &str)> = name.iter().map(|name| ("name", name.as_str())).collect();
    let path = with_parameters("/api/v1/flush", &parameters);
    let text = small_runtime()?.block_on(ask::order(&socket, &path))?;
    let document: FlushDocument = from_text(&text)?;
    say(&match args.daemon.format {
        Format::Text => told(&document),
        Format::Json => to_text(&document),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn told(document: &FlushDocument) -> String {
    let FlushDocument { name, answers } = document;
    let answers = count(usize::try_from(*answers).unwrap_or(usize::MAX), "answer", "answers");
    match name {
        Some(name) => format!("forgot {answers} of {name} and below it, or that led there\n"),
        None => format!("forgot {answers}, which was all\n"),
    }
}
