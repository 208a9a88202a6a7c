//! `hubdns doctor`: a check-list, each line with what to do next. It changes nothing.

use std::{fmt::Write as _, process::ExitCode};

use super::{
    args::{DoctorArgs, DoctorFormat},
    ask,
    peers::look_at_peers,
    run, say, small_runtime,
};
use crate::{
    admin::json::{CheckDocument, CheckResult, DoctorDocument, StatusDocument, from_text, to_text},
    app::{accepts_tcp, ask_sources, ask_upstreams, host_lookup},
    base::Chain,
    config::Config,
};

/// A host of AWS's that every partition's resolvers know, by which look-ups are tried.
const AWS_HOST: &str = "sts.amazonaws.com";
/// What the ENA driver counts above 1,024 packets a second, as `/metrics` has it.
const EXCEEDED: &str = "hubdns_linklocal_allowance_exceeded_total{";

/// The lines, in the order in which they are told.
#[derive(Default)]
pub(super) struct CheckList(Vec<CheckDocument>);

pub(super) fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let config = match run::load(&args.config.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    let mut list = CheckList::default();
    list.passed("configuration", format!("{} is good", args.config.config.display()));
    for warning in &config.warnings {
        let what = warning.to_string();
        list.warned("configuration", what, "`hubdns check` shows the place");
    }
    small_runtime()?.block_on(async {
        look_at_daemon(&mut list, &config).await;
        look_at_sources(&mut list, &config).await;
        look_at_aws_hosts(&mut list, &config).await;
        look_at_upstreams(&mut list, &config).await;
        look_at_peers(&mut list, &config, &args.peers).await;
    });
    let document = DoctorDocument { checks: list.0 };
    say(&match args.format {
        DoctorFormat::Text => render(&document),
        DoctorFormat::Json => to_text(&document),
    })?;
    let failed = document.checks.iter().any(|check| check.result == CheckResult::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What only a running daemon knows: whether it is ready, loops, packets.
async fn look_at_daemon(list: &mut CheckList, config: &Config) {
    let status = match ask::daemon(config, "/api/v1/status").await {
        Ok(Some(text)) => from_text::<StatusDocument>(&text).map_err(|error| error.to_string()),
        Ok(None) => {
            let next = "start it: `hubdns run`; loops and packets are not looked at until then";
            return list.warned("daemon", "none runs on this configuration".to_owned(), next);
        }
        Err(error) => Err(format!("{error:#}")),
    };
    let status = match status {
        Ok(status) => status,
        Err(why) => return list.failed("daemon", why, "see its log: `journalctl -u hubdns`"),
    };
    match status.reasons.as_slice() {
        [] => list.passed("daemon", format!("is ready, table {}", status.generation)),
        reasons => list.failed(
            "daemon",
            format!("is not ready: {}", reasons.join("; ")),
            "see its log: `journalctl -u hubdns`",
        ),
    }
    for it in &status.loops {
        list.failed(
            "loop",
            format!("what {} is asked below {} comes back to us", it.upstream, it.domain),
            "take the forwarding rule off the hub's own VPC, or that upstream out of the configuration",
        );
    }
    if status.loops.is_empty() {
        list.passed("loop", "none is known".to_owned());
    }
    if let Some(budget) = &status.budget {
        let what = format!(
            "{} packets in the last second, {} at the most, of {}",
            budget.packets, budget.peak, budget.hard
        );
        match budget.peak < budget.soft {
            true => list.passed("link-local", what),
            false => list.warned("link-local", what, "add a hub, or raise `answers.ttl_secs`"),
        }
    }
    let metrics = ask::daemon(config, "/metrics").await.ok().flatten().unwrap_or_default();
    for line in metrics.lines().filter(|line| line.starts_with(EXCEEDED)) {
        if let Some((series, dropped)) = line.rsplit_once(' ')
            && dropped != "0"
        {
            let interface = series.trim_start_matches(EXCEEDED).trim_end_matches('}');
            let what = format!("the network has dropped {dropped} packets ({interface})");
            list.warned("link-local", what, "see who else asks 169.254.169.253 and the metadata");
        }
    }
}

/// Every source asked once; an action that the role lacks is in the error.
async fn look_at_sources(list: &mut CheckList, config: &Config) {
    for asked in ask_sources(config, &host_lookup(&config.lookup)).await {
        match asked.facts {
            Ok(facts) => {
                let endpoints = facts.endpoints.len();
                list.passed("source", format!("{}: {endpoints} endpoints", asked.source));
            }
            Err(error) => list.failed(
                "source",
                format!("{}: {}", asked.source, Chain(&error)),
                "docs/IAM.md has the role's permissions; `hubdns discover` asks again",
            ),
        }
    }
}

/// Who is asked for AWS's hosts, which must not be ourselves, and whether it answers.
async fn look_at_aws_hosts(list: &mut CheckList, config: &Config) {
    let lookup = &config.lookup;
    let asked: Vec<String> = lookup.upstreams.iter().map(ToString::to_string).collect();
    let who = format!("{} ({})", asked.join(", "), lookup.from.key());
    match host_lookup(lookup)(AWS_HOST.to_owned()).await {
        Ok(found) if !found.is_empty() => {
            list.passed("aws hosts", format!("{who} finds {AWS_HOST}"));
        }
        Ok(_) => list.warned("aws hosts", format!("{who} has no address of {AWS_HOST}"), NEXT_AWS),
        Err(error) => {
            let what = format!("{who} does not find {AWS_HOST}: {}", Chain(&error));
            list.warned("aws hosts", what, NEXT_AWS);
        }
    }
}

const NEXT_AWS: &str = "name resolvers that know AWS's hosts in [discovery_dns]";

/// Every upstream by itself, as questions go and by TCP.
async fn look_at_upstreams(list: &mut CheckList, config: &Config) {
    for (upstream, answered) in ask_upstreams(config).await {
        let address = upstream.socket();
        match answered {
            Ok(rcode) => list.passed("upstream", format!("{upstream} answers ({rcode})")),
            Err(error) => {
                let over = if upstream.is_tls() { "kdig +tls" } else { "dig" };
                let (ip, port) = (address.ip(), address.port());
                let next = format!("ask it yourself: `{over} @{ip} -p {port} . NS`");
                list.failed("upstream", format!("{upstream}: {error}"), &next);
            }
        }
        match accepts_tcp(address).await {
            Ok(()) => list.passed("upstream", format!("{upstream} accepts TCP")),
            Err(error) => {
                let next = format!("open TCP {} to it: long answers need it", address.port());
                list.failed("upstream", format!("{upstream} by TCP: {error}"), &next);
            }
        }
    }
}

/// A line a check, and below one that did not pass what to do.
fn render(document: &DoctorDocument) -> String {
    let mut text = String::new();
    for CheckDocument { about, result, what, next } in &document.checks {
        let result = match result {
            CheckResult::Passed => "passed",
            CheckResult::Warned => "warned",
            CheckResult::Failed => "failed",
        };
        // Writing to a text does not fail.
        let _ = writeln!(text, "{result:<7} {about}: {what}");
        if let Some(next) = next {
            let _ = writeln!(text, "        next: {next}");
        }
    }
    text
}

// === impl CheckList ===

impl CheckList {
    pub(super) fn passed(&mut self, about: &str, what: String) {
        self.add(CheckResult::Passed, about, what, None);
    }

    fn warned(&mut self, about: &str, what: String, next: &str) {
        self.add(CheckResult::Warned, about, what, Some(next));
    }

    pub(super) fn failed(&mut self, about: &str, what: String, next: &str) {
        self.add(CheckResult::Failed, about, what, Some(next));
    }

    fn add(&mut self, result: CheckResult, about: &str, what: String, next: Option<&str>) {
        let about = about.to_owned();
        self.0.push(CheckDocument { about, result, what, next: next.map(str::to_owned) });
    }
}
