//! What is known of our questions coming back to us, and what is done with a name on that way.
//!
//! The evidence is a probe alone: a name that we made up at random, asked of one upstream a moment
//! ago, and that is now asked of us. A probe counts once, and not after its answer, so nobody makes
//! us stop forwarding who does not see what we send to that very upstream, and then is faster than
//! it. A question that merely looks like one of ours is a reason to send a probe, never evidence:
//! honest clients ask twice.

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{address::UpstreamAddress, routes::Upstreams, upstream::Upstream};
use crate::{
    base::{Name, NameError},
    telemetry::{LoopProbe, Metrics},
};

/// What a probe's first label begins with; 32 hexadecimal digits follow, which are 128 random bits.
const LABEL_PREFIX: &[u8] = b"hubdns-probe-";
/// Where a probe for every name stands: a domain that is nobody's for ever (RFC 2606 section 2) and
/// that resolvers ask for as for any other (RFC 6761 section 6.5). `invalid` and `test` they answer
/// themselves, and a name of one label some do not pass on.
const ANYWHERE: &str = "example";
/// Octets of that label.
const LABEL_LEN: usize = LABEL_PREFIX.len() + 32;
/// Octets that a probe has before its domain.
pub(super) const PROBE_OCTETS: usize = 1 + LABEL_LEN;
/// Probes in a row that neither came back nor were answered, after which a loop is held to be gone:
/// at one every 5 s a minute. The upstream may be silent for another reason by now, and if it is
/// not, the next question finds the loop again.
const UNCLEAR_MAX: u32 = 12;
/// Between two questions that may be ours and have a probe sent: more would be packets to an
/// upstream, caused by whoever asks us often.
const SUSPECT_PAUSE: Duration = Duration::from_secs(1);

/// What is asked of `upstream` below `domain` comes back to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loop {
    /// Who was asked.
    pub upstream: UpstreamAddress,
    /// Names from here on down come back.
    pub domain: Name,
    /// When the first probe came back.
    pub since: Instant,
    /// Probes in a row that told nothing.
    unclear: u32,
}

/// What became of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// It was asked of us.
    Returned,
    /// A hub behind the upstream says that there is a loop, and did not pass the probe on.
    Ahead,
    /// It was answered, and by nobody who asked us first.
    Answered,
    /// Neither.
    Unclear,
}

/// What a probe changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// There is a loop.
    Begins,
    /// It is still there; so many probes in a row have told nothing.
    Stays(u32),
    /// It is gone.
    Ends,
    /// There is none, as before.
    None,
}

/// Judges a probe; `unclear` is the count of the loop that is known there, if one is.
fn judge(unclear: Option<u32>, sighting: Sighting) -> Verdict {
    match (unclear, sighting) {
        (None, Sighting::Returned) => Verdict::Begins,
        // Only what came back to us ourselves is evidence of a loop through us.
        (None, Sighting::Ahead | Sighting::Answered | Sighting::Unclear) => Verdict::None,
        (Some(_), Sighting::Returned | Sighting::Ahead) => Verdict::Stays(0),
        (Some(_), Sighting::Answered) => Verdict::Ends,
        (Some(unclear), Sighting::Unclear) if unclear + 1 < UNCLEAR_MAX => {
            Verdict::Stays(unclear + 1)
        }
        (Some(_), Sighting::Unclear) => Verdict::Ends,
    }
}

/// The loops there are, the probes under way, and what should be probed next.
pub(super) struct Loops {
    known: watch::Sender<Arc<[Loop]>>,
    probes: Mutex<HashMap<Name, Underway>>,
    suspect: Mutex<Suspect>,
    suspected: Notify,
    metrics: Arc<Metrics>,
}

/// A probe that may come back.
struct Underway {
    upstream: UpstreamAddress,
    domain: Name,
    returned: Arc<Notify>,
}

/// A domain to be probed, since a question in it may be one of ours.
#[derive(Default)]
struct Suspect {
    domain: Option<Name>,
    last: Option<Instant>,
}

/// A probe while it is under way. When it is dropped its name counts no more.
pub(super) struct Probe<'l> {
    loops: &'l Loops,
    pub(super) name: Name,
    returned: Arc<Notify>,
}

// === impl Loop ===

impl Loop {
    fn is_at(&self, upstream: &UpstreamAddress, domain: &Name) -> bool {
        self.upstream == *upstream && self.domain == *domain
    }
}

