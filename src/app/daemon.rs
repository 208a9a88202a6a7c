//! The daemon: from a configuration to an orderly end.

use std::{
    io,
    net::SocketAddr,
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use sd_notify::NotifyState;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    allowance::watch_allowance,
    drain::drained,
    handover::{Inheritance, hand_over},
    reload::Loader,
    requests::{Asked, Requests},
    start::{
        Trusted, aws_hosts, in_force, lookup_by, raise_descriptors, refused_problem, settings,
        tell_aws_hosts, trusted,
    },
    systemd::notify,
    traffic::watch_traffic,
    watchdog::watchdog,
};
use crate::{
    admin::{self, Admin, InForce, Order, json::AwsHostsDocument},
    answer::{Responder, Settings},
    config::{Config, Problem},
    discover::HostLookup,
    querylog::Outlet,
    refresh::{Configurer, Control, Inputs, Publications, Refresher, Status, configuring},
    serve::{End, Server},
    table::{self, Reader},
    telemetry::{Metrics, MetricsError, Traffic},
};

/// Between two looks at the files of certificates: two or four small reads. A renewed one is in
/// force within this, and a pair that does not fit is told after twice of it.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(5);

/// How long all that is not DNS may take to end while clients wait for the process after us.
const OTHERS_WITHIN: Duration = Duration::from_millis(50);

/// A daemon, built and not yet answering.
pub struct Daemon {
    pub(super) config: Config,
    pub(super) loader: Loader,
    pub(super) metrics: Arc<Metrics>,
    pub(super) settings: watch::Sender<Arc<Settings>>,
    pub(super) server: Server,
    pub(super) inheritance: Inheritance,
    /// Whether our sockets outlive us.
    pub(super) end: End,
    pub(super) configurer: Configurer,
    pub(super) lookup: HostLookup,
    /// Whom upstreams by TLS are believed for.
    pub(super) trusted: Trusted,
    pub(super) table: Reader,
    status: watch::Receiver<Status>,
    pub(super) publications: watch::Receiver<Publications>,
    control: Control,
    pub(super) aws_hosts: watch::Sender<AwsHostsDocument>,
    stopping: watch::Sender<bool>,
    pub(super) in_force: watch::Sender<Arc<InForce>>,
    traffic: Arc<Traffic>,
    /// When we end, if we drain.
    pub(super) draining: watch::Sender<Option<Instant>>,
    requests: Requests,
    asks: mpsc::Sender<Order>,
    pub(super) token: CancellationToken,
    /// Where what answers nobody runs.
    pub(super) aside: Handle,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    /// Threads that write what is told of queries.
    writers: TaskTracker,
    /// The one that we made, and so may remove.
    pub(super) control_socket: Option<PathBuf>,
}

