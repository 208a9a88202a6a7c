//! Questions on a stream, by TCP (RFC 7766) or inside of TLS (RFC 7858): pipelined, answered as they
//! finish.
//!
//! A connection is a reader and a writer that wait for each other nowhere but at a limit, so a
//! client that reads slowly delays nobody, and one that asks no more still gets its answers.

use std::{io, mem, sync::Arc, time::Duration};

use bytes::BytesMut;
use futures_util::stream::{Stream, StreamExt, try_unfold};
use hickory_server::server::TimeoutStream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{accept::Connection, connections::PIPELINE_MAX};
use crate::{
    answer::{Pending, Session, Step},
    telemetry::Proto,
};

/// Questions on connections that wait for upstreams, of all of them. Waiting costs some 2 kB, so
/// 4,096 are 8 MB; should all of them come to be answers of 65,535 octets that wait for room in
/// their connections' queues, 268 MB. Past it clients get SERVFAIL at once.
pub(super) const PENDING_MAX: usize = 4_096;
/// Octets of answers that wait to be taken by one client; four of the largest, and of common ones
/// hundreds. Past it they wait, and then so do its questions. All 4,096 connections full of them
/// would be 1 GB, which takes eight clients that `clients.allow` names and that read nothing, and
/// lasts for [`WRITE_MAX`].
pub(super) const QUEUED_OCTETS_MAX: usize = 256 * 1024;
/// Octets read in one go: some forty common questions.
const READ_AHEAD: usize = 2_048;
/// Octets of answers after which they are written though there are more: the clients that asked
/// first should not wait for all of a long batch.
const TOGETHER_MAX: usize = 4_096;
/// How long a client may take for answers that are written together, at most 69,632 octets.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// How long a connection may be without its first question when we stop. A client that was let in a
/// moment ago has it on the way, and would have to find out and connect again: a round trip.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(80);

/// One client's questions and their answers.
struct Conversation<'c> {
    connection: &'c Connection,
    session: Session,
    answers: Answers,
    /// Where an answer is written before it is framed.
    out: Vec<u8>,
}

/// Answers behind their lengths, with the places that their questions hold.
struct Framed {
    octets: Vec<u8>,
    in_hand: OwnedSemaphorePermit,
}

/// Answers on their way, with all that they occupy until they are written.
struct Answer {
    framed: Framed,
    _room: OwnedSemaphorePermit,
}

/// The way from an answer to the client that waits for it.
#[derive(Clone)]
struct Answers {
    queue: mpsc::Sender<Answer>,
    room: Arc<Semaphore>,
}

/// Answers one connection's questions until it ends, falls idle, or we stop; and then until what
/// it has in hand is written, as the client may only have ended its own side.
pub(super) async fn converse(
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin,
    proto: Proto,
    connection: &Connection,
) -> io::Result<()> {
    // As many as can be in hand: to put one in never waits.
    let (queue, queued) = mpsc::channel(PIPELINE_MAX);
    let answers = Answers { queue, room: Arc::new(Semaphore::new(QUEUED_OCTETS_MAX)) };
    tokio::try_join!(read(reader, answers, proto, connection), write(writer, queued))?;
    Ok(())
}

/// The questions of a connection as they come, one or more complete ones at a time behind their
/// lengths, until its end or until none has come for `idle`.
fn questions(
    reader: impl AsyncRead + Unpin,
    idle: Duration,
) -> TimeoutStream<impl Stream<Item = io::Result<BytesMut>> + Unpin> {
    let questions = try_unfold((reader, BytesMut::new()), |(mut reader, mut read)| async move {
        loop {
            let complete = read.len() - after_messages(&read).len();
            if 0 < complete {
                let questions = match complete == read.len() {
                    true => mem::take(&mut read),
                    false => read.split_to(complete),
                };
                return Ok(Some((questions, (reader, read))));
            }
            // It grows with what has come, not with what was announced.
            read.reserve(READ_AHEAD);
            if reader.read_buf(&mut read).await? == 0 {
                return Ok(None);
            }
        }
    });
    TimeoutStream::new(Box::pin(questions), idle)
}

/// The first message behind the two octets of its length (RFC 1035 section 4.2.2), and what follows.
fn split_message(read: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = read.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*len).into())
}

/// What comes behind the messages that are complete.
fn after_messages(mut read: &[u8]) -> &[u8] {
    while let Some((_, rest)) = split_message(read) {
        read = rest;
    }
    read
}

/// Reads questions. When it returns well, the answers that are still to come keep the queue open.
async fn read(
    reader: impl AsyncRead + Unpin,
    answers: Answers,
    proto: Proto,
    connection: &Connection,
) -> io::Result<()> {
    let Connection { shared, place, idle, token, .. } = connection;
    let session = shared.responder.session(proto, rand::random()).keeping(*idle);
    let mut questions = questions(reader, *idle);
    let mut conversation = Conversation { connection, session, answers, out: Vec::new() };
    let mut has_asked = false;
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = Arc::clone(place.in_hand()).acquire_owned().await.ok()?;
            Some((questions.next().await?, permit))
        };
        let asked = tokio::select! {
            () = ended(token, has_asked) => break,
            asked = next => asked,
        };
        match asked {
            Some((Ok(questions), permit)) => {
                place.heard();
                has_asked = true;
                conversation.answer(&questions, permit).await;
            }
            // Idle: it is closed when it has its answers.
            Some((Err(error), _)) if error.kind() == io::ErrorKind::TimedOut => break,
            Some((Err(error), _)) => return Err(error),
            // The client has no more questions, and may still want its answers (half closed).
            None => break,
        }
    }
    place.reads_no_more();
    Ok(())
}