/// For people, in a sentence.
impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loop { upstream, domain, .. } = self;
        match domain.is_root() {
            true => write!(f, "a forwarding loop: all that {upstream} is asked comes back to us"),
            false => {
                write!(
                    f,
                    "a forwarding loop: what {upstream} is asked in {domain} comes back to us"
                )
            }
        }
    }
}

// === impl Loops ===

impl Loops {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            known: watch::Sender::new(Arc::default()),
            probes: Mutex::default(),
            suspect: Mutex::default(),
            suspected: Notify::new(),
            metrics,
        }
    }

    /// The loops that are known.
    pub(super) fn known(&self) -> Arc<[Loop]> {
        Arc::clone(&self.known.borrow())
    }

    /// The same as they change.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<[Loop]>> {
        self.known.subscribe()
    }

    /// Those of `upstreams` that may be asked for `name`.
    pub(super) fn open(&self, upstreams: &Arc<Upstreams>, name: &Name) -> Arc<Upstreams> {
        let known = self.known.borrow();
        match known.is_empty() {
            true => Arc::clone(upstreams),
            false => {
                let open = |upstream: &Upstream| !closed(&known, &upstream.address, name);
                Arc::new(upstreams.only(open))
            }
        }
    }

    /// Waits until none of `upstreams` may be asked for `name` any more.
    pub(super) async fn closing(&self, upstreams: &[Arc<Upstream>], name: &Name) {
        let all = |known: &Arc<[Loop]>| {
            upstreams.iter().all(|upstream| closed(known, &upstream.address, name))
        };
        // It cannot fail: the sender is ours.
        let _ = self.known.subscribe().wait_for(all).await;
    }

    /// A probe of `upstream` below `domain`; `random` must not be guessable.
    pub(super) fn probe(
        &self,
        upstream: &UpstreamAddress,
        domain: &Name,
        random: u128,
    ) -> Result<Probe<'_>, NameError> {
        let name = match domain.is_root() {
            true => probe_name(&Name::parse(ANYWHERE)?, random)?,
            false => probe_name(domain, random)?,
        };
        let returned = Arc::new(Notify::new());
        let underway = Underway {
            upstream: upstream.clone(),
            domain: domain.clone(),
            returned: Arc::clone(&returned),
        };
        self.probes().insert(name.clone(), underway);
        Ok(Probe { loops: self, name, returned })
    }

    /// Looks at a name that we are asked for and would forward, in wire form. True when it is a
    /// probe of ours that has come back, which must not be sent again.
    pub(super) fn looks_at(&self, name_wire: &[u8], now: Instant) -> bool {
        let Some(domain) = probed_domain(name_wire) else { return false };
        match self.probes().remove(name_wire) {
            Some(Underway { upstream, domain, returned }) => {
                self.sighted(&upstream, &domain, Sighting::Returned, now);
                returned.notify_one();
                true
            }
            // Another hub looks whether its questions come back to it. They come through us; so
            // ours may as well, and where hubs take turns each sees only a part of what returns.
            // Where a loop is known that says nothing new: two hubs would go on having each other
            // probe for as long as it lasts.
            None => {
                if !self.known.borrow().iter().any(|it| domain.is_within(&it.domain)) {
                    self.suspect(&domain, now);
                }
                false
            }
        }
    }

    /// Has `domain` probed soon, unless another was just now.
    pub(super) fn suspect(&self, domain: &Name, now: Instant) {
        let mut suspect = self.suspect.lock().unwrap_or_else(|broken| broken.into_inner());
        if suspect.last.is_none_or(|last| last + SUSPECT_PAUSE <= now) {
            *suspect = Suspect { domain: Some(domain.clone()), last: Some(now) };
            self.suspected.notify_one();
        }
    }

    /// Waits for a domain that should be probed.
    pub(super) async fn suspected(&self) -> Name {
        loop {
            self.suspected.notified().await;
            let mut suspect = self.suspect.lock().unwrap_or_else(|broken| broken.into_inner());
            if let Some(found) = suspect.domain.take() {
                return found;
            }
        }
    }

    /// Notes what became of a probe, and says so once where that is news.
    pub(super) fn sighted(
        &self,
        upstream: &UpstreamAddress,
        domain: &Name,
        sighting: Sighting,
        now: Instant,
    ) {
        self.metrics.forward.loop_probe(match sighting {
            Sighting::Returned | Sighting::Ahead => LoopProbe::Returned,
            Sighting::Answered => LoopProbe::Answered,
            Sighting::Unclear => LoopProbe::Unclear,
        });
        self.known.send_if_modified(|known| {
            let here = known.iter().find(|it| it.is_at(upstream, domain)).map(|it| it.unclear);
            let covers = |it: &Loop| it.upstream == *upstream && domain.is_within(&it.domain);
            let covered = here.is_none() && known.iter().any(covers);
            let changed = match judge(here, sighting) {
                Verdict::Begins if !covered => begun(known, upstream, domain, now),
                Verdict::Stays(unclear) => stayed(known, upstream, domain, unclear),
                Verdict::Ends => without(known, upstream, domain),
                Verdict::Begins | Verdict::None => return false,
            };
            self.tell(upstream, known, &changed);
            *known = changed.into();
            true
        });
    }

    /// What is different for `upstream`: to the log, and as a figure.
    fn tell(&self, upstream: &UpstreamAddress, before: &[Loop], after: &[Loop]) {
        let has = |list: &[Loop], it: &Loop| {
            list.iter().any(|other| other.is_at(&it.upstream, &it.domain))
        };
        for begun in after.iter().filter(|it| !has(before, it)) {
            tracing::error!(
                upstream = %upstream, domain = %begun.domain,
                "a forwarding loop: what this upstream is asked in this domain comes back to us; \
                 it is not asked there until that ends"
            );
        }
        for gone in before.iter().filter(|it| !has(after, it)) {
            let wider = |it: &Loop| it.upstream == *upstream && gone.domain.is_within(&it.domain);
            if !after.iter().any(wider) {
                tracing::info!(
                    upstream = %upstream, domain = %gone.domain,
                    "the forwarding loop is gone; the upstream is asked again"
                );
            }
        }
        let count = after.iter().filter(|it| it.upstream == *upstream).count();
        self.metrics.forward.loops(upstream, count);
    }

    fn probes(&self) -> MutexGuard<'_, HashMap<Name, Underway>> {
        self.probes.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// The name of a probe below `domain`. One label, so that no absence of a label in between, which
