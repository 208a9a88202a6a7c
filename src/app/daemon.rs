//! The daemon: from a configuration to an orderly end.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use sd_notify::NotifyState;
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{
    allowance::watch_allowance,
    loops::Lookout,
    reload::Loader,
    start::{aws_hosts, host_lookup, raise_descriptors, refused_problem, settings},
};
use crate::{
    admin::{self, Admin, json::AwsHostsDocument},
    answer::{Responder, Settings},
    config::{Config, Place, Problem},
    forward::LookupConfig,
    refresh::{Control, Inputs, Publications, Reconfigure, Refresher, Status},
    serve::Server,
    table::{self, Reader},
    telemetry::{Metrics, MetricsError},
};

/// Reloads waiting for the control loop: `reload` waits for each, so there is one.
const ORDERS_MAX: usize = 1;

/// Between two looks at the files of certificates: two or four small reads. A renewed one is in
/// force within this, and a pair that does not fit is told after twice of it.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(5);

/// A daemon, built and not yet answering.
pub struct Daemon {
    pub(super) config: Config,
    pub(super) loader: Loader,
    pub(super) metrics: Arc<Metrics>,
    pub(super) settings: watch::Sender<Arc<Settings>>,
    pub(super) server: Server,
    pub(super) orders: mpsc::Sender<Reconfigure>,
    table: Reader,
    status: watch::Receiver<Status>,
    publications: watch::Receiver<Publications>,
    control: Control,
    pub(super) aws_hosts: watch::Sender<AwsHostsDocument>,
    stopping: watch::Sender<bool>,
    token: CancellationToken,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    /// The one that we made, and so may remove.
    control_socket: Option<PathBuf>,
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
    /// listener. `loader` reads the configuration again on SIGHUP.
    pub async fn build(config: Config, loader: Loader) -> Result<Daemon, StartError> {
        raise_descriptors();
        let metrics = Arc::new(Metrics::new()?);
        let (publisher, table) = table::channel();
        let settings = settings(&config, None, &metrics);
        let settings = settings.map_err(|problem| StartError::Problems(vec![*problem]))?;
        let settings = watch::Sender::new(Arc::new(settings));
        let responder = Responder::new(table.clone(), settings.subscribe(), Arc::clone(&metrics));
        let mut refresher =
            Refresher::new(inputs(&config), publisher, Arc::clone(&metrics), now_secs);
        refresher.restore().await;
        let (order, orders) = mpsc::channel(ORDERS_MAX);
        let token = CancellationToken::new();
        let mut daemon = Daemon {
            loader,
            metrics,
            settings,
            server: Server::new(responder),
            orders: order,
            table,
            status: refresher.status(),
            publications: refresher.publications(),
            control: refresher.control(),
            aws_hosts: watch::Sender::new(aws_hosts(&config.lookup)),
            stopping: watch::Sender::new(false),
            token: token.clone(),
            tasks: Vec::new(),
            control_socket: None,
            config,
        };
        tell_aws_hosts(&daemon.config.lookup);
        daemon.start_admin().await?;
        daemon.start("the control loop", refresher.run(orders, token.clone()));
        let lookout = Lookout {
            settings: daemon.settings.subscribe(),
            table: daemon.table.clone(),
            listening: daemon.server.listening(),
        };
        daemon.start("the look-out for loops", lookout.run(token.clone()));
        let watched = watch_allowance(daemon.settings.subscribe(), daemon.metrics.clone(), token);
        daemon.start("the look at the interfaces", watched);
        Ok(daemon)
    }

    /// Answers until a signal asks for the end, and ends in order. `ready` is called when the
    /// first table is in force and the sockets are open.
    pub async fn run(
        mut self,
        ready: impl FnOnce(&[std::net::SocketAddr]),
    ) -> Result<(), StartError> {
        let mut signals = Signals::new()?;
        let broken = self.server.broken();
        if !self.await_table(&mut signals).await? {
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
                asked = signals.next() => match asked {
                    Asked::Stop => return self.stop().await,
                    Asked::Reload => self.reload().await,
                },
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

    /// Waits for the first table; false if a signal came first. Until then no socket is open, so
    /// clients go to another hub at once.
    async fn await_table(&mut self, signals: &mut Signals) -> Result<bool, StartError> {
        while !self.table.load().in_force() {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => return Ok(false),
                    Asked::Reload => self.reload().await,
                },
                changed = self.status.changed() => {
                    changed.map_err(|_| StartError::Died("the control loop"))?;
                }
                died = first_dead(&mut self.tasks) => return Err(StartError::Died(died)),
            }
        }
        Ok(true)
    }