/// Comes back when we stop; for a client that has only just come, when it has had the time to ask.
async fn ended(token: &CancellationToken, has_asked: bool) {
    token.cancelled().await;
    if !has_asked {
        sleep(FIRST_WAIT).await;
    }
}

// === impl Conversation ===

impl Conversation<'_> {
    /// Answers what came at once, and begins what has to wait. The first has its permit already.
    async fn answer(&mut self, mut questions: &[u8], permit: OwnedSemaphorePermit) {
        let Connection { client, listener, shared, place, .. } = self.connection;
        let came = Instant::now();
        let mut permit = Some(permit);
        let mut ready: Option<Framed> = None;
        while let Some((packet, rest)) = split_message(questions) {
            questions = rest;
            let free = permit.take();
            let free = free.or_else(|| Arc::clone(place.in_hand()).try_acquire_owned().ok());
            let is_long = ready.as_ref().is_some_and(|it| TOGETHER_MAX <= it.octets.len());
            if free.is_none() || is_long {
                // What is ready holds places that others wait for.
                self.session.settle(came);
                self.send(ready.take()).await;
            }
            let in_hand = match free {
                Some(permit) => permit,
                None => match Arc::clone(place.in_hand()).acquire_owned().await {
                    Ok(permit) => permit,
                    // It is never closed.
                    Err(_) => return,
                },
            };
            match self.session.begin(packet, *client, *listener, came, &mut self.out) {
                Step::Silence => (),
                Step::Reply => Framed::push(&mut ready, &self.out, in_hand),
                Step::Ask(query) => match Arc::clone(&shared.permits).try_acquire_owned() {
                    Ok(permit) => {
                        let (answers, ends) = (self.answers.clone(), shared.giving_up.clone());
                        shared.tasks.spawn(finish(query, answers, in_hand, permit, ends));
                    }
                    Err(_) => {
                        query.shed(&mut self.out);
                        Framed::push(&mut ready, &self.out, in_hand);
                    }
                },
            }
        }
        self.session.settle(came);
        // A connection may say nothing more for long.
        self.session.rest();
        self.send(ready).await;
    }

    async fn send(&self, ready: Option<Framed>) {
        if let Some(ready) = ready {
            self.answers.send(ready).await;
        }
    }
}

/// Waits for an upstream, and then for room in the queue.
async fn finish(
    query: Box<Pending>,
    answers: Answers,
    in_hand: OwnedSemaphorePermit,
    permit: OwnedSemaphorePermit,
    ends: CancellationToken,
) {
    let mut out = Vec::with_capacity(512);
    query.finish(&ends, &mut out).await;
    let mut ready = None;
    Framed::push(&mut ready, &out, in_hand);
    let Some(ready) = ready else { return };
    tokio::select! {
        () = answers.send(ready) => (),
        // A connection that has ended has nobody to tell.
        () = answers.queue.closed() => (),
    }
    drop(permit);
}

/// Writes answers as they come, until there can be no more.
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queued: mpsc::Receiver<Answer>,
) -> io::Result<()> {
    while let Some(answer) = queued.recv().await {
        let written = async {
            writer.write_all(&answer.framed.octets).await?;
            // TLS may hold the end of it back.
            writer.flush().await
        };
        timeout(WRITE_MAX, written).await??;
    }
    timeout(WRITE_MAX, writer.shutdown()).await?
}

// === impl Answers ===

impl Answers {
    /// Queues answers when there is room for them.
    async fn send(&self, framed: Framed) {
        // No more than `TOGETHER_MAX` and one answer, which is less than there is room for.
        let octets = u32::try_from(framed.octets.len()).unwrap_or(u32::MAX);
        let Ok(_room) = Arc::clone(&self.room).acquire_many_owned(octets).await else { return };
        // A connection that has ended has nobody to tell.
        let _ = self.queue.send(Answer { framed, _room }).await;
    }
}

// === impl Framed ===

impl Framed {
    /// Adds a reply to those that are ready.
    fn push(ready: &mut Option<Framed>, reply: &[u8], permit: OwnedSemaphorePermit) {
        // A reply is never longer: `wire` cuts it to what a stream can carry.
        let Ok(len) = u16::try_from(reply.len()) else { return };
        let octets = match ready {
            Some(framed) => {
                framed.in_hand.merge(permit);
                &mut framed.octets
            }
            None => {
                let octets = Vec::with_capacity(reply.len() + 2);
                &mut ready.insert(Framed { octets, in_hand: permit }).octets
            }
        };
        octets.extend_from_slice(&len.to_be_bytes());
        octets.extend_from_slice(reply);
    }
}

#[cfg(test)]
mod tests {
    use super::{after_messages, split_message};

    #[test]
    fn messages_are_cut_where_their_lengths_say_and_the_rest_waits() {
        let read = [0, 2, 7, 8, 0, 0, 0, 3, 1, 2];
        let (first, rest) = split_message(&read).unwrap();
        assert_eq!((first, rest.len()), (&[7, 8][..], 6));
        assert_eq!(after_messages(&read), [0, 3, 1, 2]);
        for partial in [&[][..], &[0], &[0, 1], &[1, 0, 9]] {
            assert_eq!((split_message(partial), after_messages(partial)), (None, partial));
        }
    }
}
