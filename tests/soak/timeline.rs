//! What was in force when. A change is possible from when it is made until the daemon says that it is
//! done; both what was before and what comes may be told in between.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// A batch of questions is answered from the table that was in force when it was read.
const BATCH: Duration = Duration::from_millis(50);

/// What was in force, in its order.
pub(crate) struct Timeline<T>(Mutex<Vec<Span<T>>>);

struct Span<T> {
    value: T,
    possible_from: Instant,
    /// `None` until it is certain.
    in_force: Option<Instant>,
}

// === impl Timeline ===

impl<T: Copy + PartialEq> Timeline<T> {
    /// It was always so.
    pub(crate) fn new(value: T) -> Self {
        let now = Instant::now();
        Self(Mutex::new(vec![Span { value, possible_from: now, in_force: Some(now) }]))
    }

    /// From now on it may be so.
    pub(crate) fn begins(&self, value: T) {
        let possible_from = Instant::now();
        self.0.lock().unwrap().push(Span { value, possible_from, in_force: None });
    }

    /// From now on it cannot be as it was before.
    pub(crate) fn is_in_force(&self) {
        let mut spans = self.0.lock().unwrap();
        spans.last_mut().unwrap().in_force = Some(Instant::now());
    }

    /// Whether it may have been so at some moment from `sent` until now, or within `late` before it.
    pub(crate) fn was(&self, value: T, sent: Instant, late: Duration) -> bool {
        let spans = self.0.lock().unwrap();
        let now = Instant::now();
        let mut ended = None;
        // From the last: what follows a span ends it.
        for span in spans.iter().rev() {
            let is_over = ended.is_some_and(|ended: Instant| ended + BATCH + late < sent);
            if is_over {
                return false;
            }
            if span.value == value && span.possible_from <= now {
                return true;
            }
            ended = span.in_force.or(ended);
        }
        false
    }
}

#[test]
fn what_ended_before_a_question_and_what_came_after_its_answer_was_not_true() {
    let was = |timeline: &Timeline<u8>, value, ago| {
        timeline.was(value, Instant::now() - Duration::from_millis(ago), Duration::ZERO)
    };
    let timeline = Timeline::new(1);
    std::thread::sleep(Duration::from_millis(10));
    assert!(was(&timeline, 1, 0) && !was(&timeline, 2, 0));
    // Until it is certain both may be.
    timeline.begins(2);
    assert!(was(&timeline, 1, 0) && was(&timeline, 2, 0) && !was(&timeline, 3, 0));
    timeline.is_in_force();
    std::thread::sleep(2 * BATCH);
    assert!(was(&timeline, 2, 0) && !was(&timeline, 1, 0));
    // Who asked before it was certain may have been told either.
    assert!(was(&timeline, 1, 150));
    timeline.begins(1);
    timeline.is_in_force();
    assert!(was(&timeline, 1, 0), "what comes back is true again");
}
