//! Which clients another table puts into another view.
//!
//! The networks that either table names cut all addresses into parts, within which everybody is
//! treated alike; so one client of each part, at each listener that a rule names, stands for all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnet::IpNet;

use crate::{
    base::ViewName,
    table::{AnswerTable, Change, diff_views},
};

/// An address that no rule names: port 0 is nobody's.
const ANY_OTHER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Whose answers a client gets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Those of this view.
    View(ViewName),
    /// Nobody's: it is not one of `clients.allow`.
    Refused,
}

/// Clients that come from one audience to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Who they are.
    pub networks: Vec<Part>,
    /// Which address of ours they ask; `None` where that makes no difference, or is none of those
    /// that a rule names.
    pub listener: Option<SocketAddr>,
    /// Where they were.
    pub from: Audience,
    /// Where they come to.
    pub to: Audience,
    /// What they are answered otherwise; empty when both say the same or one of them nothing.
    pub changes: Vec<Change>,
}

/// A network, and what of it is treated otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    /// The network.
    pub network: IpNet,
    /// Networks in it that are not meant.
    pub except: Vec<IpNet>,
}

/// A network of either table, and those right below it.
struct Cut {
    network: IpNet,
    parent: Option<usize>,
    inner: Vec<IpNet>,
}

/// Everybody whose audience differs, in groups that go the same way.
pub(super) fn moves(old: &AnswerTable, new: &AnswerTable) -> Vec<Move> {
    let rules = || [old, new].into_iter().flat_map(AnswerTable::views).filter_map(|it| it.rule());
    let mut networks: BTreeSet<IpNet> =
        rules().flat_map(|it| &it.clients).map(IpNet::trunc).collect();
    networks.extend([old, new].into_iter().flat_map(AnswerTable::allowed));
    let mut listeners: BTreeSet<SocketAddr> =
        rules().flat_map(|it| &it.listeners).copied().collect();
    listeners.insert(ANY_OTHER);
    let cuts = cuts(networks);
    let mut moves = Vec::new();
    for listener in listeners {
        let ways: Vec<_> = cuts
            .iter()
            .map(|cut| {
                let client = cut.client()?;
                let way = [old, new].map(|table| Audience::of(table, client, listener));
                (way[0] != way[1]).then_some(way)
            })
            .collect();
        let mut groups: BTreeMap<&[Audience; 2], Vec<Part>> = BTreeMap::new();
        for (cut, way) in cuts.iter().zip(&ways) {
            let Some(way) = way else { continue };
            let goes_with = |at: &usize| ways.get(*at).is_some_and(|it| it.as_ref() == Some(way));
            if cut.parent.as_ref().is_some_and(goes_with) {
                continue;
            }
            groups.entry(way).or_default().push(part(&cuts, &ways, cut, way));
        }
        for ([from, to], networks) in groups {
            moves.push(Move {
                networks,
                listener: (listener != ANY_OTHER).then_some(listener),
                from: from.clone(),
                to: to.clone(),
                changes: changes(old, new, from, to),
            });
        }
    }
    without_repetition(moves)
}

/// A way that is the same at every listener is told once.
fn without_repetition(moves: Vec<Move>) -> Vec<Move> {
    let others: Vec<Move> = moves.iter().filter(|it| it.listener.is_none()).cloned().collect();
    let is_told = |it: &Move| {
        let same = |other: &Move| {
            (&other.networks, &other.from, &other.to) == (&it.networks, &it.from, &it.to)
        };
        it.listener.is_some() && others.iter().any(same)
    };
    moves.into_iter().filter(|it| !is_told(it)).collect()
}

/// A network without those right below it that go another way, or none.
fn part(cuts: &[Cut], ways: &[Option<[Audience; 2]>], cut: &Cut, way: &[Audience; 2]) -> Part {
    let goes_with = |inner: &IpNet| {
        let at = cuts.iter().position(|it| it.network == *inner);
        at.and_then(|at| ways.get(at)).is_some_and(|it| it.as_ref() == Some(way))
    };
    let except = cut.inner.iter().filter(|inner| !goes_with(inner)).copied().collect();
    Part { network: cut.network, except }
}

/// What those who go are answered otherwise. Who is refused, before or after, compares nothing.
fn changes(old: &AnswerTable, new: &AnswerTable, from: &Audience, to: &Audience) -> Vec<Change> {
    let (Audience::View(from), Audience::View(to)) = (from, to) else { return Vec::new() };
    match (old.view(from.as_str()), new.view(to.as_str())) {
        (Some(from), Some(to)) => diff_views(from, to),
        (None, _) | (_, None) => Vec::new(),
    }
}

/// The networks as a tree: sorted, so that each stands behind those that hold it.
fn cuts(networks: BTreeSet<IpNet>) -> Vec<Cut> {
    let mut networks: Vec<IpNet> = networks.into_iter().collect();
    networks.sort_by_key(|it| (it.network(), it.prefix_len()));
    let mut cuts: Vec<Cut> = Vec::with_capacity(networks.len());
    for network in networks {
        let parent = cuts.iter().rposition(|outer| outer.network.contains(&network));
        if let Some(outer) = parent.and_then(|at| cuts.get_mut(at)) {
            outer.inner.push(network);
        }
        cuts.push(Cut { network, parent, inner: Vec::new() });
    }
    cuts
}

// === impl Cut ===

impl Cut {
    /// The first address that is in none of the inner networks, which are sorted and apart.
    fn client(&self) -> Option<IpAddr> {
        let mut candidate = Some(self.network.network());
        for inner in &self.inner {
            match candidate {
                Some(ip) if inner.contains(&ip) => candidate = after(inner.broadcast()),
                Some(_) | None => break,
            }
        }
        candidate.filter(|ip| self.network.contains(ip))
    }
}

/// The next address; `None` behind the last one.
fn after(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
    }
}

// === impl Audience ===

impl Audience {
    fn of(table: &AnswerTable, client: IpAddr, listener: SocketAddr) -> Self {
        match table.admits(client) {
            true => Audience::View(table.view_for(client, listener).1.name().clone()),
            false => Audience::Refused,
        }
    }
}

/// `view NAME`, or `refused`.
impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Audience::View(name) => write!(f, "view {name}"),
            Audience::Refused => f.write_str("refused"),
        }
    }
}

// === impl Part ===

/// `10.0.0.0/8`, or `10.0.0.0/8 but not 10.1.0.0/16`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.network)?;
        for (at, inner) in self.except.iter().enumerate() {
            let before = if at == 0 { " but not" } else { "," };
            write!(f, "{before} {inner}")?;
        }
        Ok(())
    }
}
