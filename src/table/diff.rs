//! What a new table would say differently.

use std::{cmp::Ordering, fmt, net::IpAddr};

use crate::{
    base::{EndpointId, Name, Pattern, RecordType, ServiceName, Ttl, ViewName},
    policy::{CnameClaim, CnameLender},
};

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
pub enum Said {
    /// Addresses of an endpoint: of A and AAAA.
    Addresses {
        /// In the order of zones.
        addresses: Vec<IpAddr>,
        /// How long it may be kept.
        ttl: Ttl,
        /// How long an absence may be kept.
        negative_ttl: Ttl,
        /// Who answers.
        endpoint: EndpointId,
        /// Its service.
        service: ServiceName,
    },
    /// That it stands for another name: of CNAME.
    Cname {
        /// The other name.
        target: Name,
        /// How long it may be kept.
        ttl: Ttl,
        /// Whose association gave it the name; none for an alias.
        lender: Option<CnameLender>,
    },
}

/// Who says so where no endpoint does.
const AN_ALIAS: &str = "an alias";

/// Every difference between what two tables say, view by view in the new one's order, then those
/// that only the old one has; in each view by name. Who is in which view is not compared.
pub fn diff(old: &AnswerTable, new: &AnswerTable) -> Vec<Change> {
    let mut changes = Vec::new();
    for view in new.views() {
        let before = old.view(view.name().as_str());
        if before.is_some_and(|before| std::ptr::eq(before, view)) {
            continue;
        }
        diff_view(view.name(), before, Some(view), &mut changes);
    }
    for gone in old.views() {
        if new.view(gone.name().as_str()).is_none() {
            diff_view(gone.name(), Some(gone), None, &mut changes);
        }
    }
    changes
}

/// The same of two views alone, whatever they are called; told under the new one's name.
pub fn diff_views(old: &ViewTable, new: &ViewTable) -> Vec<Change> {
    let mut changes = Vec::new();
    diff_view(new.name(), Some(old), Some(new), &mut changes);
    changes
}

fn diff_view(
    view: &ViewName,
    old: Option<&ViewTable>,
    new: Option<&ViewTable>,
    changes: &mut Vec<Change>,
) {
    let first = changes.len();
    let mut add = |pattern: &Pattern, rtype, from, to| {
        if let Some(kind) = ChangeKind::between(from, to) {
            changes.push(Change { view: view.clone(), pattern: pattern.clone(), rtype, kind });
        }
    };
    let entries = [old, new].map(|view| view.map_or(&[][..], ViewTable::entries));
    merge(
        entries,
        |entry| &entry.claim().pattern,
        |pattern, old, new| {
            if old.zip(new).is_some_and(|(old, new)| old.is_shared_with(new)) {
                return;
            }
            for rtype in [RecordType::A, RecordType::AAAA] {
                let said = |entry: Option<&Entry>| entry.and_then(|entry| Said::by(entry, rtype));
                add(pattern, rtype, said(old), said(new));
            }
        },
    );
    let cnames = [old, new].map(|view| view.map_or(&[][..], ViewTable::cnames));
    merge(
        cnames,
        |cname| &cname.pattern,
        |pattern, old, new| {
            add(pattern, RecordType::CNAME, old.map(Said::from), new.map(Said::from));
        },
    );
    if let Some(changes) = changes.get_mut(first..) {
        changes.sort_by(|a, b| a.pattern.cmp(&b.pattern));
    }
}

