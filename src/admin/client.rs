//! Asks a running daemon over its control socket.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::join;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::UnixStream, time::timeout};

pub use super::control::LOOKS_WITHIN;

/// For a whole question and its answer. The largest, all of 50,000 names, takes the daemon well
/// below a second to write.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Octets of an answer: 50,000 names in one view, each of three zones in 1.2 kB, are 60 MB.
const ANSWER_LEN_MAX: usize = 128 * 1024 * 1024;

/// Why a daemon did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No such file.
    #[error(
        "no daemon to ask: there is no socket {}; hubdns is not running, or runs with another \
         configuration or another [control] socket", path.display()
    )]
    NoSocket {
        /// The socket.
        path: PathBuf,
    },
    /// Its owner or mode says no.
    #[error(
        "not allowed to use the socket {}: run this as root, or as a member of the group that \
         owns it (below systemd: hubdns)", path.display()
    )]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// The file is there, and nobody listens.
    #[error(
        "no daemon to ask: nobody listens on {}; the daemon that made it has ended", path.display()
    )]
    Refused {
        /// The socket.
        path: PathBuf,
    },
    /// It cannot be reached for another reason.
    #[error("cannot connect to the socket {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// It accepts, and says nothing.
    #[error("the daemon did not answer on {} within {} s", path.display(), after.as_secs())]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// How long it was given.
        after: Duration,
    },
    /// What is to be asked for is no path.
    #[error("{path_and_query:?} cannot be asked for")]
    Path {
        /// It.
        path_and_query: String,
        /// What is wrong with it.
        #[source]
        source: hyper::http::Error,
    },
    /// It does not speak HTTP, or stopped in the middle.
    #[error("the conversation over {} broke off", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// How.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The status and the text that the daemon at `socket` answers to GET.
pub async fn get(socket: &Path, path_and_query: &str) -> Result<(u16, String), ClientError> {
    ask_within(socket, Method::GET, path_and_query, String::new(), ANSWER_WITHIN).await
}

/// The same of POST with a text, by which a question is asked that no path can hold.
pub async fn post_text(
    socket: &Path,
    path_and_query: &str,
    text: String,
) -> Result<(u16, String), ClientError> {
    ask_within(socket, Method::POST, path_and_query, text, ANSWER_WITHIN).await
}

/// The same of POST without one, by which something is changed: that may take the daemon longer than an
/// answer.
pub async fn post_within(
    socket: &Path,
    path_and_query: &str,
    after: Duration,
) -> Result<(u16, String), ClientError> {
    ask_within(socket, Method::POST, path_and_query, String::new(), after).await
}

pub(super) async fn ask_within(
    socket: &Path,
    method: Method,
    path_and_query: &str,
    body: String,
    after: Duration,
) -> Result<(u16, String), ClientError> {
    let exchange = timeout(after, exchange(socket, method, path_and_query, body)).await;
    exchange.unwrap_or_else(|_| Err(ClientError::TimedOut { path: socket.to_owned(), after }))
}

/// `path` with parameters behind it, whatever characters they have.
pub fn with_parameters(path: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    for (at, (key, value)) in parameters.iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        text.push_str(key);
        text.push('=');
        for byte in value.bytes() {
            // Unreserved characters stand for themselves (RFC 3986 section 2.3).
            match byte {
                b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
                byte if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
                byte => text.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    text
}

async fn exchange(
    socket: &Path,
    method: Method,
    path_and_query: &str,
    body: String,
) -> Result<(u16, String), ClientError> {
    let request = Request::builder()
        .method(method)
        .uri(path_and_query)
        .header(header::HOST, "localhost")
        .body(Full::new(Bytes::from(body)))
        .map_err(|source| ClientError::Path {
            path_and_query: path_and_query.to_owned(),
            source,
        })?;
    let stream =
        UnixStream::connect(socket).await.map_err(|error| ClientError::connect(socket, error))?;
    let broken = |source| ClientError::Broken { path: socket.to_owned(), source };
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(error.into()))?;
    let conversation = async move {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_LEN_MAX).collect().await?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    };
    // The connection ends when its sender is dropped; how it ends, the conversation has told.
    let (answer, _) = join(conversation, connection).await;
    answer.map_err(broken)
}

// === impl ClientError ===

impl ClientError {
    pub(super) fn connect(socket: &Path, source: io::Error) -> Self {
        let path = socket.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoSocket { path },
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            io::ErrorKind::ConnectionRefused => Self::Refused { path },
            _ => Self::Connect { path, source },
        }
    }
}
