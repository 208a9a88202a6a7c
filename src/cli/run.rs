//! `hubdns run`: the daemon.

use std::{path::Path, process::ExitCode};

use tokio::runtime::Builder;

use super::{args::ConfigArgs, color, complain};
use crate::{
    app::{Daemon, Loader, StartError, try_places},
    config::{self, Config, ConfigErrors, Problem, render_all},
    telemetry::init_log,
};

/// Overrides what is logged, as in `hubdns=debug`.
const LOG_VARIABLE: &str = "HUBDNS_LOG";

pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let config = match load(&args.config) {
        Ok(config) => config,
        Err(text) => return refuse(&text),
    };
    // All at once: an address that is taken is told before anything is started.
    let problems = try_places(&config, &|_| false);
    if !problems.is_empty() {
        return refuse(&render_all(&problems, color()));
    }
    start_log(&config);
    for warning in &config.warnings {
        tracing::warn!(%warning, "configuration");
    }
    let path = args.config.clone();
    serve(config, Box::new(move || config::load(&path)), |_| ())
}

/// Builds the daemon and runs it to its end.
pub(super) fn serve(
    config: Config,
    loader: Loader,
    ready: impl FnOnce(&[std::net::SocketAddr]),
) -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let daemon = Daemon::build(config, loader).await?;
        daemon.run(ready).await
    });
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(StartError::Problems(problems)) => refuse(&render_all(&problems, color())),
        Err(error) => Err(error.into()),
    }
}

/// The configuration, or every problem as text.
pub(super) fn load(path: &Path) -> Result<Config, String> {
    config::load(path).map_err(|errors: ConfigErrors| errors.render(color()))
}

/// Prints problems and says that nothing was started.
pub(super) fn refuse(problems: &str) -> anyhow::Result<ExitCode> {
    complain(problems);
    Ok(ExitCode::FAILURE)
}

/// Warnings as text, for commands that do not log.
pub(super) fn warn(warnings: &[Problem]) {
    if !warnings.is_empty() {
        complain(&render_all(warnings, color()));
    }
}

#[expect(clippy::disallowed_methods, reason = "a knob for debugging, not a setting")]
fn start_log(config: &Config) {
    init_log(config.log, std::env::var(LOG_VARIABLE).ok().as_deref(), color());
}
