//! Load by DNS over HTTPS: kept HTTP/2 connections, on each so many requests under way.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http2::{SendRequest, handshake},
    header::{ACCEPT, CONTENT_TYPE},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{sync::Mutex, task::JoinSet};

use crate::{frames::runtime, question::Questions, stream::Connections, told::Told};

const MESSAGE: &str = "application/dns-message";

/// Every request under way of every connection is a task.
pub(crate) fn run(load: &Connections) -> Told {
    runtime().block_on(async {
        let began = Instant::now();
        let end = began + Duration::from_secs_f64(load.target.seconds);
        let uri: Arc<str> = format!("https://{}/dns-query", load.target.server).into();
        let (mut connections, mut requests) = (JoinSet::new(), JoinSet::new());
        for part in 0..load.connections {
            let stream = TokioIo::new(load.encrypted(b"h2").await);
            let (sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
            connections.spawn(connection);
            let questions = Arc::new(Mutex::new(load.target.mix.questions(part)));
            for _ in 0..load.window {
                requests.spawn(ask(sender.clone(), Arc::clone(&questions), Arc::clone(&uri), end));
            }
        }
        Told::of_all(requests).await
    })
}

/// One request after the other until `end`, or until the connection ends.
async fn ask(
    mut sender: SendRequest<Full<Bytes>>,
    questions: Arc<Mutex<Questions>>,
    uri: Arc<str>,
    end: Instant,
) -> Told {
    let mut told = Told::default();
    let began = Instant::now();
    while Instant::now() < end && sender.ready().await.is_ok() {
        let mut message = [0; 512];
        // RFC 8484 section 4.1: the id is 0, for the sake of caches.
        let (len, expected) = questions.lock().await.write(0, &mut message);
        let body = Full::new(Bytes::copy_from_slice(&message[..len]));
        let request = Request::post(&*uri).header(CONTENT_TYPE, MESSAGE).header(ACCEPT, MESSAGE);
        told.sent += 1;
        let Ok(response) = sender.send_request(request.body(body).unwrap()).await else { break };
        let Ok(body) = response.into_body().collect().await else { break };
        told.count(expected, &body.to_bytes());
    }
    told.elapsed = began.elapsed();
    told
}
