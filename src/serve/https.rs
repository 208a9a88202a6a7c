//! Questions by HTTPS (RFC 8484), inside of HTTP/2 or HTTP/1.1.
//!
//! HTTP is only the envelope: each request that is one goes through the same session as a packet.
//! What is no question is told so in words, by a status of its own.

mod body;
mod request;

use std::{
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    header::{CACHE_CONTROL, HeaderValue},
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;

use self::{
    body::{Body, Occupied},
    request::{Refusal, question},
};
use super::{accept::Connection, connections::PIPELINE_MAX, tcp::QUEUED_OCTETS_MAX};
use crate::{
    answer::{Session, Step},
    telemetry::{HttpStatus, Proto},
    wire::freshness,
};

/// Requests of one connection at once. One less than there may be questions in hand: a permit is
/// kept for the request to come, as on the other streams.
const STREAMS_MAX: u32 = 63;
const _: () = assert!(STREAMS_MAX as usize + 1 == PIPELINE_MAX);
/// Octets of a request's head. A question of [`super::QUERY_MAX`] is 5,462 octets in a path, and
/// browsers send some 2 KiB of headers. 4,096 connections that all send so much hold 64 MiB.
const HEAD_LEN_MAX: u32 = 16 * 1024;
/// Octets that a client may send on one stream before we have read them: a question is less.
const STREAM_WINDOW: u32 = 8 * 1024;
/// The same for a connection; HTTP/2 knows no smaller one (RFC 9113 section 6.9.2).
const CONNECTION_WINDOW: u32 = 65_535;
/// Octets of a stream that are with the connection before the client has room for them.
const SEND_BUFFER: usize = 16 * 1024;
/// Streams that a client has reset before we looked at them. Past it the connection ends: this is
/// how "rapid reset" makes work (CVE-2023-44487).
const RESETS_MAX: usize = 20;
/// Streams that we have reset for a client's mistakes. Past it, likewise (CVE-2025-8671).
const OWN_RESETS_MAX: usize = 64;
/// How long the requests in hand may take once a connection is to end: an upstream's 3.5 s, and
/// the time to write.
const GRACE: Duration = Duration::from_secs(5);

/// What the requests of one connection share.
struct Exchange {
    connection: Arc<Connection>,
    path: Arc<str>,
    /// Locked to begin a question, which never waits.
    session: Mutex<Session>,
    /// A permit for each octet of answers that waits to be taken.
    room: Arc<Semaphore>,
}

/// Runs the streams of HTTP/2 where our other tasks run, so that the end waits for them.
#[derive(Clone)]
struct Tasks(TaskTracker);

/// A connection of either version, which can be asked to end when its requests have.
trait Graceful: Future<Output = Result<(), hyper::Error>> {
    fn end(self: Pin<&mut Self>);
}

/// Answers one connection's requests until it ends, falls idle, or we stop.
pub(super) async fn converse(
    stream: TlsStream<TcpStream>,
    path: Arc<str>,
    connection: &Arc<Connection>,
) -> io::Result<()> {
    // Kept for the request to come: without it, one that is in hand would look like none.
    let Ok(_next) = Arc::clone(connection.place.in_hand()).acquire_owned().await else {
        return Ok(());
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
    let session = connection.shared.responder.session(Proto::Https, rand::random());
    let exchange = Arc::new(Exchange {
        connection: Arc::clone(connection),
        path,
        session: Mutex::new(session),
        room: Arc::new(Semaphore::new(QUEUED_OCTETS_MAX)),
    });
    let service = service_fn(move |request| {
        let exchange = Arc::clone(&exchange);
        async move { Ok::<_, Infallible>(exchange.answer(request).await) }
    });
    let stream = TokioIo::new(stream);
    match is_http2 {
        true => {
            let served = http2::Builder::new(Tasks(connection.shared.tasks.clone()))
                .timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS_MAX)
                .max_header_list_size(HEAD_LEN_MAX)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_send_buf_size(SEND_BUFFER)
                .max_pending_accept_reset_streams(RESETS_MAX)
                .max_local_error_reset_streams(OWN_RESETS_MAX)
                .serve_connection(stream, service);
            drive(served, connection).await
        }
        false => {
            let served = http1::Builder::new()
                // Idle time is `drive`'s, a head that comes by drops included: it ends in order.
                .header_read_timeout(None)
                .max_buf_size(HEAD_LEN_MAX as usize)
                .serve_connection(stream, service);
            drive(served, connection).await
        }
    }
}

/// Runs a connection until it ends, and ends it when no request has come for too long: then all
/// that it has in hand is answered by far, or waits for a client that does not read.
async fn drive(served: impl Graceful, connection: &Connection) -> io::Result<()> {
    let mut served = pin!(served);
    loop {
        let left = connection.idle.saturating_sub(connection.place.quiet_for());
        if left.is_zero() {
            break;
        }
        tokio::select! {
            ended = served.as_mut() => return ended.map_err(io::Error::other),
            () = sleep(left) => (),
            () = connection.token.cancelled() => break,
        }
    }
    served.as_mut().end();
    timeout(GRACE, served).await?.map_err(io::Error::other)
}

// === impl Exchange ===

impl Exchange {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let wants_head = request.method() == Method::HEAD;
        let (mut response, status) = match self.try_answer(request).await {
            Ok(response) => (response, HttpStatus::Ok),
            Err(refusal) => (refusal.response(), refusal.status()),
        };
        if wants_head {
            // RFC 9110 section 9.3.2: never a body.
            *response.body_mut() = Body::text("");
        }
        self.connection.shared.responder.metrics().tls.answered(status);
        response
    }

    async fn try_answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let in_hand = Arc::clone(self.connection.place.in_hand()).acquire_owned().await;
        let in_hand = in_hand.map_err(|_| Refusal::OurMistake)?;
        let packet = question(request, &self.path).await?;
        self.connection.place.heard();
        let mut out = Vec::with_capacity(512);
        let Connection { client, listener, shared, .. } = &*self.connection;
        let step = {
            let mut session = self.session.lock().unwrap_or_else(|broken| broken.into_inner());
            session.begin_alone(&packet, *client, *listener, &mut out)
        };
        let (reply, in_hand) = match step {
            Step::Silence => return Err(Refusal::NotAQuery),
            Step::Reply => (out, in_hand),
            Step::Ask(query) => match Arc::clone(&shared.permits).try_acquire_owned() {
                Ok(permit) => {
                    // A task of its own: a client that resets the stream must not be able to drop
                    // what others may wait for, nor to have more in hand than it may.
                    let giving_up = shared.giving_up.clone();
                    let finished = shared.tasks.spawn(async move {
                        query.finish(&giving_up, &mut out).await;
                        drop(permit);
                        (out, in_hand)
                    });
                    finished.await.map_err(|_| Refusal::OurMistake)?
                }
                Err(_) => {
                    query.shed(&mut out);
                    (out, in_hand)
                }
            },
        };
        self.reply(reply, in_hand).await
    }

    /// A response that occupies what it occupies until the client has taken it.
    async fn reply(
        &self,
        reply: Vec<u8>,
        in_hand: OwnedSemaphorePermit,
    ) -> Result<Response<Body>, Refusal> {
        // Never longer: `wire` cuts a reply to what a stream can carry.
        let len = u16::try_from(reply.len()).map_err(|_| Refusal::OurMistake)?;
        let room = Arc::clone(&self.room).acquire_many_owned(len.into()).await;
        let room = room.map_err(|_| Refusal::OurMistake)?;
        let kept = cache_control(freshness(&reply));
        let body = Body::occupying(Bytes::from(reply), Occupied::new(room, in_hand));
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(hyper::header::CONTENT_TYPE, request::DNS_MESSAGE);
        headers.insert(CACHE_CONTROL, kept);
        Ok(response)
    }
}

/// How long an HTTP cache may keep an answer (RFC 8484 section 5.1).
fn cache_control(fresh: Option<Duration>) -> HeaderValue {
    let max_age = fresh.map(|fresh| format!("max-age={}", fresh.as_secs()));
    let header = max_age.and_then(|text| HeaderValue::from_str(&text).ok());
    header.unwrap_or(HeaderValue::from_static("no-store"))
}

// === impl Tasks ===

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

impl<S> Graceful for http1::Connection<TokioIo<TlsStream<TcpStream>>, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Graceful for http2::Connection<TokioIo<TlsStream<TcpStream>>, S, Tasks>
where
    S: hyper::service::HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