/// Goes through two lists, the old and the new, that are sorted by pattern side by side.
fn merge<'t, T>(
    lists: [&'t [T]; 2],
    pattern: impl Fn(&'t T) -> &'t Pattern,
    mut each: impl FnMut(&'t Pattern, Option<&'t T>, Option<&'t T>),
) {
    let [mut old, mut new] = lists.map(|list| list.iter().peekable());
    loop {
        let (before, after) = match (old.peek(), new.peek()) {
            (None, None) => return,
            (Some(_), None) => (old.next(), None),
            (None, Some(_)) => (None, new.next()),
            (Some(a), Some(b)) => match pattern(a).cmp(pattern(b)) {
                Ordering::Less => (old.next(), None),
                Ordering::Greater => (None, new.next()),
                Ordering::Equal => (old.next(), new.next()),
            },
        };
        if let Some(named) = after.or(before) {
            each(pattern(named), before, after);
        }
    }
}

// === impl ChangeKind ===

impl ChangeKind {
    /// How one is to be told after the other; `None` where they are alike.
    fn between(from: Option<Said>, to: Option<Said>) -> Option<Self> {
        match (from, to) {
            (None, None) => None,
            (Some(from), None) => Some(ChangeKind::Removed(from)),
            (None, Some(to)) => Some(ChangeKind::Added(to)),
            (Some(from), Some(to)) if from == to => None,
            (Some(from), Some(to)) => Some(ChangeKind::Changed { from, to }),
        }
    }
}

// === impl Change ===

/// `+ NAME A ADDRESS... (ENDPOINT, SERVICE)` or `+ NAME CNAME TARGET` of an alias, the same with `-` of what was
/// said, or `~ NAME A` with each thing that differs as `OLD -> NEW`. The view is not printed.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pattern, rtype) = (&self.pattern, self.rtype);
        match &self.kind {
            ChangeKind::Added(said) => write!(f, "+ {pattern} {rtype} {said}"),
            ChangeKind::Removed(said) => write!(f, "- {pattern} {rtype} {said}"),
            ChangeKind::Changed { from, to } => {
                write!(f, "~ {pattern} {rtype}")?;
                changed(f, "", from.data_text(), to.data_text())?;
                changed(f, " ttl", from.ttl(), to.ttl())?;
                from.write_other_changes(to, f)
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
        (!addresses.is_empty()).then(|| Said::Addresses {
            addresses,
            ttl: claim.ttl,
            negative_ttl: claim.negative_ttl,
            endpoint: claim.endpoint.clone(),
            service: claim.service.clone(),
        })
    }

    /// Who answers, where it is an endpoint of ours.
    pub fn endpoint(&self) -> Option<&EndpointId> {
        match self {
            Said::Addresses { endpoint, .. } => Some(endpoint),
            Said::Cname { lender, .. } => lender.as_ref().map(|it| &it.endpoint),
        }
    }

    /// Its service.
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Said::Addresses { service, .. } => Some(service),
            Said::Cname { lender, .. } => lender.as_ref().map(|it| &it.service),
        }
    }

    fn ttl(&self) -> Ttl {
        match self {
            Said::Addresses { ttl, .. } | Said::Cname { ttl, .. } => *ttl,
        }
    }

    fn data_text(&self) -> String {
        match self {
            Said::Addresses { addresses, .. } => {
                let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
                texts.join(" ")
            }
            Said::Cname { target, .. } => target.to_string(),
        }
    }

    /// What of `self` and `to` differs that neither data nor TTL is.
    fn write_other_changes(&self, to: &Said, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (
            Said::Addresses { negative_ttl, .. },
            Said::Addresses { negative_ttl: to_negative_ttl, .. },
        ) = (self, to)
        {
            changed(f, " negative ttl", negative_ttl, to_negative_ttl)?;
        }
        let by = |said: &Said| said.endpoint().map_or(AN_ALIAS.to_owned(), ToString::to_string);
        changed(f, " by", by(self), by(to))?;
        let services = self.service().zip(to.service());
        services.map_or(Ok(()), |(service, to)| changed(f, " service", service, to))
    }
}

impl From<&CnameClaim> for Said {
    fn from(cname: &CnameClaim) -> Self {
        let CnameClaim { target, ttl, lender, .. } = cname;
        Said::Cname { target: target.clone(), ttl: *ttl, lender: lender.clone() }
    }
}

/// `ADDRESS... (ENDPOINT, SERVICE)`, or `TARGET` and the same where it comes of an endpoint.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.data_text())?;
        match self.endpoint().zip(self.service()) {
            Some((endpoint, service)) => write!(f, " ({endpoint}, {service})"),
            None => Ok(()),
        }
    }
}
