//! `[clients.rate]`: how much one client may ask.

use ipnet::IpNet;

use super::{
    file::{Clients, Rate},
    limits::{RATE_IPV4_PREFIX, RATE_IPV6_PREFIX, RATE_QUESTIONS, RATE_SLIP},
    problem::Findings,
    words::{self, read_all},
};
use crate::{base::is_private, policy::RateConfig};

/// `clients.rate.exempt`.
pub(super) fn exempt(found: &mut Findings, clients: &Clients) -> Vec<IpNet> {
    let exempt = read_all(found, "clients.rate.exempt", &clients.rate.exempt, words::network);
    exempt.into_iter().map(|(_, network)| network).collect()
}

/// The rest of `[clients.rate]`.
pub(super) fn rate(found: &mut Findings, clients: &Clients, exempt: &[IpNet]) -> RateConfig {
    let Rate { questions_per_second, slip, ipv4_prefix, ipv6_prefix, exempt: _ } = &clients.rate;
    let rate = RateConfig {
        questions_per_second: RATE_QUESTIONS.check(
            found,
            "clients.rate.questions_per_second",
            questions_per_second,
        ),
        slip: RATE_SLIP.check(found, "clients.rate.slip", slip),
        ipv4_prefix: RATE_IPV4_PREFIX.check(found, "clients.rate.ipv4_prefix", ipv4_prefix),
        ipv6_prefix: RATE_IPV6_PREFIX.check(found, "clients.rate.ipv6_prefix", ipv6_prefix),
    };
    if rate.questions_per_second == 0 {
        doubt_public(found, clients, exempt);
    }
    rate
}

/// Warns of networks outside of our own whose datagrams are answered without a limit: whoever
/// forges their addresses has as many answers sent there. Of those that are exempt nobody forges any.
fn doubt_public(found: &mut Findings, clients: &Clients, exempt: &[IpNet]) {
    // Two halves are the whole.
    let exempt = IpNet::aggregate(&exempt.to_vec());
    let is_doubtful =
        |network: IpNet| is_public(network) && !exempt.iter().any(|it| it.contains(&network));
    let allowed = &clients.allow.value;
    let public = allowed.iter().find(|text| words::network(&text.value).is_ok_and(is_doubtful));
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
                 as large as its question: set `clients.rate.questions_per_second`; a network in whose \
                 name nobody else can send belongs in `clients.rate.exempt`, by which it gets larger \
                 answers by UDP too, and not TC",
            );
    }
}

/// Whether a network has addresses beyond private ones. Who holds a private network and more has its
/// first or its last address elsewhere.
fn is_public(network: IpNet) -> bool {
    ![network.network(), network.broadcast()].into_iter().all(is_private)
}
