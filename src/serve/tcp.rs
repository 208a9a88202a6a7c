//! Questions on a stream, by TCP (RFC 7766) or inside of TLS (RFC 7858): pipelined, answered as they
//! finish.
//!
//! A connection is a reader and a writer that wait for each other nowhere but at a limit, so a
//! client that reads slowly delays nobody, and one that asks no more still gets its answers.

use std::{io, sync::Arc, time::Duration};

use futures_util::stream::{Stream, StreamExt, try_unfold};
use hickory_server::server::TimeoutStream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use super::{accept::Connection, connections::PIPELINE_MAX};
use crate::{
    answer::{Pending, Step},
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
/// How long a client may take for one answer of at most 65,537 octets.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// An answer on its way, with all that it occupies until it is written.
struct Answer {
    framed: Vec<u8>,
    _room: OwnedSemaphorePermit,
    _in_hand: OwnedSemaphorePermit,
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

/// The questions of a connection, until its end or until none has come for `idle`.
fn questions(
    reader: impl AsyncRead + Unpin,
    idle: Duration,
) -> TimeoutStream<impl Stream<Item = io::Result<Vec<u8>>> + Unpin> {
    let questions = try_unfold(reader, |mut reader| async move {
        Ok(read_message(&mut reader).await?.map(|question| (question, reader)))
    });
    TimeoutStream::new(Box::pin(questions), idle)
}

/// Reads questions. When it returns well, the answers that are still to come keep the queue open.
async fn read(
    reader: impl AsyncRead + Unpin,
    answers: Answers,
    proto: Proto,
    connection: &Connection,
) -> io::Result<()> {
    let Connection { client, listener, shared, place, idle, token } = connection;
    let mut session = shared.responder.session(proto, rand::random()).keeping(*idle);
    let mut questions = questions(reader, *idle);
    let mut out = Vec::with_capacity(512);
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = Arc::clone(place.in_hand()).acquire_owned().await.ok()?;
            Some((questions.next().await?, permit))
        };
        let asked = tokio::select! {
            () = token.cancelled() => break,
            asked = next => asked,
        };
        let (packet, in_hand) = match asked {
            Some((Ok(packet), permit)) => (packet, permit),
            // Idle: it is closed when it has its answers.
            Some((Err(error), _)) if error.kind() == io::ErrorKind::TimedOut => break,
            Some((Err(error), _)) => return Err(error),
            // The client has no more questions, and may still want its answers (half closed).
            None => break,
        };
        place.heard();
        match session.begin_alone(&packet, *client, *listener, &mut out) {
            Step::Silence => (),
            Step::Reply => answers.send(&out, in_hand).await,
            Step::Ask(query) => match Arc::clone(&shared.permits).try_acquire_owned() {
                Ok(permit) => {
                    let answers = answers.clone();
                    shared.tasks.spawn(finish(query, answers, in_hand, permit));
                }
                Err(_) => {
                    query.shed(&mut out);
                    answers.send(&out, in_hand).await;
                }
            },
        }
    }
    place.reads_no_more();
    Ok(())
}

/// Waits for an upstream, and then for room in the queue.
async fn finish(
    query: Box<Pending>,
    answers: Answers,
    in_hand: OwnedSemaphorePermit,
    permit: OwnedSemaphorePermit,
) {
    let mut out = Vec::with_capacity(512);
    query.finish(&mut out).await;
    tokio::select! {
        () = answers.send(&out, in_hand) => (),
        // A connection that has ended has nobody to tell.
        () = answers.queue.closed() => (),
    }
    drop(permit);
}

/// One message behind the two octets of its length (RFC 1035 section 4.2.2); `None` at the end,
/// wherever it comes. The buffer grows with what has come, not with what was announced.
async fn read_message(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let announced = match reader.read_u16().await {
        Ok(announced) => announced,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut message = Vec::with_capacity(usize::from(announced).min(512));
    let read = reader.take(announced.into()).read_to_end(&mut message).await?;
    Ok((read == usize::from(announced)).then_some(message))
}

/// Writes answers as they come, until there can be no more.
async fn write(
    mut writer: impl AsyncWrite + Unpin,
    mut queued: mpsc::Receiver<Answer>,
) -> io::Result<()> {
    while let Some(answer) = queued.recv().await {
        let written = async {
            writer.write_all(&answer.framed).await?;
            // TLS may hold the end of it back.
            writer.flush().await
        };
        timeout(WRITE_MAX, written).await??;
    }
    timeout(WRITE_MAX, writer.shutdown()).await?
}

// === impl Answers ===

impl Answers {
    /// Queues a reply when there is room for it.
    async fn send(&self, reply: &[u8], in_hand: OwnedSemaphorePermit) {
        // A reply is never longer: `wire` cuts it to what a stream can carry.
        let Ok(len) = u16::try_from(reply.len()) else { return };
        let room = Arc::clone(&self.room).acquire_many_owned(u32::from(len) + 2).await;
        let Ok(_room) = room else { return };
        let framed = [&len.to_be_bytes(), reply].concat();
        // A connection that has ended has nobody to tell.
        let _ = self.queue.send(Answer { framed, _room, _in_hand: in_hand }).await;
    }
}
