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
/// descriptors of the 524,288 that systemd grants. One client gets a quarter of them: a resolver in
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
mod tests {
    use std::{sync::Arc, time::Duration};

    use futures_util::FutureExt;

    use super::{Connections, LIMITS, Limits, Place};
    use crate::{base::Pace, telemetry::Metrics};

    fn connections() -> Arc<Connections> {
        let limits = Limits {
            all: 3,
            per_client: 2,
            strangers: 1,
            handshakes: 2,
            handshakes_per_client: 1,
            handshake_pace: Pace::new(1, 6),
            handshake_pace_per_client: Pace::new(1, 4),
        };
        Arc::new(Connections::new(limits, Arc::new(Metrics::new().unwrap())))
    }

    fn admit(connections: &Arc<Connections>, client: &str, admitted: bool) -> Option<Place> {
        connections.admit(client.parse().unwrap(), admitted)
    }

    fn is_evicted(place: &Place) -> bool {
        place.evicted().now_or_never().is_some()
    }

    #[test]
    fn connections_leave_half_of_the_descriptors_to_all_else() {
        let limits = |descriptors| {
            let Limits { all, per_client, strangers, .. } = LIMITS.within(descriptors);
            (all, per_client, strangers)
        };
        assert_eq!(limits(524_288), (4_096, 1_024, 64));
        assert_eq!(limits(1_024), (512, 128, 8));
        assert_eq!(limits(128), (64, 16, 1));
    }

    #[tokio::test]
    async fn a_client_has_its_share_and_ipv6_clients_are_counted_by_network() {
        let all = connections();
        let first = admit(&all, "2001:db8::1", true);
        let second = admit(&all, "2001:db8::2", true);
        assert!(first.is_some() && second.is_some());
        let held = [&first, &second].map(|it| {
            Arc::clone(it.as_ref().unwrap().in_hand()).try_acquire_many_owned(2).unwrap()
        });
        assert!(admit(&all, "2001:db8::3", true).is_none(), "the network has its share");
        drop(held);
        assert!(admit(&all, "2001:db8:0:1::3", true).is_some(), "another network");
        drop(first);
        assert!(admit(&all, "2001:db8::3", true).is_some(), "a place is free again");
    }

    #[tokio::test]
    async fn strangers_have_few_places_and_take_none_from_clients() {
        let all = connections();
        let stranger = admit(&all, "192.0.2.1", false);
        assert!(stranger.is_some());
        assert!(admit(&all, "192.0.2.2", false).is_none());
        let clients = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|ip| admit(&all, ip, true).unwrap());
        assert!(!clients.iter().any(is_evicted));
        assert_eq!(all.metrics.dns.tcp_connections.get(), 4);
        assert_eq!(all.metrics.dns.tcp_refused.get(), 1);
    }

    #[tokio::test]
    async fn handshakes_have_turns_of_which_a_client_has_its_share() {
        let all = connections();
        let places = ["10.0.0.1", "10.0.0.1", "10.0.0.2"].map(|ip| admit(&all, ip, true).unwrap());
        let first = places[0].handshake();
        assert!(first.is_some());
        assert!(places[1].handshake().is_none(), "the client has its share");
        let second = places[2].handshake();
        assert!(second.is_some());
        let stranger = admit(&all, "10.0.0.3", false).unwrap();
        assert!(stranger.handshake().is_none(), "all are taken");
        drop(second);
        assert!(stranger.handshake().is_some());
        drop(first);
        assert!(places[1].handshake().is_some());
    }

    #[tokio::test]
    async fn handshakes_have_a_pace_of_which_a_client_has_its_share() {
        let all = connections();
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|ip| admit(&all, ip, true).unwrap());
        let done = |place: &Place| (0..10).filter(|_| place.handshake().is_some()).count();
        assert_eq!([done(&one), done(&other)], [4, 2], "its share, and what is left of all");
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert!(0 < done(&other), "one a second");
    }

    #[tokio::test]
    async fn a_new_connection_takes_the_place_of_the_one_idle_longest() {
        let all = connections();
        let later = || tokio::time::sleep(Duration::from_millis(5));
        let busy = admit(&all, "10.0.0.1", true).unwrap();
        let _questions = busy.in_hand().try_acquire_many(2).unwrap();
        later().await;
        let asks = admit(&all, "10.0.0.2", true).unwrap();
        later().await;
        let idle = admit(&all, "10.0.0.3", true).unwrap();
        later().await;
        asks.heard();
        let new = admit(&all, "10.0.0.4", true).unwrap();
        assert_eq!([&busy, &asks, &idle, &new].map(is_evicted), [false, false, true, false]);
        drop(idle);
        assert_eq!(all.metrics.dns.tcp_connections.get(), 3, "its place is given back once");
        let held = [&asks, &new].map(|it| it.in_hand().try_acquire_many(2).unwrap());
        assert!(admit(&all, "10.0.0.5", true).is_none(), "nobody is idle");
        drop(held);
    }

    #[tokio::test]
    async fn a_half_closed_connection_with_a_question_in_hand_is_not_idle() {
        let all = connections();
        let half_closed = admit(&all, "10.0.0.1", true).unwrap();
        let _question = half_closed.in_hand().try_acquire().unwrap();
        half_closed.reads_no_more();
        let busy = admit(&all, "10.0.0.1", true).unwrap();
        let _questions = busy.in_hand().try_acquire_many(2).unwrap();
        assert!(admit(&all, "10.0.0.1", true).is_none());
        assert!(!is_evicted(&half_closed));
    }

    #[tokio::test]
    async fn a_client_at_its_share_makes_room_for_itself_and_costs_nobody_else_a_place() {
        let all = connections();
        let other = admit(&all, "10.0.0.2", true).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let own = ["10.0.0.1"; 3].map(|ip| admit(&all, ip, true).unwrap());
        assert_eq!(own.each_ref().map(is_evicted), [true, false, false]);
        assert!(!is_evicted(&other), "though it has been idle longer");
    }
}
