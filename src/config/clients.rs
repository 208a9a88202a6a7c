//! `[clients.rate]`: how much one client may ask.

use ipnet::IpNet;

use super::{
    file::{Clients, Rate},
    limits::{RATE_IPV4_PREFIX, RATE_IPV6_PREFIX, RATE_QUESTIONS, RATE_SLIP},
    problem::Findings,
    words::{self, read_all},
};
use crate::{base::is_private, policy::RateConfig};

/// `[clients.rate]`.
pub(super) fn rate(found: &mut Findings, clients: &Clients) -> RateConfig {
    let Rate { questions_per_second, slip, ipv4_prefix, ipv6_prefix, exempt } = &clients.rate;
    let exempt = read_all(found, "clients.rate.exempt", exempt, words::network);
    let rate = RateConfig {
        questions_per_second: RATE_QUESTIONS.check(
            found,
            "clients.rate.questions_per_second",
            questions_per_second,
        ),
        slip: RATE_SLIP.check(found, "clients.rate.slip", slip),
        ipv4_prefix: RATE_IPV4_PREFIX.check(found, "clients.rate.ipv4_prefix", ipv4_prefix),
        ipv6_prefix: RATE_IPV6_PREFIX.check(found, "clients.rate.ipv6_prefix", ipv6_prefix),
        exempt: exempt.into_iter().map(|(_, network)| network).collect(),
    };
    if rate.questions_per_second == 0 {
        doubt_public(found, clients);
    }
    rate
}

/// Warns of networks outside of our own whose datagrams are answered without a limit: whoever
/// forges their addresses has as many answers sent there.
fn doubt_public(found: &mut Findings, clients: &Clients) {
    let allowed = &clients.allow.value;
    let public = allowed.iter().find(|text| words::network(&text.value).is_ok_and(is_public));
    if let Some(text) = public {
        found
            .warning(
                "clients.allow",
                &text.span,
                format!("{:?} holds public addresses", text.value),
            )
            .label("and no client has a limit")
            .help(
                "whoever forges such an address has it sent as many answers, each up to three times \
                 as large as its question: set `clients.rate.questions_per_second`",
            );
    }
}

/// Whether a network has addresses beyond private ones. Who holds a private network and more has its
/// first or its last address elsewhere.
fn is_public(network: IpNet) -> bool {
    ![network.network(), network.broadcast()].into_iter().all(is_private)
}
