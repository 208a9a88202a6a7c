//! A new configuration in place of the one in force: all of it, or nothing.

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

use super::{
    cookies::cookies,
    daemon::{Daemon, inputs, now_secs},
    effects::effects,
    handover::{hand_over, release_address},
    start::{
        Trusted, aws_hosts, certificate_doubts, in_force, lookup_by, query_log_problem,
        refused_problem, settings, tell_aws_hosts, trusted,
    },
    systemd::{notify, notify_reloading},
};
use crate::{
    admin::json::ReloadDocument,
    answer::Settings,
    base::{Chain, count},
    config::{self, Config, ConfigErrors, Problem},
    querylog::{Observers, Outlet},
    refresh::retire,
    serve::{Inherited, Opened, Refused, ServeConfig},
    telemetry::Span,
};

/// Reads the configuration again.
pub type Loader = Box<dyn Fn() -> Result<Config, ConfigErrors> + Send + Sync>;

/// The control loop never waits for AWS when it takes a configuration, only for a disk, and for a
/// processor where all are busy.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// What a person is told when it has not taken it by then.
const NOT_TAKEN_YET: &str = "warning: the control loop is busy: answers and sources are those of the \
                             configuration before until it has taken the new one, which it will; see \
                             `hubdns status`";

/// Where a daemon listens that is not to listen yet.
static NOWHERE: ServeConfig = ServeConfig::NOWHERE;

/// One reason to refuse a configuration.
struct Fault {
    /// In a line, for the log.
    line: String,
    /// With its place in the file and a caret, for a person.
    shown: String,
}

/// All that can fail has been done for it.
struct Acceptable {
    config: Config,
    trusted: Trusted,
    settings: Settings,
    outlets: Vec<Outlet>,
    opened: Opened,
}

/// A reload for who collects traces.
fn span(outcome: &ReloadDocument, began: Instant) -> Span {
    let refused = || format!("refused: {}", count(outcome.problems.len(), "problem", "problems"));
    Span {
        name: "reload",
        began,
        took: began.elapsed(),
        attributes: vec![("hubdns.changed", outcome.changed.join(", "))],
        error: (!outcome.done).then(refused),
        steps: Vec::new(),
    }
}

// === impl Fault ===

impl Fault {
    fn new(problem: &Problem) -> Self {
        Self { line: problem.to_string(), shown: problem.render(false) }
    }

    fn all(errors: &ConfigErrors) -> Vec<Self> {
        match errors {
            ConfigErrors::Unreadable { source, .. } => {
                let line = format!("{errors}: {source}");
                vec![Self { shown: format!("error: {line}"), line }]
            }
            ConfigErrors::Wrong { problems, .. } => problems.iter().map(Self::new).collect(),
        }
    }

    fn refused(config: &Config, refused: &Refused) -> Self {
        let problem = refused_problem(config, refused);
        let why = refused.source().map(|source| Chain(source).to_string());
        Self {
            line: format!("{problem}: {}", why.unwrap_or_default()),
            shown: problem.render(false),
        }
    }
}

// === impl Daemon ===

impl Daemon {
    /// Reads the configuration again and puts it in force. If anything is wrong with it, every
    /// problem is logged and nothing changes.
    pub(super) async fn reload(&mut self) -> ReloadDocument {
        let began = Instant::now();
        let listens = self.listens();
        if listens {
            notify_reloading();
        }
        let outcome = match self.examine((self.loader)()) {
            Ok(acceptable) => {
                let outcome = self.put_in_force(acceptable).await;
                self.metrics.control.reloads.inc();
                tracing::info!(
                    changed = outcome.changed.join(", "),
                    "the configuration was reloaded"
                );
                outcome
            }
            Err(faults) => {
                self.metrics.control.reloads_refused.inc();
                for Fault { line: problem, .. } in &faults {
                    tracing::error!(problem, "the new configuration is refused");
                }
                tracing::error!(
                    problems = faults.len(),
                    "the configuration in force stays; `hubdns check` shows every problem"
                );
                let problems = faults.into_iter().map(|fault| fault.shown).collect();
                ReloadDocument { problems, ..ReloadDocument::default() }
            }
        };
        self.metrics.spans.tell(|| span(&outcome, began));
        // Before the first table there is nothing to be ready with, and a start goes on.
        if listens {
            notify(&[NotifyState::Ready]);
        }
        outcome
    }

    /// What a reload of this text would do beside its answers, or why it would be refused. `file`
    /// is where the text stands. Nothing changes; addresses are opened and closed again.
    pub(super) fn rehearse(&self, text: &str, file: &str) -> ReloadDocument {
        let rehearsed = config::parse(text, file).map_err(|errors| Fault::all(&errors));
        let rehearsed = rehearsed.and_then(|config| {
            // Not `settings`: upstreams are asked nothing on trial.
            let refused = |problem: Box<Problem>| vec![Fault::new(&problem)];
            let trusted = trusted(&config).map_err(refused)?;
            cookies(&config, Some(&self.settings.borrow())).map_err(refused)?;
            Observers::try_file(&config.observers)
                .map_err(|error| refused(Box::new(query_log_problem(&config, &error))))?;
            drop(self.open_new(&config)?);
            Ok(self.effects(&config, &trusted))
        });
        rehearsed.unwrap_or_else(|faults| ReloadDocument {
            problems: faults.into_iter().map(|fault| fault.shown).collect(),
            ..ReloadDocument::default()
        })
    }

