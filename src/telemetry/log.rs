//! Sets the log up, once, for the whole process.

use std::io;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::config::{LogConfig, LogFormat};

/// What is logged unless the operator says otherwise: ours from `info`, the libraries' warnings.
/// The SDK warns of credentials that it does not find, and then gives an error that says it again:
/// that one is told, on one line with its causes.
const DEFAULT_FILTER: &str = "warn,hubdns=info,aws_config=error";

/// Starts logging to standard error. `filter` is a tracing filter (`hubdns=debug`); one that
/// cannot be read is told and the default stands in. A second call changes nothing.
pub fn init(config: LogConfig, filter: Option<&str>, color: bool) {
    let wanted = filter.map(EnvFilter::try_new);
    let refused = matches!(wanted, Some(Err(_)));
    let chosen = match wanted {
        Some(Ok(filter)) => filter,
        Some(Err(_)) | None => EnvFilter::new(DEFAULT_FILTER),
    };
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(chosen);
    let started = match config.format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(lines.with_ansi(color)).try_init(),
    };
    if started.is_ok() && refused {
        tracing::warn!(filter, "the log filter cannot be read; the default is used");
    }
}
