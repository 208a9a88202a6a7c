//! Asks a running daemon over its control socket.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{args::DaemonArgs, color};
use crate::{
    admin::{
        client::{self, ClientError},
        json::{ErrorDocument, StatusDocument, from_text},
    },
    base::Chain,
    config::{self, Config, ConfigErrors},
};

/// What the daemon of this configuration answers; `None` when none runs, and then the command goes
/// on without. A daemon that runs and cannot be asked is an error: its answer may differ.
pub(super) async fn daemon(config: &Config, path: &str) -> anyhow::Result<Option<String>> {
    let Some(socket) = &config.control_socket else { return Ok(None) };
    match client::get(socket, path).await {
        Ok((200, text)) => Ok(Some(text)),
        Ok((status, text)) => Err(refused(status, text)),
        Err(ClientError::NoSocket { .. } | ClientError::Refused { .. }) => Ok(None),
        Err(error) => Err(anyhow::anyhow!("{}", Chain(&error))),
    }
}

/// What the daemon at `socket` tells. That none runs is an error.
pub(super) async fn look(socket: &Path, path: &str) -> anyhow::Result<String> {
    match client::get(socket, path).await {
        Ok((200, text)) => Ok(text),
        Ok((status, text)) => Err(refused(status, text)),
        Err(error) => Err(anyhow::anyhow!("{}", Chain(&error))),
    }
}

/// What the daemon at `socket` answers to an order. That none runs is an error: there is nobody to
/// carry it out.
pub(super) async fn order(socket: &Path, path: &str) -> anyhow::Result<String> {
    match client::post(socket, path).await {
        Ok((200, text)) => Ok(text),
        Ok((status, text)) => Err(refused(status, text)),
        Err(error) => Err(anyhow::anyhow!("{}", Chain(&error))),
    }
}

pub(super) fn refused(status: u16, text: String) -> anyhow::Error {
    let error = from_text::<ErrorDocument>(&text).map(|document| document.error);
    anyhow::anyhow!("the daemon answers {status}: {}", error.unwrap_or(text))
}

/// The control socket of the daemon meant, or why there is none.
pub(super) fn socket(daemon: &DaemonArgs) -> Result<PathBuf, String> {
    if let Some(socket) = &daemon.socket {
        return Ok(socket.clone());
    }
    // What is wrong elsewhere in the file is no matter: a daemon may run on what it was before.
    let config = match config::load(&daemon.config) {
        Ok(config) => config,
        Err(ConfigErrors::Wrong { rest: Some(rest), .. }) => *rest,
        Err(errors) => return Err(errors.render(color())),
    };
    config.control_socket.ok_or_else(|| {
        "hubdns: no daemon to ask: `control.socket` is \"\" in this configuration; name a socket \
         there and restart hubdns"
            .to_owned()
    })
}

/// The addresses of the daemon that runs on this configuration; none when none runs. One that runs and
/// may not be asked is an error.
pub(super) async fn listeners(config: &Config) -> anyhow::Result<Vec<SocketAddr>> {
    let Some(text) = daemon(config, "/api/v1/status").await? else { return Ok(Vec::new()) };
    let mut listeners = from_text::<StatusDocument>(&text)?.listeners;
    // Whoever answers on the control socket holds its own admin address too.
    listeners.extend(config.admin.listen);
    Ok(listeners)
}
