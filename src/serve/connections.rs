//! Knows the connections that are open, by TCP, TLS and HTTPS alike, and holds them to their limits.
//!
//! Who may ask is the table's to say; here it only decides which limit a connection falls under.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    base::{Pace, Paces},
    telemetry::Metrics,
};

/// Questions of one connection that are read and not yet answered in full. Past it nothing more is
/// read from it, and TCP makes the client wait.
pub(super) const PIPELINE_MAX: usize = 64;

/// How many connections there may be, of all listeners.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Of clients. Past it the one that has been idle longest makes room.
    pub(super) all: usize,
    /// Of one client. Past it the one of its own that has been idle longest makes room.
    pub(super) per_client: usize,
    /// Of those who may not ask, who are only told so.
    pub(super) strangers: usize,
    /// TLS handshakes under way.
    pub(super) handshakes: usize,
    /// Of one client.
    pub(super) handshakes_per_client: usize,
    /// Handshakes that begin.
    pub(super) handshake_pace: Pace,
    /// Of one client, and of all strangers together.
    pub(super) handshake_pace_per_client: Pace,
}

/// 4,096 idle connections keep 16 kB each, measured, 65 MB; inside of TLS some 10 kB more, 107 MB; and as many
/// descriptors of the 262,144 that the unit grants. One client gets a quarter of them: a resolver in
/// front of a large site opens some dozens, a Route 53 endpoint or a load balancer stands for
/// hundreds of clients with one address. What answers may add is told where they are queued.
///
/// A handshake takes 1 ms of a core with ECDSA and 1.6 with RSA of 2,048 bits, measured without
/// optimization: 1,024 that come at once are done in 2 s, within the 5 they have. A client that
/// only begins them has a quarter of these places as well.
///
/// They may come at once, as after a restart. For long there are 512 a second, half a core, so that
/// a flood of them leaves the other half and all other cores to answers; a quarter of that for a
/// client. What is above it is closed before a key is computed; connections that stand go on.
const LIMITS: Limits = Limits {
    all: 4_096,
    per_client: 1_024,
    strangers: 64,
    handshakes: 1_024,
    handshakes_per_client: 256,
    handshake_pace: Pace::new(512, 1_024),
    handshake_pace_per_client: Pace::new(128, 256),
};

/// Descriptors that a process has to be granted for these limits: connections take half at most.
pub const DESCRIPTORS_WANTED: usize = 2 * LIMITS.all;

/// Clients whose handshakes of the last 2 s are known: as many as make 64 a second of these 512.
/// 32 KiB.
const HANDSHAKING_CLIENTS_MAX: usize = 4_096;

// === impl Limits ===

impl Limits {
    /// Those of this process.
    pub(super) fn in_force() -> Self {
        // That it cannot be told is no reason for fewer.
        LIMITS.within(getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(granted, _)| granted))
    }

    /// These limits where so many descriptors are granted. Connections have half of them at most, so
    /// that files, AWS and upstreams are still asked however many clients connect.
    fn within(self, descriptors: u64) -> Self {
        let half = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
        let all = self.all.min(half);
        Self {
            all,
            per_client: self.per_client.min(all.div_ceil(4)),
            // Beside those of clients, and as small a part of them as where there is enough.
            strangers: self.strangers.min(all.div_ceil(64)),
            ..self
        }
    }
}

/// The connections of all listeners.
pub(super) struct Connections {
    limits: Limits,
    started: Instant,
    open: Mutex<Open>,
    handshakes: Paces,
    handshakes_by_client: Paces,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Open {
    next: u64,
    places: HashMap<u64, Held>,
    clients: HashMap<IpAddr, usize>,
    strangers: usize,
    handshakes: usize,
    handshaking: HashMap<IpAddr, usize>,
}

/// What is known of a connection from outside of it.
struct Held {
    client: IpAddr,
    admitted: bool,
    evicted: CancellationToken,
    activity: Arc<Activity>,
}

struct Activity {
    in_hand: Arc<Semaphore>,
    heard_millis: AtomicU64,
}

/// A connection's place among those that are open; free again when dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    id: u64,
    client: IpAddr,
    admitted: bool,
    evicted: CancellationToken,
    activity: Arc<Activity>,
}

/// A handshake's place among those under way; free again when dropped.
pub(super) struct Turn {
    connections: Arc<Connections>,
    client: IpAddr,
}

// === impl Connections ===