    /// A configuration with all it needs, or every reason why it cannot be had.
    fn examine(&self, loaded: Result<Config, ConfigErrors>) -> Result<Acceptable, Vec<Fault>> {
        let config = loaded.map_err(|errors| Fault::all(&errors))?;
        let refused = |problem: Box<Problem>| vec![Fault::new(&problem)];
        let trusted = trusted(&config).map_err(refused)?;
        let current = self.settings.borrow().clone();
        let (settings, outlets) =
            settings(&config, &trusted.forward, Some(&current), &self.metrics).map_err(refused)?;
        let opened = self.open_new(&config)?;
        Ok(Acceptable { config, trusted, settings, outlets, opened })
    }

    /// What a configuration does in place of the one in force, where upstreams are believed for these.
    fn effects(&self, config: &Config, trusted: &Trusted) -> ReloadDocument {
        let mut effects = effects(&self.config, config);
        if trusted.renews(&self.trusted) {
            let whose = match config.forward.ca_file {
                Some(_) => "the certificates of forward.ca_file",
                None => "the system's certificates of authorities",
            };
            effects.changed.push(whose.to_owned());
        }
        effects
    }

    /// What a configuration listens on and we do not yet.
    fn open_new(&self, config: &Config) -> Result<Opened, Vec<Fault>> {
        let opened = self.server.open(self.wanted(config), &mut Inherited::default());
        opened.map_err(|refused| refused.iter().map(|it| Fault::refused(config, it)).collect())
    }

    /// Where a configuration listens. Before the first table no socket is open, and none is opened
    /// by a reload.
    fn wanted<'c>(&self, config: &'c Config) -> &'c ServeConfig {
        if self.listens() { &config.serve } else { &NOWHERE }
    }

    fn listens(&self) -> bool {
        !self.server.listening().borrow().is_empty()
    }

    /// Gives a new forwarder what the old one remembers and is still right.
    async fn keep_cache(&self, settings: &Settings) {
        let (old, new) = (self.settings.borrow().forwarder.clone(), settings.forwarder.clone());
        if !new.is_same(&old) {
            // A full cache takes long enough to look through that the runtime's other tasks would
            // wait. Not aside: it takes locks that answers take too.
            let kept = tokio::task::spawn_blocking(move || new.take_over(&old)).await;
            if let Err(error) = kept {
                tracing::error!(%error, "the cache begins anew");
            }
        }
    }

    async fn put_in_force(&mut self, acceptable: Acceptable) -> ReloadDocument {
        let Acceptable { config, trusted, settings, outlets, opened } = acceptable;
        let doubts = certificate_doubts(&config, now_secs());
        let warnings: Vec<&Problem> = config.warnings.iter().chain(&doubts).collect();
        for warning in &warnings {
            tracing::warn!(%warning, "configuration");
        }
        let mut outcome = ReloadDocument {
            done: true,
            warnings: warnings.iter().map(|warning| warning.render(false)).collect(),
            ..self.effects(&config, &trusted)
        };
        let finds_otherwise =
            self.config.lookup != config.lookup || self.trusted.lookup != trusted.lookup;
        for key in &outcome.at_next_start {
            tracing::warn!(key, "changed, and takes effect at the next start");
        }
        self.keep_cache(&settings).await;
        self.write(outlets);
        let replaced = self.settings.send_replace(Arc::new(settings));
        self.aside.spawn(retire(replaced));
        let asked: Vec<_> = config.forward.all_upstreams().collect();
        for gone in self.config.forward.all_upstreams().filter(|it| !asked.contains(it)) {
            self.metrics.forward.forget_upstream(gone);
        }
        self.metrics.coverage.configure(config.coverage);
        if finds_otherwise {
            tell_aws_hosts(&config.lookup);
            self.lookup = lookup_by(&config.lookup, &trusted.lookup);
            self.aws_hosts.send_replace(aws_hosts(&config.lookup));
        }
        self.trusted = trusted;
        if !self.configurer.put(inputs(&config, &self.lookup), TAKEN_WITHIN).await {
            tracing::warn!("the control loop is slow to take the new configuration");
            outcome.warnings.push(NOT_TAKEN_YET.to_owned());
        }
        let config = config.reloaded_over(&self.config);
        self.in_force.send_replace(Arc::new(in_force(&config)));
        let wanted = self.wanted(&config);
        hand_over(&opened);
        let listened = self.server.listening().borrow().clone();
        self.server.listen(opened, wanted);
        let listens = self.server.listening().borrow().clone();
        listened.into_iter().filter(|it| !listens.contains(it)).for_each(release_address);
        self.config = config;
        outcome
    }
}
