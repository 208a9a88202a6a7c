//! The body of a response, which occupies its connection's room until the client has taken it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::body::{Bytes, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

/// Octets handed on at once. HTTP/2 takes a frame as soon as the client has room for one octet of
/// it, and keeps the rest: 63 streams hold 252 kB by this, and would hold 4 MB by whole answers.
const FRAME_MAX: usize = 4_096;

/// A response's body.
pub(super) struct Body {
    left: Bytes,
    _occupied: Option<Occupied>,
}

/// What an answer occupies until it is taken.
pub(super) struct Occupied {
    _room: OwnedSemaphorePermit,
    _in_hand: OwnedSemaphorePermit,
}

// === impl Body ===

impl Body {
    /// An answer.
    pub(super) fn occupying(octets: Bytes, occupied: Occupied) -> Self {
        Self { left: octets, _occupied: Some(occupied) }
    }

    /// A few words.
    pub(super) fn text(text: &'static str) -> Self {
        Self { left: Bytes::from_static(text.as_bytes()), _occupied: None }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.left.len().min(FRAME_MAX);
        match next {
            0 => Poll::Ready(None),
            next => Poll::Ready(Some(Ok(Frame::data(self.left.split_to(next))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.left.len()).unwrap_or(u64::MAX))
    }
}

// === impl Occupied ===

impl Occupied {
    pub(super) fn new(room: OwnedSemaphorePermit, in_hand: OwnedSemaphorePermit) -> Self {
        Self { _room: room, _in_hand: in_hand }
    }
}
