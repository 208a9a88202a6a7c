//! What a generator tells of a turn, as one line of JSON.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

use tokio::task::JoinSet;

use crate::question::Expected;

/// What was sent and what came.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) sent: u64,
    pub(crate) answers: u64,
    /// Another code, or no records.
    pub(crate) wrong: u64,
    /// All octets of all answers.
    pub(crate) octets: u64,
    pub(crate) elapsed: Duration,
    /// Of each answer, where it is measured.
    pub(crate) waits: Vec<Duration>,
    /// The longest time between an answer and the next.
    pub(crate) silence: Duration,
}

/// The questions that have no answer yet, by id: when each was due, and what is to be answered.
pub(crate) struct Waiting {
    slots: Vec<Option<(Instant, Expected)>>,
    next: u16,
}

// === impl Told ===

impl Told {
    /// One more answer.
    pub(crate) fn count(&mut self, expected: Expected, response: &[u8]) {
        self.answers += 1;
        self.octets += response.len() as u64;
        self.wrong += u64::from(!expected.is(response));
    }

    /// Adds what another part of the same turn had.
    pub(crate) fn add(&mut self, other: &Told) {
        self.sent += other.sent;
        self.answers += other.answers;
        self.wrong += other.wrong;
        self.octets += other.octets;
        self.elapsed = self.elapsed.max(other.elapsed);
        self.silence = self.silence.max(other.silence);
    }

    /// What the parts of a turn had, of which each is a task.
    pub(crate) async fn of_all(mut parts: JoinSet<Told>) -> Told {
        let mut told = Told::default();
        while let Some(part) = parts.join_next().await {
            told.add(&part.unwrap());
        }
        told
    }

    pub(crate) fn print(mut self) {
        self.waits.sort();
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let at = |share: f64| {
            let at = (self.waits.len() as f64 * share) as usize;
            self.waits.get(at.min(self.waits.len().saturating_sub(1))).map(Duration::as_secs_f64)
        };
        let figures = BTreeMap::from([
            ("sent", Some(self.sent as f64)),
            ("answers", Some(self.answers as f64)),
            ("wrong", Some(self.wrong as f64)),
            ("octets", Some(self.octets as f64)),
            ("seconds", Some(self.elapsed.as_secs_f64())),
            ("cpu", Some(cpu as f64 / 1e6)),
            ("silence", Some(self.silence.as_secs_f64())),
            ("p50", at(0.5)),
            ("p99", at(0.99)),
            ("p999", at(0.999)),
            ("worst", at(1.0)),
        ]);
        println!("{}", serde_json::to_string(&figures).unwrap());
    }
}

// === impl Waiting ===

impl Waiting {
    pub(crate) fn new() -> Self {
        Self { slots: vec![None; 1 << 16], next: 0 }
    }

    /// An id for a question that is due now.
    pub(crate) fn id(&mut self) -> u16 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    pub(crate) fn wait(&mut self, id: u16, due: Instant, expected: Expected) {
        self.slots[usize::from(id)] = Some((due, expected));
    }

    /// When the question of this response was due, unless it was answered before.
    pub(crate) fn take(&mut self, response: &[u8]) -> Option<(Instant, Expected)> {
        let id = response.first_chunk::<2>()?;
        self.slots[usize::from(u16::from_be_bytes(*id))].take()
    }
}
