//! One number for what a table says.

use std::fmt;

use crate::{base::RecordType, policy::CnameClaim};

use super::{ViewTable, clients::Clients, records::of_type, view::Entry};

/// Tells tables that answer differently apart, on any machine and at any time: two instances with
/// the same number give the same answers to the same clients. Provenance and what was declined do
/// not count. Not a defence against tables made to collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableHash(u64);

/// FNV-1a in 64 bits: the standard library promises no hash that stays the same.
struct Fnv1a(u64);

// === impl TableHash ===

impl TableHash {
    pub(super) fn of(clients: &Clients, views: &[&ViewTable]) -> Self {
        let mut fnv = Fnv1a(0xcbf2_9ce4_8422_2325);
        // Writing into a hash cannot fail.
        let _ = canonical(&mut fnv, clients, views);
        Self(fnv.0)
    }

    /// The number itself, for a gauge.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

/// The text that is hashed: one line a fact that a client can notice.
fn canonical(out: &mut impl fmt::Write, clients: &Clients, views: &[&ViewTable]) -> fmt::Result {
    for network in clients.allowed() {
        writeln!(out, "allow {network}")?;
    }
    for (network, zone) in clients.zones() {
        writeln!(out, "zone {network} {zone}")?;
    }
    for view in views {
        writeln!(out, "view {}", view.name())?;
        if let Some(rule) = view.rule() {
            for network in &rule.clients {
                writeln!(out, "client {network}")?;
            }
            for listener in &rule.listeners {
                writeln!(out, "listener {listener}")?;
            }
        }
        for entry in view.entries() {
            name(out, entry)?;
        }
        for CnameClaim { pattern, target, ttl, lender: _ } in view.cnames() {
            writeln!(out, "{pattern} {ttl} CNAME {target}")?;
        }
    }
    Ok(())
}

fn name(out: &mut impl fmt::Write, entry: &Entry) -> fmt::Result {
    let claim = entry.claim();
    write!(out, "{} {} {}", claim.pattern, claim.ttl, claim.negative_ttl)?;
    for rtype in [RecordType::A, RecordType::AAAA] {
        for address in of_type(rtype, &claim.addresses) {
            let zone_id = address.az.id.as_deref().unwrap_or("");
            write!(out, " {} {} {zone_id}", address.ip, address.az)?;
        }
    }
    writeln!(out)
}

impl fmt::Display for TableHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:016x}", self.0))
    }
}

// === impl Fnv1a ===

impl fmt::Write for Fnv1a {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}
