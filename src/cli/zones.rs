//! `hubdns drain-az` and `hubdns undrain-az`: a zone out of the answers by hand, and back.

use std::process::ExitCode;

use super::{
    args::{Format, ZoneArgs},
    ask, complain,
    fold::folded,
    refresh, run, say, small_runtime,
};
use crate::{
    admin::{
        client::with_parameters,
        json::{ZoneDocument, from_text, to_text},
    },
    base::printable,
};

pub(super) fn drain(args: &ZoneArgs) -> anyhow::Result<ExitCode> {
    order(args, true)
}

pub(super) fn undrain(args: &ZoneArgs) -> anyhow::Result<ExitCode> {
    order(args, false)
}

fn order(args: &ZoneArgs, drain: bool) -> anyhow::Result<ExitCode> {
    let socket = match ask::socket(&args.daemon) {
        Ok(socket) => socket,
        Err(text) => return run::refuse(&text),
    };
    let path = if drain { "/api/v1/drain-az" } else { "/api/v1/undrain-az" };
    let path = with_parameters(path, &[("zone", &args.zone)]);
    let text = small_runtime()?.block_on(ask::order(&socket, &path))?;
    let document: ZoneDocument = from_text(&text)?;
    say(&match args.daemon.format {
        Format::Text => folded(&render(&document, &args.zone, drain)),
        Format::Json => to_text(&document),
    })?;
    if let Some(why) = &document.not_kept {
        complain(&format!("a restart will not know of it: {}", printable(why)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The zone has the name by which the person calls it, and the one by which it is remembered.
fn render(document: &ZoneDocument, called: &str, drain: bool) -> String {
    let zone = match printable(&document.zone) {
        remembered if remembered == called => remembered,
        remembered => format!("{} ({remembered})", printable(called)),
    };
    let mut text = match (drain, document.changed) {
        (true, true) => format!("{zone} is drained"),
        (true, false) => format!("{zone} was drained already"),
        (false, true) => format!("{zone} is back in the answers"),
        (false, false) => format!("{zone} was not drained"),
    };
    let ZoneDocument { drained_addresses, endpoints_overruling_drain, .. } = document;
    text += &match drained_addresses {
        0 => "\n".to_owned(),
        1 => "; 1 address is left out\n".to_owned(),
        more => format!("; {more} addresses are left out\n"),
    };
    if 0 < *endpoints_overruling_drain {
        text += &format!(
            "endpoints without a usable address elsewhere, which keep theirs: \
             {endpoints_overruling_drain}\n"
        );
    }
    if let Some(table) = &document.table {
        text += &refresh::published(table);
    }
    text
}