impl Connections {
    pub(super) fn new(limits: Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            limits,
            started: Instant::now(),
            open: Mutex::default(),
            handshakes: Paces::new(1, rand::random()),
            handshakes_by_client: Paces::new(HANDSHAKING_CLIENTS_MAX, rand::random()),
            metrics,
        }
    }

    /// A place for a connection of `client`, unless a limit is reached.
    pub(super) fn admit(self: &Arc<Self>, client: IpAddr, admitted: bool) -> Option<Place> {
        let client = one_client(client);
        let mut open = self.lock();
        let room = match admitted {
            true => {
                let own = open.clients.get(&client).copied().unwrap_or_default();
                if self.limits.per_client <= own {
                    self.evict(&mut open, |held| held.client == client)
                } else if self.limits.all <= open.of_clients() {
                    self.evict(&mut open, |_| true)
                } else {
                    true
                }
            }
            false => open.strangers < self.limits.strangers,
        };
        if !room {
            self.metrics.dns.tcp_refused.inc();
            return None;
        }
        let activity = Arc::new(Activity {
            in_hand: Arc::new(Semaphore::new(PIPELINE_MAX)),
            heard_millis: AtomicU64::new(self.now()),
        });
        let evicted = CancellationToken::new();
        let id = open.next;
        open.next += 1;
        let held =
            Held { client, admitted, evicted: evicted.clone(), activity: Arc::clone(&activity) };
        open.places.insert(id, held);
        match admitted {
            true => *open.clients.entry(client).or_default() += 1,
            false => open.strangers += 1,
        }
        self.metrics.dns.tcp_connections.inc();
        Some(Place { connections: Arc::clone(self), id, client, admitted, evicted, activity })
    }

    /// Closes the connection that has been idle longest, of the clients' that are `among` those.
    /// False if all have questions in hand.
    fn evict(&self, open: &mut Open, among: impl Fn(&Held) -> bool) -> bool {
        let is_idle = |held: &Held| held.admitted && held.activity.is_idle();
        let idle = open.places.iter().filter(|(_, held)| is_idle(held) && among(held));
        let heard = |held: &Held| held.activity.heard_millis.load(Ordering::Relaxed);
        let Some((&id, _)) = idle.min_by_key(|(id, held)| (heard(held), **id)) else {
            return false;
        };
        if let Some(held) = self.remove(open, id) {
            held.evicted.cancel();
            self.metrics.dns.tcp_refused.inc();
        }
        true
    }

    /// A turn for a handshake of `client`, unless a limit is reached.
    fn shake(self: &Arc<Self>, client: IpAddr, admitted: bool) -> Option<Turn> {
        let mut open = self.lock();
        let of_client = open.handshaking.get(&client).copied().unwrap_or_default();
        let room = open.handshakes < self.limits.handshakes
            && of_client < self.limits.handshakes_per_client
            && self.may_shake(client, admitted);
        room.then(|| {
            open.handshakes += 1;
            open.handshaking.insert(client, of_client + 1);
            Turn { connections: Arc::clone(self), client }
        })
    }

    /// Whether one more handshake of `client` may begin now; if so it is counted.
    fn may_shake(&self, client: IpAddr, admitted: bool) -> bool {
        let Limits { handshake_pace, handshake_pace_per_client, .. } = self.limits;
        let who = match (client, admitted) {
            (IpAddr::V4(ip), true) => ip.to_ipv6_mapped(),
            (IpAddr::V6(ip), true) => ip,
            // However many addresses they have.
            (_, false) => Ipv6Addr::UNSPECIFIED,
        };
        let now = self.started.elapsed();
        self.handshakes_by_client.may(&who.octets(), handshake_pace_per_client, now)
            && self.handshakes.may(&[], handshake_pace, now)
    }

    fn remove(&self, open: &mut Open, id: u64) -> Option<Held> {
        let held = open.places.remove(&id)?;
        match held.admitted {
            false => open.strangers = open.strangers.saturating_sub(1),
            true => take_one(&mut open.clients, held.client),
        }
        self.metrics.dns.tcp_connections.dec();
        Some(held)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

// === impl Open ===

impl Open {
    fn of_clients(&self) -> usize {
        self.places.len().saturating_sub(self.strangers)
    }
}

// === impl Activity ===

impl Activity {
    /// The permit for the question to come is taken before it is read, so one may be out.
    fn is_idle(&self) -> bool {
        PIPELINE_MAX <= self.in_hand.available_permits() + 1
    }
}

// === impl Place ===

impl Place {
    /// A permit a question, from before it is read until its answer is written.
    pub(super) fn in_hand(&self) -> &Arc<Semaphore> {
        &self.activity.in_hand
    }

    /// Says that no more questions are read. A permit is taken in place of the one that reading
    /// holds, or a question in hand would be taken for it, and the connection for an idle one.
    pub(super) fn reads_no_more(&self) {
        self.activity.in_hand.forget_permits(1);
    }

    /// Says that a question came just now.
    pub(super) fn heard(&self) {
        self.activity.heard_millis.store(self.connections.now(), Ordering::Relaxed);
    }

    /// How long ago the last one came.
    pub(super) fn quiet_for(&self) -> Duration {
        let heard = self.activity.heard_millis.load(Ordering::Relaxed);
        Duration::from_millis(self.connections.now().saturating_sub(heard))
    }

    /// A turn for this connection's handshake, if there is one.
    pub(super) fn handshake(&self) -> Option<Turn> {
        self.connections.shake(self.client, self.admitted)
    }

    /// Comes back when another connection needs the place.
    pub(super) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that was evicted is not there any more.
        let _ = self.connections.remove(&mut self.connections.lock(), self.id);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.handshakes = open.handshakes.saturating_sub(1);
        take_one(&mut open.handshaking, self.client);
    }
}

/// Counts one less of a client's.
fn take_one(counts: &mut HashMap<IpAddr, usize>, client: IpAddr) {
    if let Some(count) = counts.get_mut(&client) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&client);
        }
    }
}

/// The address under which a client is counted: IPv6 gives each host a /64 to choose from.
fn one_client(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests;
