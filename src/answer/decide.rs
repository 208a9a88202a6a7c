//! Decides what to do with one question.
//!
//! Pure: no clock, no I/O, no allocation. Every transport and `explain` come through here,
//! so what `explain` prints is what clients get.

use std::net::{IpAddr, SocketAddr};

use crate::{
    base::{Ede, Rcode, RecordType},
    policy::CnameClaim,
    table::{AnswerTable, Entry, Found, RecordSet, ViewTable},
    wire::Query,
};

/// Class IN (RFC 1035 section 3.2.4).
const CLASS_IN: u16 = 1;
/// Class CH, in which servers tell of themselves (RFC 4892).
const CLASS_CHAOS: u16 = 3;

/// Who asks, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vantage {
    /// The client's address; an IPv4 one as IPv4, whatever socket it came by.
    pub client: IpAddr,
    /// The address that was asked, of ours, with its port.
    pub listener: SocketAddr,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q> {
    /// The name in wire form and lower case.
    pub name_wire: &'q [u8],
    /// The type.
    pub rtype: RecordType,
    /// The class.
    pub class: u16,
    /// RD: we may ask others.
    pub recursion_desired: bool,
}

/// A decision, and the view and zone in which it was taken.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'t> {
    /// The client's view.
    pub view: &'t ViewTable,
    /// The view's place among the table's views.
    pub view_index: usize,
    /// The availability zone the client is known to be in, by name or id.
    pub az: Option<&'t str>,
    /// What to do.
    pub decision: Decision<'t>,
}

/// What we do with a well-formed question.
#[derive(Clone, Copy, Debug)]
pub enum Decision<'t> {
    /// The name is ours and has what is asked.
    Answer(&'t Entry, Told<'t>),
    /// The name is ours and has nothing of this type: NOERROR, no records, our SOA.
    NoData(&'t Entry),
    /// The name is ours and stands for another: what that one has is told behind it.
    Cname(&'t CnameClaim),
    /// The name is not ours. Ask upstream.
    Forward,
    /// The question is about this server, which answers if it was told to.
    Server(ServerFact),
    /// The question is not for us to answer.
    Refuse(Refusal),
}

/// What a server tells of itself in class CH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerFact {
    /// `version.bind` and `version.server`: what runs.
    Version,
    /// `id.server` and `hostname.bind`: which of many it is (RFC 4892).
    Identity,
    /// `hash.hubdns`: the hash of the table that is answered from, for other hubs.
    TableHash,
}

/// What is told of a name that is ours.
#[derive(Clone, Copy, Debug)]
pub enum Told<'t> {
    /// The addresses of that type.
    Records(&'t RecordSet),
    /// The SOA of the name.
    Soa,
    /// One small record in place of all of them (RFC 8482 section 4.2).
    Any,
}

/// Why a question is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The client is not in `clients.allow`.
    NotAllowed,
    /// A class other than IN.
    Class,
    /// A type that asks for a zone or a transaction.
    MetaType,
    /// RD is not set, and the name is not ours.
    NoRecursion,
}

/// Decides. The client's right to ask comes first, the table before everything else after it.
pub fn decide<'t>(table: &'t AnswerTable, asked: &Asked<'_>, vantage: &Vantage) -> Decided<'t> {
    let (view_index, view) = table.view_for(vantage.client, vantage.listener);
    let decision = match table.admits(vantage.client) {
        true => decide_in(view, asked),
        false => Decision::Refuse(Refusal::NotAllowed),
    };
    Decided { view, view_index, az: table.az_of(vantage.client), decision }
}

