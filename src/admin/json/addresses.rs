//! How the addresses of a name stand: what its claim gives, and what its caveats say of them.

use super::AddressDocument;
use crate::{
    base::RecordType,
    policy::{Address, Caveat, Claim},
};

/// The addresses that are given.
pub(super) fn given(claim: &Claim) -> Vec<AddressDocument> {
    let documents = claim.addresses.iter().map(|it| document(it, state(claim, it)));
    documents.collect()
}

/// Those that are not.
pub(super) fn left_out(claim: &Claim) -> Vec<AddressDocument> {
    let of = |addresses: &[Address], state| -> Vec<AddressDocument> {
        addresses.iter().map(|it| document(it, state)).collect()
    };
    let caveats = claim.caveats.iter().flat_map(|caveat| match caveat {
        Caveat::LeftOut(addresses) => of(addresses, "down"),
        Caveat::Drained(addresses) => of(addresses, "drained"),
        Caveat::SharedWildcard
        | Caveat::MadePerVpc
        | Caveat::FailingOpen(_)
        | Caveat::Unheard
        | Caveat::DrainOverruled(_) => Vec::new(),
    });
    caveats.collect()
}

/// How an address that is given stands. That it does not answer probes counts for more.
fn state(claim: &Claim, address: &Address) -> &'static str {
    let family = if address.ip.is_ipv6() { RecordType::AAAA } else { RecordType::A };
    match () {
        () if claim.caveats.contains(&Caveat::FailingOpen(family)) => "down_given",
        () if claim.caveats.contains(&Caveat::DrainOverruled(family)) => "drained_given",
        () if claim.caveats.contains(&Caveat::Unheard) => "unheard",
        () => "given",
    }
}

fn document(address: &Address, state: &str) -> AddressDocument {
    AddressDocument {
        ip: address.ip,
        az: address.az.to_string(),
        az_id: address.az.id.as_deref().map(str::to_owned),
        eni: address.eni.to_string(),
        state: state.to_owned(),
    }
}
