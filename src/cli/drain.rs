//! `hubdns drain`: the daemon is not ready at once, and ends after a time.

use std::process::ExitCode;

use super::{
    args::{DrainArgs, Format},
    ask, run, say, small_runtime,
};
use crate::admin::{
    client::with_parameters,
    json::{DrainDocument, from_text, to_text},
};

pub(super) fn drain(args: &DrainArgs) -> anyhow::Result<ExitCode> {
    let socket = match ask::socket(&args.daemon) {
        Ok(socket) => socket,
        Err(text) => return run::refuse(&text),
    };
    let secs = args.lasts_secs.to_string();
    let path = match args.cancel {
        true => "/api/v1/undrain".to_owned(),
        false => with_parameters("/api/v1/drain", &[("secs", &secs)]),
    };
    let text = small_runtime()?.block_on(ask::order(&socket, &path))?;
    let document: DrainDocument = from_text(&text)?;
    say(&match (args.daemon.format, document.ends_in_secs) {
        (Format::Json, _) => to_text(&document),
        (Format::Text, Some(secs)) => {
            format!("not ready; answers go on for {secs} s, and then hubdns ends\n")
        }
        (Format::Text, None) => "not draining\n".to_owned(),
    })?;
    Ok(ExitCode::SUCCESS)
}