/// Why the daemon did not start, or ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Metrics could not be made.
    #[error("metrics cannot be set up")]
    Metrics(#[from] MetricsError),
    /// Something of the configuration cannot be had on this machine.
    #[error("the configuration cannot be put in force here")]
    Problems(Vec<Problem>),
    /// The system refused something else.
    #[error("{what}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A part of the daemon died.
    #[error("{0} ended unexpectedly; the log tells more")]
    Died(&'static str),
}

// === impl Daemon ===

impl Daemon {
    /// Builds all rooms: table from the last good inventory if there is one, control loop, admin
    /// listener. `loader` reads the configuration again on SIGHUP. What answers queries runs where
    /// this is called, and the rest `aside`.
    pub async fn build(
        config: Config,
        loader: Loader,
        inheritance: Inheritance,
        aside: Handle,
    ) -> Result<Daemon, StartError> {
        raise_descriptors();
        let metrics = Arc::new(Metrics::new()?);
        metrics.coverage.configure(config.coverage);
        let (publisher, table) = table::channel();
        let refused = |problem: Box<Problem>| StartError::Problems(vec![*problem]);
        let trusted = trusted(&config).map_err(refused)?;
        let (settings, outlets) =
            settings(&config, &trusted.forward, None, &metrics).map_err(refused)?;
        let settings = watch::Sender::new(Arc::new(settings));
        let responder = Responder::new(table.clone(), settings.subscribe(), Arc::clone(&metrics));
        let lookup = lookup_by(&config.lookup, &trusted.lookup);
        let mut refresher = {
            let _entered = aside.enter();
            Refresher::new(inputs(&config, &lookup), publisher, Arc::clone(&metrics), now_secs)
        };
        refresher.restore().await;
        let (configurer, configurations) = configuring();
        let (asks, asked) = mpsc::channel(admin::ORDERS_MAX);
        let token = CancellationToken::new();
        let mut daemon = Daemon {
            loader,
            metrics,
            settings,
            server: Server::new(responder),
            inheritance,
            end: End::Last,
            configurer,
            lookup,
            trusted,
            table,
            status: refresher.status(),
            publications: refresher.publications(),
            control: refresher.control(),
            aws_hosts: watch::Sender::new(aws_hosts(&config.lookup)),
            stopping: watch::Sender::new(false),
            in_force: watch::Sender::new(Arc::new(in_force(&config))),
            traffic: Arc::default(),
            draining: watch::Sender::new(None),
            requests: Requests::new(asked)?,
            asks,
            token: token.clone(),
            aside,
            tasks: Vec::new(),
            writers: TaskTracker::new(),
            control_socket: None,
            config,
        };
        daemon.write(outlets);
        tell_aws_hosts(&daemon.config.lookup);
        daemon.start_admin().await?;
        daemon.start("the control loop", refresher.run(configurations, token.clone()));
        daemon.start_lookout();
        let watched = watch_traffic(daemon.metrics.clone(), daemon.traffic.clone(), token.clone());
        daemon.start("the look at the traffic", watched);
        daemon.start_gateways();
        let (subscribed, metrics) = (daemon.settings.subscribe(), daemon.metrics.clone());
        let watched = watch_allowance(subscribed, metrics, token.clone());
        daemon.start("the look at the interfaces", watched);
        if let Some(granted) = sd_notify::watchdog_enabled() {
            let pulses = daemon.server.pulses();
            daemon.start_among_queries("the watchdog", watchdog(granted, pulses, token));
        }
        Ok(daemon)
    }

    /// Answers until a signal asks for the end, and ends in order. `ready` is called when the
    /// first table is in force and the sockets are open.
    pub async fn run(mut self, ready: impl FnOnce(&[SocketAddr])) -> Result<(), StartError> {
        let broken = self.server.broken();
        if !self.await_table().await? {
            return self.stop().await;
        }
        self.open()?;
        let listening = self.server.listening().borrow().clone();
        tracing::info!(?listening, "ready");
        notify(&[NotifyState::Ready]);
        ready(&listening);
        let mut certificates = tokio::time::interval(CERTIFICATES_EVERY);
        certificates.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = certificates.tick() => self.server.look_at_certificates(now_secs()),
                asked = self.requests.next() => if self.carry_out(asked).await.is_break() {
                    return self.stop().await;
                },
                () = drained(*self.draining.borrow()) => {
                    // Nobody comes after us.
                    self.end = End::Last;
                    return self.stop().await;
                }
                died = first_dead(&mut self.tasks) => {
                    self.stop().await?;
                    return Err(StartError::Died(died));
                }
                () = broken.cancelled() => {
                    self.stop().await?;
                    return Err(StartError::Died("a DNS listener"));
                }
            }
        }
    }

    /// Waits for the first table; false if a signal came first. Until then we open no socket, so
    /// clients go to another hub at once; at those that we inherited they wait.
    async fn await_table(&mut self) -> Result<bool, StartError> {
        while !self.table.load().in_force() {
            tokio::select! {
                asked = self.requests.next() => if self.carry_out(asked).await.is_break() {
                    return Ok(false);
                },
                () = drained(*self.draining.borrow()) => return Ok(false),
                changed = self.status.changed() => {
                    changed.map_err(|_| StartError::Died("the control loop"))?;
                }
                died = first_dead(&mut self.tasks) => return Err(StartError::Died(died)),
            }
        }
        Ok(true)
    }

    /// Does what was asked for; `Break` asks for the end. That nobody waits for an outcome any more
    /// is no matter.
    async fn carry_out(&mut self, asked: Asked) -> ControlFlow<()> {
        match asked {
            Asked::Stop => return ControlFlow::Break(()),
            Asked::Reload(waiting) => {
                let outcome = self.reload().await;
                waiting.into_iter().for_each(|done| drop(done.send(outcome.clone())));
            }
            Asked::Rehearse(text, file, done) => drop(done.send(self.rehearse(&text, &file))),
            Asked::Flush(name, done) => {
                let forwarder = self.settings.borrow().forwarder.clone();
                // Not aside: it takes locks that answers take too. Nobody is told of a panic but the
                // log, and whoever asked that it was not done.
                let flushed = tokio::task::spawn_blocking(move || forwarder.flush(name.as_ref()));
                if let Ok(answers) = flushed.await {
                    let _ = done.send(answers);
                }
            }
            Asked::Drain(lasts, done) => drop(done.send(self.drain(lasts))),
            Asked::Undrain(done) => drop(done.send(self.undrain())),
        }
        ControlFlow::Continue(())
    }

    fn open(&mut self) -> Result<(), StartError> {
        let wanted = &self.config.serve;
        let opened = self.server.open(wanted, &mut self.inheritance.sockets);
        let opened = opened.map_err(|refused| {
            let problem = |refused| refused_problem(&self.config, refused);
            StartError::Problems(refused.iter().map(problem).collect())
        })?;
        if hand_over(&opened) {
            self.end = End::Between;
        }
        self.server.listen(opened, wanted);
        Ok(())
    }

    /// The end: not ready, no new questions, those in hand answered, then the rest.
    async fn stop(self) -> Result<(), StartError> {
        notify(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        self.stopping.send_replace(true);
        self.server.stop(self.end).await;
        self.token.cancel();
        self.writers.close();
        // What a disk does not take by then is lost.
        let _ = timeout(OTHERS_WITHIN, self.writers.wait()).await;
        let ends = async {
            for (name, task) in self.tasks {
                if let Err(error) = task.await {
                    tracing::error!(task = name, %error, "did not end well");
                }
            }
        };
        match self.end {
            End::Last => ends.await,
            // All that is lost is a page that somebody reads slowly, or a state file that will be
            // written again: it is replaced as a whole, or not.
            End::Between => drop(timeout(OTHERS_WITHIN, ends).await),
        }
        if let Some(path) = &self.control_socket {
            // Left over, it would only be in the way of a person who looks.
            let _ = std::fs::remove_file(path);
        }
        tracing::info!("stopped");
        Ok(())
    }

    pub(super) fn admin(&self) -> Admin {
        Admin {
            table: self.table.clone(),
            settings: self.settings.subscribe(),
            status: self.status.clone(),
            publications: self.publications.clone(),
            control: self.control.clone(),
            listening: self.server.listening(),
            aws_hosts: self.aws_hosts.subscribe(),
            stopping: self.stopping.subscribe(),
            config: self.in_force.subscribe(),
            traffic: Arc::clone(&self.traffic),
            draining: self.draining.subscribe(),
            orders: self.asks.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// Starts a part without which the daemon must not go on.
    pub(super) fn start(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.push((name, self.aside.spawn(task)));
    }

    /// Lets those write who tell of queries, each on a thread of its own that stands back: until what
    /// they write for is replaced, or the end.
    pub(super) fn write(&self, outlets: Vec<Outlet>) {
        for outlet in outlets {
            let token = self.token.clone();
            let writes = outlet.begin(now);
            self.writers.spawn_blocking_on(move || writes(&|| token.is_cancelled()), &self.aside);
        }
    }

    /// The same for one that asks upstreams, whose sockets are the queries' too, or that must not
    /// stand back.
    pub(super) fn start_among_queries(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.push((name, Handle::current().spawn(task)));
    }
}

/// What a configuration says to the control loop, which finds AWS's hosts by this.
pub(super) fn inputs(config: &Config, lookup: &HostLookup) -> Inputs {
    Inputs {
        sources: config.sources.clone(),
        policy: Arc::new(config.policy.clone()),
        refresh: config.refresh.clone(),
        health: config.health.clone(),
        lookup: Arc::clone(lookup),
    }
}

/// Since 1970.
#[expect(clippy::disallowed_methods, reason = "the one clock; rooms get it as an argument")]
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since 1970.
pub fn now_secs() -> u64 {
    now().as_secs()
}

/// Takes out the first task that has ended, and tells its name.
async fn first_dead(tasks: &mut Vec<(&'static str, JoinHandle<()>)>) -> &'static str {
    let ends = tasks.iter_mut().map(|(_, task)| task);
    let (ended, at, _) = futures_util::future::select_all(ends).await;
    // Its handle has told all it had; asked again it would panic.
    let (name, _) = tasks.swap_remove(at);
    match ended {
        Ok(()) => tracing::error!(task = name, "ended"),
        Err(error) => tracing::error!(task = name, %error, "ended"),
    }
    name
}
