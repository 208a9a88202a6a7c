//! Why there is no answer from upstream.

use std::time::Duration;

use crate::base::{Ede, ExtendedError, Rcode};

/// What stands between a question and an upstream's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// No upstream is configured, as in the demo.
    #[error("no upstream is configured, so only our own names are answered")]
    NoUpstream,
    /// The configuration says that names of this zone are not forwarded.
    #[error("the configuration refuses to forward this zone")]
    Refused,
    /// Silence until the deadline.
    #[error("no upstream answered within {0:?}")]
    TimedOut(Duration),
    /// Every upstream was unreachable.
    #[error("no upstream can be reached")]
    Network,
    /// No upstream proved to be the one configured.
    #[error("no upstream has proved by TLS to be the one configured")]
    Unproved,
    /// Upstreams answered, with nothing that could be used.
    #[error("no upstream gave an answer that can be used")]
    Unusable,
    /// We have no socket or memory to ask with.
    #[error("no socket is left to ask an upstream with")]
    NoSocket,
    /// Whoever could be asked sends what we ask back to us.
    #[error("a forwarding loop: the upstreams ask us for this name again")]
    Loop,
    /// The network would drop one more packet in this second.
    #[error("the upstreams take no more packets in this second")]
    OverBudget,
    /// Too many questions wait already.
    #[error("too many questions wait for upstreams")]
    Overloaded,
}

// === impl ForwardError ===

impl ForwardError {
    /// The code that a client gets. Never NXDOMAIN: not to know is not to deny.
    pub fn rcode(self) -> Rcode {
        match self {
            ForwardError::Refused => Rcode::REFUSED,
            ForwardError::NoUpstream
            | ForwardError::TimedOut(_)
            | ForwardError::Network
            | ForwardError::Unproved
            | ForwardError::Unusable
            | ForwardError::NoSocket
            | ForwardError::Loop
            | ForwardError::OverBudget
            | ForwardError::Overloaded => Rcode::SERVFAIL,
        }
    }

    /// A word, for the query log.
    pub fn word(self) -> &'static str {
        match self {
            ForwardError::NoUpstream => "no_upstream",
            ForwardError::Refused => "zone_refused",
            ForwardError::TimedOut(_) => "timeout",
            ForwardError::Network => "network",
            ForwardError::Unproved => "tls",
            ForwardError::Unusable => "unusable",
            ForwardError::NoSocket => "local",
            ForwardError::Loop => "loop",
            ForwardError::OverBudget => "budget",
            ForwardError::Overloaded => "overloaded",
        }
    }

    /// The extended error that tells why (RFC 8914 section 4).
    pub fn extended(self) -> ExtendedError {
        let code = match self {
            ForwardError::Refused => Ede::PROHIBITED,
            // RFC 8914 has no code of its own for a loop, so the text tells.
            ForwardError::NoUpstream
            | ForwardError::NoSocket
            | ForwardError::Loop
            | ForwardError::OverBudget
            | ForwardError::Overloaded => Ede::OTHER,
            ForwardError::TimedOut(_) | ForwardError::Unusable => Ede::NO_REACHABLE_AUTHORITY,
            ForwardError::Network | ForwardError::Unproved => Ede::NETWORK_ERROR,
        };
        ExtendedError { code, text: self.to_string().into() }
    }
}
