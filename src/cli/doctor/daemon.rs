//! What a running daemon tells of itself, and whether it is reached where clients reach it.

use std::net::SocketAddr;

use super::CheckList;
use crate::{
    admin::json::{StatusDocument, from_text},
    app::{Certificate, PeerError, Service, accepts_tcp, ask_peer, here, try_places},
    base::{Chain, count},
    cli::{ask, held},
    config::Config,
};

/// What the ENA driver counts above 1,024 packets a second, as `/metrics` has it.
const EXCEEDED: &str = "hubdns_linklocal_allowance_exceeded_total{";
const SEE_LOG: &str = "see its log: `journalctl -u hubdns`";
const MAY_ASK: &str = "as root or in the group hubdns one may ask it; what else is amiss its log \
                       tells: `journalctl -u hubdns`";
/// A certificate that ends sooner is told: who renews it by hand has to begin.
const RENEW_WITHIN_SECS: u64 = 21 * 24 * 60 * 60;
const DAY_SECS: u64 = 24 * 60 * 60;

/// The daemon that runs on this configuration.
pub(super) struct Running {
    status: StatusDocument,
    metrics: String,
}

/// Whether it is ready; loops; packets. `None` when none runs, or it does not tell.
pub(super) async fn look(list: &mut CheckList, config: &Config) -> Option<Running> {
    let status = match ask::daemon(config, "/api/v1/status").await {
        Ok(Some(text)) => from_text::<StatusDocument>(&text).map_err(|error| error.to_string()),
        Ok(None) => {
            let next = "start it: `hubdns run`";
            list.warned("daemon", "none runs on this configuration".to_owned(), next);
            skip_what_it_tells(list, "a daemon that runs would tell", next);
            return None;
        }
        Err(error) => Err(format!("{error:#}")),
    };
    let status = match status {
        Ok(status) => status,
        Err(why) => {
            list.failed("daemon", why, MAY_ASK);
            let next = "see what keeps the daemon from being asked, above";
            skip_what_it_tells(list, "the daemon could not be asked", next);
            return None;
        }
    };
    match status.reasons.as_slice() {
        [] => list.passed("daemon", format!("is ready, table {}", status.generation)),
        reasons => {
            list.failed("daemon", format!("is not ready: {}", reasons.join("; ")), SEE_LOG);
        }
    }
    if status.config_hash.as_ref().is_some_and(|hash| *hash != config.effective.hash) {
        let what =
            "another configuration than this file is in force, and judged below by this file";
        let next = "`hubdns plan` tells what differs, `hubdns reload` puts the file in force";
        list.warned("daemon", what.to_owned(), next);
    }
    let metrics = ask::daemon(config, "/metrics").await.ok().flatten().unwrap_or_default();
    let running = Running { status, metrics };
    look_at_loops(list, &running.status);
    look_at_packets(list, &running);
    Some(running)
}

/// What only a daemon tells is not passed over in silence.
fn skip_what_it_tells(list: &mut CheckList, why: &str, next: &str) {
    for about in ["loop", "link-local", "descriptors"] {
        list.skipped(about, why.to_owned(), next);
    }
}

fn look_at_loops(list: &mut CheckList, status: &StatusDocument) {
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
}

fn look_at_packets(list: &mut CheckList, running: &Running) {
    if let Some(budget) = &running.status.budget {
        let what = format!(
            "{} packets in the last second, {} at the most, of {}",
            budget.packets, budget.peak, budget.hard
        );
        match budget.peak < budget.soft {
            true => list.passed("link-local", what),
            false => list.warned("link-local", what, "add a hub, or raise `answers.ttl_secs`"),
        }
    }
    for line in running.metrics.lines().filter(|line| line.starts_with(EXCEEDED)) {
        if let Some((series, dropped)) = line.rsplit_once(' ')
            && dropped != "0"
        {
            let interface = series.trim_start_matches(EXCEEDED).trim_end_matches('}');
            let what = format!("the network has dropped {dropped} packets ({interface})");
            list.warned("link-local", what, "see who else asks 169.254.169.253 and the metadata");
        }
    }
}

/// Whether each address of the running daemon is reached by UDP and by TCP from this host; without a
/// daemon, whether they can be opened.
pub(super) async fn look_at_ports(
    list: &mut CheckList,
    config: &Config,
    running: Option<&Running>,
) {
    let Some(running) = running else {
        let (held, untold) = held::held(config).await;
        if let Some(why) = untold {
            return list.skipped("port", "none was tried: a daemon has them".to_owned(), &why);
        }
        let problems = try_places(config, &held);
        for problem in &problems {
            let next = "`hubdns check` shows the place; below 1024 it takes hubdns.socket or \
                        CAP_NET_BIND_SERVICE";
            list.failed("port", problem.to_string(), next);
        }
        if problems.is_empty() {
            list.passed("port", "what is to be listened on can be opened".to_owned());
        }
        return;
    };
    // An entry with port 0 is listened on at any.
    let by_datagram = |address: &SocketAddr| {
        let mut plain = config.serve.entries().filter(|it| it.service == Service::Plain);
        plain.any(|it| [0, address.port()].contains(&it.listen.port()))
    };
    for address in &running.status.listeners {
        let reached = here(*address);
        if by_datagram(address) {
            match ask_peer(reached).await {
                Ok(_) => list.passed("port", format!("{address} answers by UDP")),
                Err(error @ PeerError::Declined(_)) => {
                    let what = format!("{address} by UDP: {}", Chain(&error));
                    list.warned("port", what, "`clients.allow` does not have this host itself");
                }
                Err(error @ (PeerError::Silent | PeerError::Network(_))) => {
                    let what = format!("{address} by UDP: {}", Chain(&error));
                    list.failed("port", what, "see this host's firewall: `nft list ruleset`");
                }
            }
        }
        match accepts_tcp(reached).await {
            Ok(()) => list.passed("port", format!("{address} accepts TCP")),
            Err(error) => {
                let what = format!("{address} by TCP: {error}");
                list.failed("port", what, "see this host's firewall: `nft list ruleset`");
            }
        }
    }
}

/// When the certificates of TLS and HTTPS end.
pub(super) fn look_at_certificates(list: &mut CheckList, config: &Config, now_secs: u64) {
    for (service, files) in config.serve.encrypted() {
        let of = format!("of [{}]", Service::Encrypted(service).table());
        let validity = match Certificate::read(files) {
            Ok(certificate) => certificate.validity(),
            Err(error) => {
                list.failed("certificate", format!("{of}: {}", Chain(&error)), error.help());
                continue;
            }
        };
        let days = validity.ends().saturating_sub(now_secs) / DAY_SECS;
        let days = count(usize::try_from(days).unwrap_or(usize::MAX), "day", "days");
        let renew = "renew it: new connections get it as soon as the file has it";
        match validity.doubt(now_secs) {
            Some(doubt) => list.failed("certificate", format!("{of}: {doubt}"), renew),
            None if validity.ends() < now_secs + RENEW_WITHIN_SECS => {
                list.warned("certificate", format!("{of} ends in {days}"), renew);
            }
            None => list.passed("certificate", format!("{of} is good for {days}")),
        }
    }
}

// === impl Running ===

impl Running {
    /// A metric without labels.
    pub(super) fn metric(&self, name: &str) -> Option<f64> {
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        self.metrics.lines().find_map(value)
    }
}