/// somebody may have cached, stands for it (RFC 8020).
fn probe_name(domain: &Name, random: u128) -> Result<Name, NameError> {
    let prefix = String::from_utf8_lossy(LABEL_PREFIX);
    domain.child(&format!("{prefix}{random:032x}"))
}

/// The domain that a name made like a probe stands in. Looked at for every question that is not
/// ours, so it costs a comparison of one octet where there is nothing to find.
fn probed_domain(name_wire: &[u8]) -> Option<Name> {
    let (len, labels) = name_wire.split_first()?;
    match usize::from(*len) == LABEL_LEN && labels.starts_with(LABEL_PREFIX) {
        true => Name::from_wire(labels.get(LABEL_LEN..)?).ok(),
        false => None,
    }
}

/// Whether `name` would come back from `upstream`.
fn closed(known: &[Loop], upstream: &UpstreamAddress, name: &Name) -> bool {
    known.iter().any(|it| it.upstream == *upstream && name.is_within(&it.domain))
}

/// With a loop more, in place of those that it holds.
fn begun(known: &[Loop], upstream: &UpstreamAddress, domain: &Name, now: Instant) -> Vec<Loop> {
    let stays = |it: &&Loop| it.upstream != *upstream || !it.domain.is_within(domain);
    let begun = Loop { upstream: upstream.clone(), domain: domain.clone(), since: now, unclear: 0 };
    known.iter().filter(stays).cloned().chain([begun]).collect()
}

fn stayed(known: &[Loop], upstream: &UpstreamAddress, domain: &Name, unclear: u32) -> Vec<Loop> {
    let counted = |it: &Loop| match it.is_at(upstream, domain) {
        true => Loop { unclear, ..it.clone() },
        false => it.clone(),
    };
    known.iter().map(counted).collect()
}

fn without(known: &[Loop], upstream: &UpstreamAddress, domain: &Name) -> Vec<Loop> {
    known.iter().filter(|it| !it.is_at(upstream, domain)).cloned().collect()
}

// === impl Probe ===

impl Probe<'_> {
    /// Waits until it comes back.
    pub(super) async fn returned(&self) {
        self.returned.notified().await;
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.loops.probes().remove(&self.name);
    }
}

/// Whether a question from `asker` can be one that `upstreams` were asked: it comes from one of
/// them, or from an address of our own.
pub(super) fn may_be_ours(asker: IpAddr, own: IpAddr, upstreams: &[Arc<Upstream>]) -> bool {
    asker == own || upstreams.iter().any(|it| it.address.socket().ip().to_canonical() == asker)
}

#[cfg(test)]
mod tests;
