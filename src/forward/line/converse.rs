//! What goes on on one connection: queries out, answers in, and the end.

use std::{collections::HashMap, io, time::Duration};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{Order, State, Stream};

/// A connection that nobody has used for so long is closed (RFC 7858 section 3.4). Upstreams close
/// after 10 s to 2 min; a hub that is asked anything at all uses it more often than that.
const IDLE: Duration = Duration::from_secs(30);
/// Questions that wait for an answer at a time. Each has an id of its own, of 65,536: at 1,024 one
/// draw in 64 hits one that is taken.
const WAITING_MAX: usize = 1_024;
/// How often those that nobody waits for are dropped, and idle time is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// An upstream takes what is written within this, or its connection is worth nothing.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// Octets of the length in front of a message, and of an id.
const PAIR_LEN: usize = 2;

/// The questions that were written, by the id they were written with.
#[derive(Default)]
struct Waiting(HashMap<u16, Asked>);

struct Asked {
    order: Order,
    at: Instant,
}

/// Serves `orders` until the connection ends, or nobody is left who could order or waits.
pub(super) async fn converse(stream: Stream, mut orders: mpsc::Receiver<Order>, state: &State) {
    let (mut reader, mut writer) = split(stream);
    let mut waiting = Waiting::default();
    let mut received = BytesMut::new();
    let mut used_at = Instant::now();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_wanted = true;
    while is_wanted || !waiting.0.is_empty() {
        tokio::select! {
            order = orders.recv(), if is_wanted && waiting.0.len() < WAITING_MAX => match order {
                Some(order) => {
                    used_at = Instant::now();
                    state.unheard_since().get_or_insert(used_at);
                    if write(&mut writer, waiting.add(order, used_at)).await.is_err() {
                        break;
                    }
                }
                // A reload, or a newer connection in place of this one.
                None => is_wanted = false,
            },
            read = read(&mut reader, &mut received) => {
                if read.is_err() {
                    break;
                }
                while let Some(message) = next_message(&mut received) {
                    waiting.answer(message);
                }
                let now = Instant::now();
                *state.unheard_since() = (!waiting.0.is_empty()).then_some(now);
            }
            _ = look.tick() => {
                waiting.0.retain(|_, asked| !asked.order.answer.is_closed());
                if waiting.0.is_empty() && IDLE <= used_at.elapsed() {
                    break;
                }
            }
        }
    }
    // Who waits learns of the end by its answer's other end; said before, so that nobody orders.
    orders.close();
    let _ = timeout(WRITE_TIMEOUT, writer.shutdown()).await;
}

/// Reads what there is. Can be dropped and called again without losing any of it.
async fn read(reader: &mut ReadHalf<Stream>, received: &mut BytesMut) -> io::Result<()> {
    match reader.read_buf(received).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

async fn write(writer: &mut WriteHalf<Stream>, message: Vec<u8>) -> io::Result<()> {
    let written = async {
        let len = u16::try_from(message.len()).map_err(io::Error::other)?;
        // Length and query leave in one record (RFC 7766 section 8).
        writer.write_all(&[&len.to_be_bytes(), message.as_slice()].concat()).await?;
        writer.flush().await
    };
    timeout(WRITE_TIMEOUT, written).await?
}

/// The next whole message.
fn next_message(received: &mut BytesMut) -> Option<Vec<u8>> {
    let len = received.first_chunk::<PAIR_LEN>().copied().map(u16::from_be_bytes)?;
    let end = PAIR_LEN + usize::from(len);
    let message = received.get(PAIR_LEN..end)?.to_vec();
    received.advance(end);
    Some(message)
}

// === impl Waiting ===

impl Waiting {
    /// The message of an order, under an id that nobody else has.
    fn add(&mut self, order: Order, at: Instant) -> Vec<u8> {
        let id = loop {
            let id = rand::random();
            if !self.0.contains_key(&id) {
                break id;
            }
        };
        let message = with_id(order.message.clone(), id);
        self.0.insert(id, Asked { order, at });
        message
    }

    /// Gives a message to whoever waits for it; what nobody waits for any more is late.
    fn answer(&mut self, message: Vec<u8>) {
        let id = message.first_chunk().copied().map(u16::from_be_bytes);
        if let Some(Asked { order, at }) = id.and_then(|id| self.0.remove(&id)) {
            let own_id = order.message.first_chunk().copied().map(u16::from_be_bytes);
            let message = with_id(message, own_id.unwrap_or_default());
            // Whoever gave up needs no answer.
            let _ = order.answer.send((message, at.elapsed()));
        }
    }
}

/// The message with another id.
fn with_id(mut message: Vec<u8>, id: u16) -> Vec<u8> {
    if let Some(place) = message.first_chunk_mut() {
        *place = id.to_be_bytes();
    }
    message
}
