//! `hubdns check`: every problem at once.

use std::{net::SocketAddr, process::ExitCode};

use super::{args::CheckArgs, ask, color, complain, run, say, small_runtime};
use crate::{
    app::{ask_sources, ask_upstreams, host_lookup, try_places},
    base::Chain,
    config::{Config, render_all},
};

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = match run::load(&args.config.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    let runtime = small_runtime()?;
    // A daemon that runs on this configuration has its addresses, and may keep them.
    let held = runtime.block_on(ask::listeners(&config));
    let problems = try_places(&config, &|address: SocketAddr| is_held(&held, address));
    if !problems.is_empty() {
        return run::refuse(&render_all(&problems, color()));
    }
    run::warn(&config.warnings);
    if args.online && !runtime.block_on(check_online(&config)) {
        return Ok(ExitCode::FAILURE);
    }
    let (sources, views) = (config.sources.len(), config.policy.views.len());
    say(&format!("{}: good ({sources} sources, {views} views)\n", args.config.config.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a running daemon has the address, itself or by a wildcard.
fn is_held(held: &[SocketAddr], address: SocketAddr) -> bool {
    held.iter().any(|held| {
        held.port() == address.port() && (held.ip() == address.ip() || held.ip().is_unspecified())
    })
}

/// Asks every source and upstream once, and tells of each. Whether all answered.
async fn check_online(config: &Config) -> bool {
    let mut good = true;
    for asked in ask_sources(config, &host_lookup(&config.forward)).await {
        match asked.facts {
            Ok(facts) => complain(&format!(
                "source {}: {} endpoints, {} services, {} interfaces",
                asked.source,
                facts.endpoints.len(),
                facts.services.len(),
                facts.interfaces.len()
            )),
            Err(error) => {
                good = false;
                complain(&format!("source {}: {}", asked.source, Chain(&error)));
            }
        }
    }
    for (upstream, answered) in ask_upstreams(config).await {
        match answered {
            Ok(rcode) => complain(&format!("upstream {upstream}: answers ({rcode})")),
            Err(error) => {
                good = false;
                complain(&format!("upstream {upstream}: {error}"));
            }
        }
    }
    good
}
