//! A table as a person reads it, and as golden tests keep it.

use std::fmt;

use crate::{
    base::RecordType,
    policy::{CnameClaim, CnameLender, Declined},
};

use super::{AnswerTable, ViewTable, records::of_type, view::Entry};

/// Views in the order in which they match; in each, a line a name with addresses, a line a name
/// that stands for another, then a line a declined.
impl fmt::Display for AnswerTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for view in self.views() {
            view.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for ViewTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "view {}", self.name())?;
        for entry in self.entries() {
            writeln!(f, "  {entry}")?;
        }
        for CnameClaim { pattern, target, lender, .. } in self.cnames() {
            write!(f, "  {pattern} CNAME {target}")?;
            if let Some(CnameLender { endpoint, service, .. }) = lender {
                write!(f, " ({endpoint}, {service})")?;
            }
            writeln!(f)?;
        }
        for declined in self.declined().iter() {
            f.write_str("  ")?;
            write_declined(f, declined)?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// `NAME A ADDRESS... AAAA ADDRESS... (ENDPOINT, SERVICE, ORIGIN)` and its caveats.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = self.claim();
        write!(f, "{}", claim.pattern)?;
        for rtype in [RecordType::A, RecordType::AAAA] {
            for (at, address) in of_type(rtype, &claim.addresses).enumerate() {
                if at == 0 {
                    write!(f, " {rtype}")?;
                }
                write!(f, " {}", address.ip)?;
            }
        }
        let origin = claim.origin.word();
        write!(f, " ({}, {}, {origin})", claim.endpoint, claim.service)?;
        for caveat in &claim.caveats {
            write!(f, " {}", caveat.word())?;
        }
        Ok(())
    }
}

/// `not NAME (ENDPOINT, SERVICE) WORD: SENTENCE`.
fn write_declined(f: &mut fmt::Formatter<'_>, declined: &Declined) -> fmt::Result {
    f.write_str("not ")?;
    if let Some(name) = &declined.name {
        write!(f, "{name} ")?;
    }
    if let (Some(endpoint), Some(service)) = (&declined.endpoint, &declined.service) {
        write!(f, "({endpoint}, {service}) ")?;
    }
    write!(f, "{}: {}", declined.why.word(), declined.why)
}