/// What this view says.
fn decide_in<'t>(view: &'t ViewTable, asked: &Asked<'_>) -> Decision<'t> {
    if asked.class != CLASS_IN {
        return match ServerFact::asked(asked) {
            Some(fact) => Decision::Server(fact),
            None => Decision::Refuse(Refusal::Class),
        };
    }
    if asked.rtype.is_meta() {
        return Decision::Refuse(Refusal::MetaType);
    }
    match view.find(asked.name_wire) {
        // The DS of a name belongs to its parent (RFC 4035 section 3.1.4.1), which is not ours.
        Some(found) if asked.rtype != RecordType::DS => match found {
            Found::Entry(entry) => told(entry, asked.rtype),
            Found::Cname(cname) => Decision::Cname(cname),
        },
        Some(_) | None if asked.recursion_desired => Decision::Forward,
        Some(_) | None => Decision::Refuse(Refusal::NoRecursion),
    }
}

/// What a name that is ours has of this type.
fn told(entry: &Entry, rtype: RecordType) -> Decision<'_> {
    match rtype {
        RecordType::SOA => Decision::Answer(entry, Told::Soa),
        RecordType::ANY => Decision::Answer(entry, Told::Any),
        rtype => match entry.records(rtype) {
            Some(records) => Decision::Answer(entry, Told::Records(records)),
            None => Decision::NoData(entry),
        },
    }
}

// === impl Vantage ===

impl Vantage {
    /// Who asks, with IPv4 clients of an IPv6 socket as IPv4.
    pub fn new(client: IpAddr, listener: SocketAddr) -> Self {
        let listener = SocketAddr::new(listener.ip().to_canonical(), listener.port());
        Self { client: client.to_canonical(), listener }
    }
}

// === impl Asked ===

impl<'q> Asked<'q> {
    /// What a client's query asks.
    pub(super) fn by(query: &'q Query<'_>) -> Self {
        Self {
            name_wire: query.name_wire(),
            rtype: query.rtype,
            class: query.class,
            recursion_desired: query.recursion_desired,
        }
    }
}

// === impl Decision ===

impl Decision<'_> {
    /// One word, the same in `explain` and the log.
    pub fn word(&self) -> &'static str {
        match self {
            Decision::Answer(..) => "answer",
            Decision::NoData(_) => "nodata",
            Decision::Cname(_) => "cname",
            Decision::Forward => "forward",
            Decision::Server(_) => "server",
            Decision::Refuse(_) => "refuse",
        }
    }
}

// === impl ServerFact ===

impl ServerFact {
    /// A word, for the query log.
    pub fn word(self) -> &'static str {
        match self {
            ServerFact::Version => "version",
            ServerFact::Identity => "identity",
            ServerFact::TableHash => "table_hash",
        }
    }

    /// What is asked of this server; `None` for any other question.
    fn asked(asked: &Asked<'_>) -> Option<Self> {
        if asked.class != CLASS_CHAOS || asked.rtype != RecordType::TXT {
            return None;
        }
        match asked.name_wire {
            b"\x07version\x04bind\x00" | b"\x07version\x06server\x00" => Some(Self::Version),
            b"\x02id\x06server\x00" | b"\x08hostname\x04bind\x00" => Some(Self::Identity),
            b"\x04hash\x06hubdns\x00" => Some(Self::TableHash),
            _ => None,
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// A word, for the query log.
    pub fn word(self) -> &'static str {
        match self {
            Refusal::NotAllowed => "not_allowed",
            Refusal::Class => "class",
            Refusal::MetaType => "meta_type",
            Refusal::NoRecursion => "no_recursion",
        }
    }

    /// The code that a client gets.
    pub fn rcode(self) -> Rcode {
        Rcode::REFUSED
    }

    /// The extended error that tells why (RFC 8914 section 4).
    pub fn ede(self) -> Ede {
        match self {
            Refusal::NotAllowed => Ede::PROHIBITED,
            Refusal::Class | Refusal::MetaType => Ede::NOT_SUPPORTED,
            Refusal::NoRecursion => Ede::NOT_AUTHORITATIVE,
        }
    }

    /// A sentence for people.
    pub fn text(self) -> &'static str {
        match self {
            Refusal::NotAllowed => "the client is in none of the networks of clients.allow",
            Refusal::Class => "only class IN is served",
            Refusal::MetaType => "zone transfers and transaction types are not served",
            Refusal::NoRecursion => "the name is not ours and recursion was not asked for",
        }
    }
}
