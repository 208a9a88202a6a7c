//! What a zone answers, as its servers work it out.

use super::zone::{RecordSet, Zone};
use crate::base::{Name, Pattern};

/// What a zone says of a name that is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'z> {
    /// These sets, of whatever types; not empty.
    Sets(Vec<&'z RecordSet>),
    /// The name is there and has no records: something is below it.
    NoData,
    /// There is no such name.
    NxDomain,
}

/// RFC 4592: the name itself, else the wildcard right below the nearest name above it that is there.
pub(super) fn look_up<'z>(zone: &Zone, records: &'z [RecordSet], name: &Name) -> Found<'z> {
    let at = |pattern: Pattern| -> Vec<&RecordSet> {
        records.iter().filter(|set| set.pattern == pattern).collect()
    };
    let own = at(Pattern::Exact(name.clone()));
    if !own.is_empty() {
        return Found::Sets(own);
    }
    if exists(zone, records, name) {
        return Found::NoData;
    }
    let mut above = name.parent();
    while let Some(encloser) = above.filter(|it| it.is_within(&zone.name)) {
        if exists(zone, records, &encloser) {
            let wild = at(Pattern::Below(encloser));
            return if wild.is_empty() { Found::NxDomain } else { Found::Sets(wild) };
        }
        above = encloser.parent();
    }
    Found::NxDomain
}

/// Whether a name is there: it has records, or a name below it has. The wildcard `*.NAME` is below
/// NAME.
fn exists(zone: &Zone, records: &[RecordSet], name: &Name) -> bool {
    *name == zone.name || records.iter().any(|set| set.pattern.name().is_within(name))
}
