//! `hubdns run`: the daemon.

use std::{net::SocketAddr, path::Path, process::ExitCode, thread, time::Duration};

use super::{args::ConfigArgs, color, show};
use crate::{
    app::{
        Daemon, Held, Inheritance, Loader, Runtimes, StartError, certificate_doubts,
        is_below_systemd, now_secs, try_places, try_with,
    },
    config::{self, Config, ConfigErrors, Problem, render_all},
    telemetry::init_log,
};

/// Overrides what is logged, as in `hubdns=debug`.
const LOG_VARIABLE: &str = "HUBDNS_LOG";

/// The exit status of a configuration that is wrong whatever the machine, `EX_CONFIG` of sysexits(3).
/// The unit does not start hubdns again then, so it is nothing that may pass by itself.
const WRONG: u8 = 78;

/// Between two starts on a machine that lacks something, as an address that it does not have yet.
/// systemd starts us again after milliseconds, since after a crash each of them counts.
const LACKING_PAUSE: Duration = Duration::from_secs(1);

pub(super) fn run(args: &ConfigArgs) -> anyhow::Result<ExitCode> {
    let mut inheritance = Inheritance::take();
    let mut config = match config::load(&args.config) {
        Ok(config) => config,
        Err(errors) => {
            let held = Held { daemon: inheritance.addresses(), ..Held::default() };
            let errors = errors.and(|config| try_places(config, &held));
            show(&errors.render(color()));
            return Ok(ExitCode::from(WRONG));
        }
    };
    start_log(&config);
    let problems = try_with(&config, &mut inheritance);
    if !problems.is_empty() {
        return lacks(&problems);
    }
    config.warnings.extend(certificate_doubts(&config, now_secs()));
    for warning in &config.warnings {
        tracing::warn!(%warning, "configuration");
    }
    let path = args.config.clone();
    serve(config, Box::new(move || config::load(&path)), inheritance, |_| ())
}

/// Builds the daemon and runs it to its end.
pub(super) fn serve(
    config: Config,
    loader: Loader,
    inheritance: Inheritance,
    ready: impl FnOnce(&[SocketAddr]),
) -> anyhow::Result<ExitCode> {
    let ended = Runtimes::new()?.run(async |control| {
        let daemon = Daemon::build(config, loader, inheritance, control).await?;
        daemon.run(ready).await
    });
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(StartError::Problems(problems)) => lacks(&problems),
        Err(error) => Err(error.into()),
    }
}

/// The configuration, or every problem as text.
pub(super) fn load(path: &Path) -> Result<Config, String> {
    config::load(path).map_err(|errors: ConfigErrors| errors.render(color()))
}

/// The configuration in which `try_them` finds nothing, or every problem.
pub(super) fn load_and_try(
    path: &Path,
    try_them: &dyn Fn(&Config) -> Vec<Problem>,
) -> Result<Config, ConfigErrors> {
    match config::load(path) {
        Err(ConfigErrors::Wrong { problems, rest: Some(mut rest) }) => {
            rest.warnings.extend(certificate_doubts(&rest, now_secs()));
            Err(ConfigErrors::Wrong { problems, rest: Some(rest) }.and(try_them))
        }
        Err(errors) => Err(errors),
        Ok(mut config) => {
            config.warnings.extend(certificate_doubts(&config, now_secs()));
            match try_them(&config) {
                problems if problems.is_empty() => Ok(config),
                problems => Err(ConfigErrors::Wrong { problems, rest: Some(Box::new(config)) }),
            }
        }
    }
}

/// Prints problems and says that nothing was started.
pub(super) fn refuse(problems: &str) -> anyhow::Result<ExitCode> {
    show(problems);
    Ok(ExitCode::FAILURE)
}

/// Prints what this machine lacks for the configuration. Another start may find it.
fn lacks(problems: &[Problem]) -> anyhow::Result<ExitCode> {
    let refused = refuse(&render_all(problems, color()));
    if is_below_systemd() {
        thread::sleep(LACKING_PAUSE);
    }
    refused
}

/// Warnings as text, for commands that do not log.
pub(super) fn warn(warnings: &[Problem]) {
    if !warnings.is_empty() {
        show(&render_all(warnings, color()));
    }
}

#[expect(clippy::disallowed_methods, reason = "a knob for debugging, not a setting")]
fn start_log(config: &Config) {
    init_log(config.log, std::env::var(LOG_VARIABLE).ok().as_deref(), color());
}
