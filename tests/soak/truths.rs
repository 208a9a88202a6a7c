//! What is asked, and what may be said to it.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use domain::base::iana::Rcode;

use crate::{
    moving::Moving,
    support::{Recorded, Reply, Truth, Verdict, name_of},
    timeline::Timeline,
};

const ENDPOINTS: u8 = 40;
/// What was not answered is remembered as such for 2 s, and a question that was sent meanwhile takes
/// 3.5 s.
const AFTER_AWAY: Duration = Duration::from_secs(6);

/// What the upstream knows and never changes.
pub(crate) const ZONES: &[(&str, &str)] = &[
    (
        "corp.example",
        "www 3 A 192.0.2.80\n\
         queue 3 CNAME svc0.eu-west-1.amazonaws.com.\n",
    ),
    ("wild.example", "* 60 A 192.0.2.7\n"),
];

/// What is true, and when.
pub(crate) struct Truths {
    /// Which addresses the endpoints have.
    pub(crate) versions: Timeline<u16>,
    /// Whether `guest.example` is ours.
    pub(crate) guest: Timeline<bool>,
    /// Whether the upstream is there.
    pub(crate) upstream: Timeline<bool>,
    moving: Moving,
}

fn address(endpoint: u8, zone: u8, version: u16) -> Ipv4Addr {
    let [high, low] = version.to_be_bytes();
    Ipv4Addr::new(10, high, low, endpoint * 4 + zone)
}

fn addresses(endpoint: u8, version: u16) -> Vec<Ipv4Addr> {
    (1..=3).map(|zone| address(endpoint, zone, version)).collect()
}

/// All endpoints in one version.
pub(crate) fn endpoints(version: u16) -> Vec<Recorded> {
    (0..ENDPOINTS).map(|at| (format!("svc{at}"), addresses(at, version))).collect()
}

// === impl Truths ===

impl Truths {
    pub(crate) fn new(moving: Moving) -> Self {
        Self {
            versions: Timeline::new(0),
            guest: Timeline::new(false),
            upstream: Timeline::new(true),
            moving,
        }
    }

    /// Whether it is all addresses of an endpoint, and all of one version that was in force.
    fn is_endpoint(&self, endpoint: u8, sent: Instant, reply: &Reply) -> bool {
        let Some(first) = reply.addresses.first() else { return false };
        let [_, high, low, _] = first.octets();
        let version = u16::from_be_bytes([high, low]);
        reply.rcode == Rcode::NOERROR
            && reply.addresses == addresses(endpoint, version)
            && self.versions.was(version, sent, Duration::ZERO)
    }

    fn is_true(&self, name: &str, sent: Instant, reply: &Reply) -> bool {
        let Reply { rcode, addresses } = reply;
        let is =
            |address: [u8; 4]| *rcode == Rcode::NOERROR && *addresses == [Ipv4Addr::from(address)];
        let is_nxdomain = *rcode == Rcode::NXDOMAIN && addresses.is_empty();
        let (label, zone) = name.split_once('.').unwrap();
        match (label, zone) {
            ("guest", _) => {
                self.guest.was(false, sent, Duration::ZERO) && is_nxdomain
                    || self.guest.was(true, sent, Duration::ZERO)
                        && self.is_endpoint(1, sent, reply)
            }
            ("queue", _) => self.is_endpoint(0, sent, reply),
            ("www", _) => is([192, 0, 2, 80]),
            (_, "wild.example") => is([192, 0, 2, 7]),
            (_, "corp.example") => is_nxdomain,
            (_, "moving.example") => self.moving.said(addresses, sent),
            (service, _) => {
                let endpoint = service.trim_start_matches("svc").parse().unwrap();
                self.is_endpoint(endpoint, sent, reply)
            }
        }
    }

    /// Whether nobody may have known the answer.
    fn may_fail(&self, name: &str, sent: Instant) -> bool {
        let is_asked_there = match name {
            "guest.example" => self.guest.was(false, sent, Duration::ZERO),
            name => name.ends_with(".wild.example") || name.ends_with(".corp.example"),
        };
        is_asked_there && self.upstream.was(false, sent, AFTER_AWAY)
    }
}

impl Truth for Truths {
    fn name(&self, number: usize) -> String {
        match number % 10 {
            0..=3 => name_of(&format!("svc{}", (number / 10) % usize::from(ENDPOINTS))),
            4 => "guest.example".to_owned(),
            5 => "queue.corp.example".to_owned(),
            6 => "www.corp.example".to_owned(),
            7 => format!("n{number}.wild.example"),
            8 => format!("gone{number}.corp.example"),
            _ => "tick.moving.example".to_owned(),
        }
    }

    fn verdict(&self, name: &str, sent: Instant, reply: &Reply) -> Verdict {
        match reply.rcode {
            Rcode::SERVFAIL if self.may_fail(name, sent) => Verdict::Failed,
            _ if self.is_true(name, sent, reply) => Verdict::Right,
            _ => Verdict::Wrong,
        }
    }
}
