//! A receiver of dnstap: a unix socket that takes frame streams, found again when it comes back.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    dnstap::{Exchange, Sender},
    line::Clocks,
    queue::{Exit, Found, LOOK},
};
use crate::telemetry::{Metrics, Untold};

/// What the frames are, as both sides call it.
const CONTENT: &[u8] = b"protobuf:dnstap.Dnstap";
/// Control frames of the protocol.
const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
/// The field of a control frame that names the content.
const FIELD_CONTENT: u32 = 1;
/// Octets of a control frame at most, as the protocol says.
const CONTROL_MAX: usize = 512;
/// How long a receiver may take to say something, or to take what is sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts to reach one: it is a local socket, and an attempt costs microseconds.
const RETRY: Duration = Duration::from_secs(1);
/// Octets that are sent at once.
const CHUNK: usize = 64 * 1024;

/// Sends exchanges to a receiver.
pub struct Frames {
    pub(super) exit: Exit<Exchange>,
    pub(super) socket: PathBuf,
    pub(super) sender: Sender,
    pub(super) metrics: Arc<Metrics>,
}

/// What is known of the receiver.
enum Receiver {
    /// It takes frames.
    There(UnixStream),
    /// It does not, and is tried again then.
    Gone(Instant),
}

// === impl Frames ===

impl Frames {
    /// Sends until nobody is left who could tell anything, or `is_ending` and all is sent.
    pub(super) fn run(self, wall: fn() -> Duration, is_ending: &dyn Fn() -> bool) {
        let mut receiver = Receiver::Gone(Instant::now());
        let mut told_gone = false;
        let mut frames = Vec::with_capacity(2 * CHUNK);
        loop {
            let (ending, now) = (is_ending(), Instant::now());
            if let Receiver::Gone(until) = receiver
                && until <= now
            {
                receiver = self.reach(now, &mut told_gone);
            }
            match self.turn(&mut receiver, Clocks::new(now, wall()), &mut frames) {
                Found::One(()) => (),
                Found::Nothing if !ending => thread::sleep(LOOK),
                Found::Nothing | Found::Closed => break,
            }
        }
        if let Receiver::There(mut stream) = receiver {
            // It may say that it has finished; there is nothing more that we would do.
            let _ = stream.write_all(&control(STOP, &[]));
            self.metrics.told.dnstap_connected.dec();
        }
    }

    fn reach(&self, now: Instant, told_gone: &mut bool) -> Receiver {
        let path = self.socket.display();
        match connect(&self.socket) {
            Ok(stream) => {
                tracing::info!(socket = %path, "a receiver of dnstap takes frames");
                *told_gone = false;
                // A reload has the next one there before this one ends.
                self.metrics.told.dnstap_connected.inc();
                Receiver::There(stream)
            }
            Err(error) => {
                if !*told_gone {
                    tracing::warn!(
                        socket = %path, %error,
                        "no receiver of dnstap takes frames; it is tried again each second"
                    );
                }
                *told_gone = true;
                Receiver::Gone(now + RETRY)
            }
        }
    }

    /// Sends what there is, up to a chunk. Without a receiver it is dropped: who comes later wants to
    /// hear of what is asked then.
    fn turn(&self, receiver: &mut Receiver, clocks: Clocks, frames: &mut Vec<u8>) -> Found<()> {
        frames.clear();
        let mut messages = 0;
        while frames.len() < CHUNK {
            match self.exit.next() {
                Found::One(exchange) => messages += exchange.write(&self.sender, clocks, frames),
                Found::Nothing if messages == 0 => return Found::Nothing,
                Found::Closed if messages == 0 => return Found::Closed,
                Found::Nothing | Found::Closed => break,
            }
        }
        let sent = match receiver {
            Receiver::There(stream) => stream.write_all(frames),
            Receiver::Gone(_) => {
                self.exit.untold(Untold::Write, messages);
                return Found::One(());
            }
        };
        match sent {
            Ok(()) => self.exit.told(messages),
            Err(error) => {
                // Half a frame may have been sent, so the stream is of no use any more.
                tracing::warn!(socket = %self.socket.display(), %error, "dnstap's receiver is gone");
                self.exit.untold(Untold::Write, messages);
                self.metrics.told.dnstap_connected.dec();
                *receiver = Receiver::Gone(Instant::now());
            }
        }
        Found::One(())
    }
}

/// Connects and agrees on the content: READY, ACCEPT, START.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&control(READY, CONTENT))?;
    let refused = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let (kind, fields) = read_control(&mut stream)?.ok_or_else(|| refused("no control frame"))?;
    let takes_ours = fields.is_empty() || fields.windows(CONTENT.len()).any(|it| it == CONTENT);
    match (kind, takes_ours) {
        (ACCEPT, true) => stream.write_all(&control(START, CONTENT))?,
        (ACCEPT, false) => return Err(refused("it takes no dnstap")),
        (_, _) => return Err(refused("it does not accept")),
    }
    Ok(stream)
}

/// A control frame: an empty data frame, then its own length, type and fields.
fn control(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut body = kind.to_be_bytes().to_vec();
    if !content.is_empty() {
        let len = u32::try_from(content.len()).unwrap_or_default();
        body.extend(FIELD_CONTENT.to_be_bytes());
        body.extend(len.to_be_bytes());
        body.extend(content);
    }
    let len = u32::try_from(body.len()).unwrap_or_default();
    [&[0; 4], &len.to_be_bytes()[..], &body].concat()
}

/// The type and the fields of the next control frame; `None` for what is none.
fn read_control(stream: &mut UnixStream) -> io::Result<Option<(u32, Vec<u8>)>> {
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let word = |at: usize| {
        let octets = head.get(at..at + 4).and_then(|octets| octets.try_into().ok());
        octets.map(u32::from_be_bytes).unwrap_or_default()
    };
    let len = usize::try_from(word(4)).unwrap_or(usize::MAX);
    if word(0) != 0 || !(4..=CONTROL_MAX).contains(&len) {
        return Ok(None);
    }
    let mut fields = vec![0; len - 4];
    stream.read_exact(&mut fields)?;
    Ok(Some((word(8), fields)))
}
