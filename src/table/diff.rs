//! What a new table would say differently.

use std::{cmp::Ordering, fmt, net::IpAddr};

use crate::base::{EndpointId, Pattern, RecordType, ServiceName, Ttl, ViewName};

use super::{AnswerTable, ViewTable, records::of_type, view::Entry};

/// One name and type that is answered differently in one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// In which view.
    pub view: ViewName,
    /// Which name.
    pub pattern: Pattern,
    /// Which of its types.
    pub rtype: RecordType,
    /// How.
    pub kind: ChangeKind,
}

/// What happens to the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// There were none.
    Added(Said),
    /// There are none any more.
    Removed(Said),
    /// They are others, last for another time, or come from another endpoint.
    Changed {
        /// What was said.
        from: Said,
        /// What is said now.
        to: Said,
    },
}

/// What a table says of one name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// In the order of zones.
    pub addresses: Vec<IpAddr>,
    /// How long it may be kept.
    pub ttl: Ttl,
    /// How long an absence may be kept.
    pub negative_ttl: Ttl,
    /// Who answers.
    pub endpoint: EndpointId,
    /// Its service.
    pub service: ServiceName,
}

/// Every difference between what two tables say, view by view in the new one's order, then those
/// that only the old one has; in each view by name. Who is in which view is not compared.
pub fn diff(old: &AnswerTable, new: &AnswerTable) -> Vec<Change> {
    let mut changes = Vec::new();
    for view in new.views() {
        let before = old.view(view.name().as_str());
        if before.is_some_and(|before| std::ptr::eq(before, view)) {
            continue;
        }
        let before = before.map_or(&[][..], ViewTable::entries);
        diff_view(view.name(), before, view.entries(), &mut changes);
    }
    for gone in old.views() {
        if new.view(gone.name().as_str()).is_none() {
            diff_view(gone.name(), gone.entries(), &[], &mut changes);
        }
    }
    changes
}

/// The same of two views alone, whatever they are called; told under the new one's name.
pub fn diff_views(old: &ViewTable, new: &ViewTable) -> Vec<Change> {
    let mut changes = Vec::new();
    diff_view(new.name(), old.entries(), new.entries(), &mut changes);
    changes
}

/// Merges two lists that are sorted by pattern.
fn diff_view(view: &ViewName, old: &[Entry], new: &[Entry], changes: &mut Vec<Change>) {
    let mut old = old.iter().peekable();
    let mut new = new.iter().peekable();
    loop {
        let (before, after) = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => (old.next(), None),
            (None, Some(_)) => (None, new.next()),
            (Some(a), Some(b)) => match a.claim().pattern.cmp(&b.claim().pattern) {
                Ordering::Less => (old.next(), None),
                Ordering::Greater => (None, new.next()),
                Ordering::Equal => (old.next(), new.next()),
            },
        };
        if let (Some(before), Some(after)) = (before, after)
            && before.is_shared_with(after)
        {
            continue;
        }
        let Some(named) = after.or(before) else {
            continue;
        };
        for rtype in [RecordType::A, RecordType::AAAA] {
            let from = before.and_then(|entry| Said::by(entry, rtype));
            let to = after.and_then(|entry| Said::by(entry, rtype));
            let kind = match (from, to) {
                (None, None) => continue,
                (Some(from), None) => ChangeKind::Removed(from),
                (None, Some(to)) => ChangeKind::Added(to),
                (Some(from), Some(to)) if from == to => continue,
                (Some(from), Some(to)) => ChangeKind::Changed { from, to },
            };
            changes.push(Change {
                view: view.clone(),
                pattern: named.claim().pattern.clone(),
                rtype,
                kind,
            });
        }
    }
}

// === impl Change ===

/// `+ NAME A ADDRESS... (ENDPOINT, SERVICE)`, the same with `-` of what was said, or `~ NAME A` with
/// each thing that differs as `OLD -> NEW`. The view is not printed.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pattern, rtype) = (&self.pattern, self.rtype);
        match &self.kind {
            ChangeKind::Added(said) => {
                let addresses = said.address_text();
                write!(f, "+ {pattern} {rtype} {addresses} ({})", said.who())
            }
            ChangeKind::Removed(said) => {
                let addresses = said.address_text();
                write!(f, "- {pattern} {rtype} {addresses} ({})", said.who())
            }
            ChangeKind::Changed { from, to } => {
                write!(f, "~ {pattern} {rtype}")?;
                changed(f, "", from.address_text(), to.address_text())?;
                changed(f, " ttl", from.ttl, to.ttl)?;
                changed(f, " negative ttl", from.negative_ttl, to.negative_ttl)?;
                changed(f, " by", &from.endpoint, &to.endpoint)?;
                changed(f, " service", &from.service, &to.service)
            }
        }
    }
}

fn changed<T>(f: &mut fmt::Formatter<'_>, label: &str, from: T, to: T) -> fmt::Result
where
    T: PartialEq + fmt::Display,
{
    match from == to {
        true => Ok(()),
        false => write!(f, "{label} {from} -> {to}"),
    }
}

// === impl Said ===

impl Said {
    /// What a table says; `None` when the name has no record of the type.
    fn by(entry: &Entry, rtype: RecordType) -> Option<Self> {
        let claim = entry.claim();
        let addresses: Vec<IpAddr> = of_type(rtype, &claim.addresses).map(|a| a.ip).collect();
        (!addresses.is_empty()).then(|| Self {
            addresses,
            ttl: claim.ttl,
            negative_ttl: claim.negative_ttl,
            endpoint: claim.endpoint.clone(),
            service: claim.service.clone(),
        })
    }

    fn address_text(&self) -> String {
        let texts: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
        texts.join(" ")
    }

    fn who(&self) -> String {
        format!("{}, {}", self.endpoint, self.service)
    }
}
