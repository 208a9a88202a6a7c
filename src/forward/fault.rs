//! Why an exchange with an upstream gave nothing, and whose fault that is.
//!
//! Pure: what is done about it is its exchange's to decide.

use std::{io, sync::Arc};

use nix::errno::Errno;

use super::{budget::OverBudget, line::LineError};
use crate::{telemetry::UpstreamFailure, wire::RelayError};

/// Why a transmission cannot succeed any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("the network refused")]
    Network(#[source] io::Error),
    #[error("no socket or memory of ours to ask with")]
    Local(#[source] io::Error),
    #[error("the response cannot be used")]
    Unusable(#[source] RelayError),
    #[error("no answer by TLS")]
    Line(#[source] Arc<LineError>),
    #[error("the response does not fit the question")]
    Mismatch,
    #[error("the network would drop it: there were too many packets in this second")]
    OverBudget,
}

/// Whose fault it is that an exchange gave nothing.
pub(super) enum Blame {
    /// The upstream's, or that of the way to it.
    Upstream,
    /// The name's: every upstream would say the same.
    Name,
    /// Our own.
    Us,
}

// === impl ExchangeError ===

impl From<OverBudget> for ExchangeError {
    fn from(_: OverBudget) -> Self {
        ExchangeError::OverBudget
    }
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        match is_ours(&error) {
            true => ExchangeError::Local(error),
            false => ExchangeError::Network(error),
        }
    }
}

impl ExchangeError {
    /// The word for metrics.
    pub(super) fn reason(&self) -> UpstreamFailure {
        match self {
            ExchangeError::Network(_) => UpstreamFailure::Network,
            ExchangeError::Local(_) => UpstreamFailure::Local,
            ExchangeError::Line(error) => match &**error {
                LineError::Trust | LineError::Handshake(_) => UpstreamFailure::Tls,
                LineError::Connect(error) if is_ours(error) => UpstreamFailure::Local,
                LineError::Connect(_) | LineError::Ended => UpstreamFailure::Network,
            },
            ExchangeError::Unusable(_) | ExchangeError::Mismatch => UpstreamFailure::Unusable,
            ExchangeError::OverBudget => UpstreamFailure::Budget,
        }
    }

    /// Whose fault it was.
    pub(super) fn blame(&self) -> Blame {
        match self {
            ExchangeError::Local(_) | ExchangeError::OverBudget => Blame::Us,
            ExchangeError::Line(_) if self.reason() == UpstreamFailure::Local => Blame::Us,
            ExchangeError::Unusable(RelayError::ChainLoop | RelayError::ChainTooLong) => {
                Blame::Name
            }
            ExchangeError::Unusable(RelayError::Malformed | RelayError::Referral)
            | ExchangeError::Network(_)
            | ExchangeError::Line(_)
            | ExchangeError::Mismatch => Blame::Upstream,
        }
    }
}

/// Whether it is descriptors, memory or ports that we have used up.
pub(super) fn is_ours(error: &io::Error) -> bool {
    use Errno::{EADDRINUSE, EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    let code = error.raw_os_error().map(Errno::from_raw);
    // EAGAIN of a port: the kernel has none left, or the socket's buffer is full.
    matches!(code, Some(EMFILE | ENFILE | ENOBUFS | ENOMEM | EADDRINUSE | EAGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_ran_out_of_is_not_held_against_an_upstream() {
        let blame = |code: Errno| {
            let error = ExchangeError::from(io::Error::from_raw_os_error(code as i32));
            (matches!(error.blame(), Blame::Us), error.reason())
        };
        for code in [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS] {
            assert_eq!(blame(code), (true, UpstreamFailure::Local));
        }
        assert_eq!(blame(Errno::ECONNREFUSED), (false, UpstreamFailure::Network));
    }
}
