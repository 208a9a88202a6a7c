//! Asks a running daemon over its control socket.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{args::DaemonArgs, color, progress::waiting};
use crate::{
    admin::{
        client::{self, ClientError, with_parameters},
        json::{ErrorDocument, NamesDocument, Only, StatusDocument, from_text},
    },
    base::Chain,
    config::{self, Config, ConfigErrors},
};

/// Rows of names that are asked for at once: some 6 MB of text.
const PAGE_ROWS: usize = 5_000;
/// How often all pages are read from the first on.
const BEGUN_MAX: u32 = 3;

/// What a daemon refuses, with the status of HTTP and why.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) why: String,
}

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

/// What the daemon of this configuration says of names, whole or of one kind alone; `None` when none
/// runs.
pub(super) async fn names(
    config: &Config,
    only: Option<Only>,
) -> anyhow::Result<Option<NamesDocument>> {
    names_by(async |path| daemon(config, path).await, only).await
}

/// The same of the daemon at `socket`. That none runs is an error.
pub(super) async fn names_at(socket: &Path, only: Option<Only>) -> anyhow::Result<NamesDocument> {
    let told = names_by(async |path| look(socket, path).await.map(Some), only).await?;
    told.ok_or_else(|| anyhow::anyhow!("no daemon at {}", socket.display()))
}

/// Page by page, and anew where a table goes into force between two of them.
async fn names_by(
    ask: impl AsyncFn(&str) -> anyhow::Result<Option<String>>,
    only: Option<Only>,
) -> anyhow::Result<Option<NamesDocument>> {
    let rows = PAGE_ROWS.to_string();
    let mut whole: Option<NamesDocument> = None;
    let mut begun = 1;
    loop {
        let first = whole.as_ref().and_then(|known| known.next).unwrap_or_default().to_string();
        let mut parameters = vec![("rows", rows.as_str()), ("first", first.as_str())];
        parameters.extend(only.map(|only| ("only", only.word())));
        let path = with_parameters("/api/v1/names", &parameters);
        let Some(text) = ask(&path).await? else { return Ok(None) };
        let page: NamesDocument = from_text(&text)?;
        whole = match whole {
            None => Some(page),
            Some(mut known) => match known.append(page) {
                true => Some(known),
                false if begun < BEGUN_MAX => {
                    begun += 1;
                    None
                }
                false => anyhow::bail!(
                    "the table in force changed {BEGUN_MAX} times while its names were read; try again"
                ),
            },
        };
        if let Some(known) = whole.take_if(|known| known.next.is_none()) {
            return Ok(Some(known));
        }
    }
}

/// For an order, which may wait behind a reload, whose longest part is a disk that is slow to keep what
/// is known: that is given 10 s. What the control socket grants a connection is a minute.
pub(super) const CARRIED_OUT_WITHIN: Duration = Duration::from_secs(55);

/// What the daemon at `socket` answers to an order. That none runs is an error: there is nobody to
/// carry it out.
pub(super) async fn order(socket: &Path, path: &str) -> anyhow::Result<String> {
    let ordered = client::post_within(socket, path, CARRIED_OUT_WITHIN);
    match waiting("the daemon carries it out", ordered).await {
        Ok((200, text)) => Ok(text),
        Ok((status, text)) => Err(refused(status, text)),
        Err(error) => Err(anyhow::anyhow!("{}", Chain(&error))),
    }
}

pub(super) fn refused(status: u16, text: String) -> anyhow::Error {
    let error = from_text::<ErrorDocument>(&text).map(|document| document.error);
    let why = error.unwrap_or_else(|_| format!("the daemon answers {status}: {text}"));
    Refused { status, why }.into()
}

/// The control socket of the daemon meant, or why there is none.
pub(super) fn socket(daemon: &DaemonArgs) -> Result<PathBuf, String> {
    if let Some(socket) = &daemon.socket {
        return Ok(socket.clone());
    }
    // What is wrong elsewhere in the file is no matter: a daemon may run on what it was before.
    let config = match config::load(&daemon.config) {
        Ok(config) => config,
        Err(ConfigErrors::Wrong { rest: Some(rest), .. }) if rest.control_socket.is_some() => *rest,
        Err(errors) => {
            let help = "a daemon that runs is asked without the file by `--socket PATH`: in a unit \
                        /run/hubdns/control.sock";
            return Err(format!("{}\nhelp: {help}", errors.render(color()).trim_end()));
        }
    };
    config.control_socket.ok_or_else(|| {
        "hubdns: no daemon to ask: `control.socket` is \"\" in this configuration; name a socket \
         there and restart hubdns"
            .to_owned()
    })
}

/// The addresses of the daemon that runs on this configuration; none when none runs. One that runs and
/// may not be asked, or has opened nothing yet, is an error.
pub(super) async fn listeners(config: &Config) -> anyhow::Result<Option<Vec<SocketAddr>>> {
    let Some(text) = daemon(config, "/api/v1/status").await? else { return Ok(None) };
    let mut listeners = from_text::<StatusDocument>(&text)?.listeners;
    // It may have been handed some, which it reads as soon as it has a table.
    anyhow::ensure!(!listeners.is_empty(), "the daemon that runs has no table yet");
    // Whoever answers on the control socket holds its own admin address too.
    listeners.extend(config.admin.listen);
    Ok(Some(listeners))
}