    fn open(&mut self) -> Result<(), StartError> {
        let wanted = &self.config.serve;
        let opened = self.server.open(wanted).map_err(|refused| {
            let problem = |refused| refused_problem(&self.config, refused);
            StartError::Problems(refused.iter().map(problem).collect())
        })?;
        self.server.listen(opened, wanted);
        Ok(())
    }

    /// The end: not ready, no new questions, those in hand answered, then the rest.
    async fn stop(self) -> Result<(), StartError> {
        notify(&[NotifyState::Stopping]);
        tracing::info!("stopping");
        self.stopping.send_replace(true);
        self.server.stop().await;
        self.token.cancel();
        for (name, task) in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(task = name, %error, "did not end well");
            }
        }
        if let Some(path) = &self.control_socket {
            // Left over, it would only be in the way of a person who looks.
            let _ = std::fs::remove_file(path);
        }
        tracing::info!("stopped");
        Ok(())
    }

    async fn start_admin(&mut self) -> Result<(), StartError> {
        if let Some(address) = self.config.admin.listen {
            let listener = TcpListener::bind(address).await.map_err(|error| {
                let what = format!("`admin.listen` {address} cannot be opened");
                let help = "name another address, or \"\" for no admin listener";
                let place = Place::Admin;
                let problem = self.config.places.problem(place, &what, &error.to_string(), help);
                StartError::Problems(vec![problem])
            })?;
            let (admin, token) = (self.admin(), self.token.clone());
            self.start("the admin listener", admin::serve(admin, listener, token));
        }
        if let Some(path) = self.config.control_socket.clone() {
            match control_listener(&path) {
                Ok(listener) => {
                    self.control_socket = Some(path);
                    let (admin, token) = (self.admin(), self.token.clone());
                    self.start("the control socket", admin::serve_control(admin, listener, token));
                }
                // Commands then work offline. DNS matters more than they do.
                Err(error) => tracing::warn!(
                    path = %path.display(), %error,
                    "the control socket cannot be opened; commands will not reach this daemon"
                ),
            }
        }
        Ok(())
    }

    fn admin(&self) -> Admin {
        Admin {
            table: self.table.clone(),
            settings: self.settings.subscribe(),
            status: self.status.clone(),
            publications: self.publications.clone(),
            control: self.control.clone(),
            listening: self.server.listening(),
            aws_hosts: self.aws_hosts.subscribe(),
            stopping: self.stopping.subscribe(),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// Starts a part without which the daemon must not go on.
    #[expect(clippy::disallowed_methods, reason = "the one place: its end is watched by run")]
    fn start(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push((name, tokio::spawn(task)));
    }
}

/// What a configuration says to the control loop.
pub(super) fn inputs(config: &Config) -> Inputs {
    Inputs {
        sources: config.sources.clone(),
        policy: Arc::new(config.policy.clone()),
        refresh: config.refresh.clone(),
        health: config.health.clone(),
        lookup: host_lookup(&config.lookup),
    }
}

/// Says who is asked for AWS's hosts: it decides whether discovery works at all.
pub(super) fn tell_aws_hosts(config: &LookupConfig) {
    let upstreams: Vec<String> = config.upstreams.iter().map(ToString::to_string).collect();
    let (key, upstreams) = (config.from.key(), upstreams.join(", "));
    tracing::info!(key, upstreams, zones = config.zones.len(), "AWS's hosts are looked up there");
}

/// Tells systemd, if it started us.
pub(super) fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the one clock; rooms get it as an argument")]
pub fn now_secs() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// A socket that root and our own user may talk to. One that a killed daemon left is replaced; one
/// that a living daemon answers on is not.
fn control_listener(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::other("another daemon answers on it"));
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => (),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
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

/// What a signal asks for.
enum Asked {
    Stop,
    Reload,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

// === impl Signals ===

impl Signals {
    fn new() -> Result<Self, StartError> {
        let listen = |kind| {
            signal(kind).map_err(|source| StartError::System {
                what: "signals cannot be listened to",
                source,
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}
