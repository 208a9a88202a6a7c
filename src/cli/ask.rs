//! Asks a running daemon over its control socket.

use std::{net::SocketAddr, path::Path};

use crate::{
    admin::{
        client::{self, ClientError},
        json::{ErrorDocument, StatusDocument, from_text},
    },
    base::Chain,
    config::Config,
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

/// What the daemon at `socket` answers to an order. That none runs is an error: there is nobody to
/// carry it out.
pub(super) async fn order(socket: &Path, path: &str) -> anyhow::Result<String> {
    match client::post(socket, path).await {
        Ok((200, text)) => Ok(text),
        Ok((status, text)) => Err(refused(status, text)),
        Err(error) => Err(anyhow::anyhow!("{}", Chain(&error))),
    }
}

/// The same of an order that takes as long as a look at the sources.
pub(super) async fn order_look(socket: &Path, path: &str) -> anyhow::Result<String> {
    match client::post_look(socket, path).await {
        Ok((200, text)) => Ok(text),
        Ok((status, text)) => Err(refused(status, text)),
        Err(error) => Err(anyhow::anyhow!("{}", Chain(&error))),
    }
}

fn refused(status: u16, text: String) -> anyhow::Error {
    let error = from_text::<ErrorDocument>(&text).map(|document| document.error);
    anyhow::anyhow!("the daemon answers {status}: {}", error.unwrap_or(text))
}

/// The DNS addresses of the daemon that runs on this configuration; none when none runs.
pub(super) async fn listeners(config: &Config) -> Vec<SocketAddr> {
    let Ok(Some(text)) = daemon(config, "/api/v1/status").await else { return Vec::new() };
    let status = from_text::<StatusDocument>(&text);
    let mut listeners = status.map(|status| status.listeners).unwrap_or_default();
    // Whoever answers on the control socket holds its own admin address too.
    listeners.extend(config.admin.listen);
    listeners
}
