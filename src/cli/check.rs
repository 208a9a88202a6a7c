//! `hubdns check`: every problem at once.

use std::process::ExitCode;

use super::{args::CheckArgs, ask, complain, run, say, small_runtime};
use crate::{
    app::{ask_sources, ask_upstreams, host_lookup},
    base::Chain,
    config::Config,
};

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let runtime = small_runtime()?;
    // A daemon that runs on this configuration has its addresses, and may keep them.
    let held = |config: &Config| runtime.block_on(ask::listeners(config));
    let config = match run::load_and_try(&args.config.config, &held) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    run::warn(&config.warnings);
    if args.online && !runtime.block_on(check_online(&config)) {
        return Ok(ExitCode::FAILURE);
    }
    let (sources, views) = (config.sources.len(), config.policy.views.len());
    say(&format!("{}: good ({sources} sources, {views} views)\n", args.config.config.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Asks every source and upstream once, and tells of each. Whether all answered.
async fn check_online(config: &Config) -> bool {
    let mut good = true;
    let upstreams: Vec<String> = config.lookup.upstreams.iter().map(ToString::to_string).collect();
    complain(&format!(
        "AWS's hosts: looked up at {} by {}, {} zones",
        if upstreams.is_empty() { "nobody".to_owned() } else { upstreams.join(", ") },
        config.lookup.from.key(),
        config.lookup.zones.len()
    ));
    for asked in ask_sources(config, &host_lookup(&config.lookup)).await {
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
