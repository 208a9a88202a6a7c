//! What we say, compiled: looked up by every query, compared and replaced by every refresh.
//!
//! A table is a value without a clock or a handle. Answers stand in it as the bytes that are sent;
//! where each comes from, and what was declined, stands beside them, so that `explain` is a
//! lookup. Lookups allocate nothing and never wait.

mod chooser;
mod clients;
mod compile;
mod diff;
mod hash;
mod publish;
mod records;
mod text;
mod view;
#[cfg(test)]
mod tests;

pub use compile::{compile, compile_beside};
pub use diff::{Change, ChangeKind, Said, diff, diff_views};
pub use hash::TableHash;
pub use publish::{Generation, Published, Publisher, Reader, channel};
pub use records::{RECORDS_MAX, RecordSet};
pub use view::{Entry, Found, ViewTable};

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;

use crate::{base::ServiceName, policy::ClientZone};
use chooser::Chooser;
use clients::Clients;

/// Everything we say, to everybody. Equal tables say the same for the same reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerTable {
    // First, so that a comparison of tables that differ ends here.
    hash: TableHash,
    clients: Clients,
    chooser: Chooser,
    /// In the order in which they match.
    named: Vec<Arc<ViewTable>>,
    rest: Arc<ViewTable>,
    /// Of every name, sorted.
    services: Arc<[ServiceName]>,
    has_cnames: bool,
}

// === impl AnswerTable ===

impl AnswerTable {
    /// The view of a client by the address it asked, and its place among [`views`](Self::views):
    /// the first that matches, else the last one, which is everybody else's. An IPv4 client of an
    /// IPv6 socket has to be given as IPv4.
    pub fn view_for(&self, client: IpAddr, listener: SocketAddr) -> (usize, &ViewTable) {
        if self.named.is_empty() {
            return (0, &self.rest);
        }
        let at = self.chooser.choose(client, listener);
        self.named.get(at).map_or((self.named.len(), &self.rest), |view| (at, view))
    }

    /// Whether `clients.allow` lets this client ask at all.
    pub fn admits(&self, client: IpAddr) -> bool {
        self.clients.admits(client)
    }

    /// `clients.allow`, in one order.
    pub fn allowed(&self) -> impl Iterator<Item = IpNet> {
        self.clients.allowed()
    }

    /// The name or id of the zone this client is in, by the longest prefix that `[zones]` or a subnet has.
    pub fn az_of(&self, client: IpAddr) -> Option<&str> {
        self.clients.az_of(client)
    }

    /// The same with the network by which it is, and who says so.
    pub fn zone_of(&self, client: IpAddr) -> Option<ClientZone> {
        self.clients.zone_of(client)
    }

    /// Whether any view has a name that stands for another.
    pub fn has_cnames(&self) -> bool {
        self.has_cnames
    }

    /// Every view in the order in which they match; the last is everybody else's.
    pub fn views(&self) -> impl Iterator<Item = &ViewTable> {
        self.shared_views().map(|view| &**view)
    }

    fn shared_views(&self) -> impl DoubleEndedIterator<Item = &Arc<ViewTable>> {
        self.named.iter().chain([&self.rest])
    }

    /// The services whose names are answered, sorted.
    pub fn services(&self) -> &Arc<[ServiceName]> {
        &self.services
    }

    /// The view of that name.
    pub fn view(&self, name: &str) -> Option<&ViewTable> {
        self.views().find(|view| view.name().as_str() == name)
    }

    /// The names answered, all views together.
    pub fn len(&self) -> usize {
        self.views().map(ViewTable::len).sum()
    }

    /// Whether no view has a name.
    pub fn is_empty(&self) -> bool {
        self.views().all(ViewTable::is_empty)
    }

    /// The same on every machine that says the same.
    pub fn hash(&self) -> TableHash {
        self.hash
    }
}
