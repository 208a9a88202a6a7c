//! Which queries are told, and where.

use std::{net::SocketAddr, path::PathBuf};

use crate::base::{Name, Rcode, ViewName};

/// What may be decided of a query, in a word: those of `explain`, and of what is no question that can
/// be read, or above its client's rate.
pub const DECISIONS: [&str; 8] =
    ["answer", "nodata", "cname", "forward", "server", "refuse", "reject", "limit"];

/// Who is told of queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObserversConfig {
    /// `[log]`, as far as it is about queries.
    pub log: QueryLogConfig,
    /// `[dnstap]`; `None` without a socket.
    pub dnstap: Option<DnstapConfig>,
    /// `[otlp]`; `None` without a collector.
    pub otlp: Option<OtlpConfig>,
}

/// `[otlp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpConfig {
    /// The address of `endpoint`, which is a URL.
    pub address: SocketAddr,
    /// Its path.
    pub path: String,
    /// `queries`.
    pub rate: Rate,
}

/// `[dnstap]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnstapConfig {
    /// `socket`: the receiver's.
    pub socket: PathBuf,
    /// `queries`.
    pub rate: Rate,
}

/// `[log]`, as far as it is about queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryLogConfig {
    /// `queries`.
    pub rate: Rate,
    /// `queries_file`: a file to append to; `None` is standard output.
    pub file: Option<PathBuf>,
    /// `[log.only]`.
    pub filter: Filter,
}

/// How many of the queries are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// None.
    Off,
    /// One in so many, by chance; 1 is all. Not 0.
    OneIn(u32),
}

/// Which of those are told. A list that is empty leaves nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// By the client's view.
    pub views: Vec<ViewName>,
    /// By the decision's word, as `explain` has it.
    pub decisions: Vec<String>,
    /// By the code that the client was told.
    pub rcodes: Vec<Rcode>,
    /// By the name asked for: these, and all below them.
    pub names: Vec<Name>,
}

// === impl ObserversConfig ===

impl ObserversConfig {
    /// Nobody is.
    pub const NOBODY: ObserversConfig =
        ObserversConfig { log: QueryLogConfig::OFF, dnstap: None, otlp: None };
}

// === impl QueryLogConfig ===

impl QueryLogConfig {
    /// Nothing is told.
    pub const OFF: QueryLogConfig = QueryLogConfig {
        rate: Rate::Off,
        file: None,
        filter: Filter {
            views: Vec::new(),
            decisions: Vec::new(),
            rcodes: Vec::new(),
            names: Vec::new(),
        },
    };
}

// === impl Filter ===

impl Filter {
    /// Whether a query is to be told. `name_wire` is the name in wire form and lower case; empty
    /// where none could be read, and `rcode` is `None` where nothing was answered.
    pub(super) fn lets(
        &self,
        view: &ViewName,
        decision: &str,
        rcode: Option<Rcode>,
        name_wire: &[u8],
    ) -> bool {
        let any = |is_empty: bool, found: bool| is_empty || found;
        any(self.views.is_empty(), self.views.contains(view))
            && any(self.decisions.is_empty(), self.decisions.iter().any(|it| it == decision))
            && any(self.rcodes.is_empty(), rcode.is_some_and(|it| self.rcodes.contains(&it)))
            && any(self.names.is_empty(), self.names.iter().any(|it| is_within(name_wire, it)))
    }
}

/// Whether a name in wire form is `domain` or below it: it ends with its octets, and where they
/// begin a label begins.
fn is_within(name_wire: &[u8], domain: &Name) -> bool {
    let mut rest = name_wire;
    loop {
        if rest == domain.as_wire() {
            return true;
        }
        rest = match rest {
            [0, ..] | [] => return false,
            [len, tail @ ..] => tail.get(usize::from(*len)..).unwrap_or_default(),
        };
    }
}
