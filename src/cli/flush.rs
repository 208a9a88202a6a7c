//! `hubdns flush`: what upstreams said is forgotten.

use std::{path::PathBuf, process::ExitCode};

use super::{
    args::{DaemonArgs, FlushArgs},
    ask, run, say, small_runtime,
};
use crate::admin::{
    client::with_parameters,
    json::{FlushDocument, from_text},
};

pub(super) fn flush(args: &FlushArgs) -> anyhow::Result<ExitCode> {
    let socket = match socket(&args.daemon) {
        Ok(socket) => socket,
        Err(text) => return run::refuse(&text),
    };
    let name = args.name.as_ref().map(ToString::to_string);
    let parameters: Vec<(&str, &str)> = name.iter().map(|name| ("name", name.as_str())).collect();
    let path = with_parameters("/api/v1/flush", &parameters);
    let text = small_runtime()?.block_on(ask::order(&socket, &path))?;
    let FlushDocument { name, answers } = from_text(&text)?;
    let answers = match answers {
        1 => "1 answer".to_owned(),
        more => format!("{more} answers"),
    };
    say(&match name {
        Some(name) => format!("forgot {answers} of {name} and below it, or that led there\n"),
        None => format!("forgot {answers}, which was all\n"),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The control socket of the daemon meant, or why there is none.
pub(super) fn socket(daemon: &DaemonArgs) -> Result<PathBuf, String> {
    if let Some(socket) = &daemon.socket {
        return Ok(socket.clone());
    }
    let config = run::load(&daemon.config)?;
    config.control_socket.ok_or_else(|| {
        "hubdns: no daemon to ask: `control.socket` is \"\" in this configuration; name a socket \
         there and restart hubdns"
            .to_owned()
    })
}
