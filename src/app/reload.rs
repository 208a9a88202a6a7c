//! A new configuration in place of the one in force: all of it, or nothing.

use std::{error::Error, sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::{sync::oneshot, time::timeout};

use super::{
    daemon::{Daemon, inputs, notify, now_secs, tell_aws_hosts},
    start::{aws_hosts, certificate_doubts, refused_problem, settings, trust_problem},
};
use crate::{
    base::Chain,
    config::{Config, ConfigErrors},
    refresh::{Reconfigure, retire},
    serve::{Refused, ServeConfig},
};

/// Reads the configuration again.
pub type Loader = Box<dyn Fn() -> Result<Config, ConfigErrors> + Send + Sync>;

/// The control loop never waits for AWS when it takes a configuration, only for a disk.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);

// === impl Daemon ===

impl Daemon {
    /// Reads the configuration again and puts it in force. If anything is wrong with it, every
    /// problem is logged and nothing changes.
    pub(super) async fn reload(&mut self) {
        notify(&[NotifyState::Reloading]);
        match self.try_reload().await {
            Ok(()) => {
                self.metrics.control.reloads.inc();
                tracing::info!("the configuration was reloaded");
            }
            Err(problems) => {
                self.metrics.control.reloads_refused.inc();
                for problem in &problems {
                    tracing::error!(problem, "the new configuration is refused");
                }
                tracing::error!(
                    problems = problems.len(),
                    "the configuration in force stays; `hubdns check` shows every problem"
                );
            }
        }
        notify(&[NotifyState::Ready]);
    }

    async fn try_reload(&mut self) -> Result<(), Vec<String>> {
        let config = (self.loader)().map_err(|errors| match &errors {
            ConfigErrors::Unreadable { source, .. } => vec![format!("{errors}: {source}")],
            ConfigErrors::Wrong { problems, .. } => {
                problems.iter().map(ToString::to_string).collect()
            }
        })?;
        if let Some(problem) = trust_problem(&config) {
            return Err(vec![problem.to_string()]);
        }
        let settings = settings(&config, Some(&self.settings.borrow()), &self.metrics)
            .map_err(|problem| vec![problem.to_string()])?;
        let listens = !self.server.listening().borrow().is_empty();
        // Before the first table no socket is open, and none is opened by a reload.
        let nowhere = ServeConfig::nowhere();
        let wanted = if listens { &config.serve } else { &nowhere };
        let opened = self.server.open(wanted).map_err(|refused| {
            let problem = |refused: &Refused| {
                let why = refused.source().map(|source| Chain(source).to_string());
                format!("{}: {}", refused_problem(&config, refused), why.unwrap_or_default())
            };
            refused.iter().map(problem).collect::<Vec<_>>()
        })?;
        for warning in config.warnings.iter().chain(&certificate_doubts(&config, now_secs())) {
            tracing::warn!(%warning, "configuration");
        }
        self.tell_what_needs_a_restart(&config);
        let replaced = self.settings.send_replace(Arc::new(settings));
        self.control.spawn(retire(replaced));
        let asked: Vec<_> = config.forward.all_upstreams().collect();
        for gone in self.config.forward.all_upstreams().filter(|it| !asked.contains(it)) {
            self.metrics.forward.forget_upstream(gone);
        }
        if self.config.lookup != config.lookup {
            tell_aws_hosts(&config.lookup);
            self.aws_hosts.send_replace(aws_hosts(&config.lookup));
        }
        let (done, taken) = oneshot::channel();
        let order = Reconfigure { inputs: inputs(&config), done };
        if self.orders.send(order).await.is_err() || timeout(TAKEN_WITHIN, taken).await.is_err() {
            tracing::warn!("the control loop is slow to take the new configuration");
        }
        self.server.listen(opened, wanted);
        self.config = config;
        Ok(())
    }

    /// What this version reads at its start alone.
    fn tell_what_needs_a_restart(&self, config: &Config) {
        let changed = [
            ("admin.listen", self.config.admin != config.admin),
            ("control.socket", self.config.control_socket != config.control_socket),
            ("log.format", self.config.log != config.log),
        ];
        for (key, _) in changed.iter().filter(|(_, changed)| *changed) {
            tracing::warn!(key, "changed, and takes effect at the next start");
        }
    }
}
