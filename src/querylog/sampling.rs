//! Which queries are told, drawn by each thread for itself.

use std::fmt;

use super::{config::Rate, observers::Observers};

/// A query that is told, in the query log, in the log's lines about its forwarding and as a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryId(u64);

/// Draws. One a listener or connection, so it has no lock.
#[derive(Debug)]
pub struct Sampler {
    dice: Dice,
    /// The last id; they begin at a random one.
    id: u64,
}

/// Who wants to hear of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The query log, by this id.
    pub log: Option<QueryId>,
    /// Whether dnstap does.
    pub(super) dnstap: bool,
    /// A collector of traces, by this id, which is the query log's where that wants it too.
    pub(super) otlp: Option<QueryId>,
}

/// Chance that is good enough for a sample: xorshift, whose state is never 0.
#[derive(Debug)]
struct Dice(u32);

// === impl Sampler ===

impl Sampler {
    /// `seed` is random: with the same, sessions would draw alike.
    pub fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), id: seed }
    }

    /// Whether the query that has just come is told, and to whom.
    pub fn draw(&mut self, observers: &Observers) -> Wanted {
        let log = self.dice.falls(observers.log_rate());
        let dnstap = self.dice.falls(observers.dnstap_rate());
        let otlp = self.dice.falls(observers.otlp_rate());
        if log || otlp {
            self.id = self.id.wrapping_add(1);
        }
        let id = QueryId(self.id);
        Wanted { log: log.then_some(id), dnstap, otlp: otlp.then_some(id) }
    }
}

// === impl Wanted ===

impl Wanted {
    /// Nobody does.
    pub const NOBODY: Wanted = Wanted { log: None, dnstap: false, otlp: None };

    /// Whether anybody does.
    pub fn anybody(self) -> bool {
        self != Self::NOBODY
    }
}

// === impl QueryId ===

#[cfg(feature = "otlp")]
impl QueryId {
    /// The same as a number.
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

// === impl Dice ===

impl Dice {
    fn new(seed: u64) -> Self {
        let [a, b, c, d, ..] = seed.to_le_bytes();
        Self(u32::from_le_bytes([a, b, c, d]) | 1)
    }

    /// Once in so many times, by chance: a rhythm of clients is neither met nor missed by it, and
    /// a connection's only query is as likely told as any other.
    fn falls(&mut self, rate: Rate) -> bool {
        match rate {
            Rate::Off => false,
            Rate::OneIn(1) => true,
            Rate::OneIn(every) => {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 17;
                self.0 ^= self.0 << 5;
                (u64::from(self.0) * u64::from(every)) >> 32 == 0
            }
        }
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Dice, Rate};

    /// Of so many sessions, with so many queries each.
    fn told(rate: Rate, sessions: u64, queries: u32) -> usize {
        let session = |seed: u64| {
            let mut dice = Dice::new((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            (0..queries).filter(|_| dice.falls(rate)).count()
        };
        (0..sessions).map(session).sum()
    }

    #[test]
    fn one_in_so_many_is_told_whether_one_session_has_them_or_each_its_own() {
        assert_eq!(told(Rate::OneIn(1), 1, 1_000), 1_000);
        assert_eq!(told(Rate::Off, 1, 1_000), 0);
        // 1,000 are expected of each, give or take 32; five times that is no chance any more.
        for (sessions, queries) in [(1, 100_000), (100, 1_000), (100_000, 1)] {
            let told = told(Rate::OneIn(100), sessions, queries);
            assert!((840..1_160).contains(&told), "{told} of {sessions} times {queries}");
        }
    }
}
