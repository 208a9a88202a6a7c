//! When an address counts as down, and when as up again.
//!
//! Pure: a state and one probe's result make the next state.

/// Probes in a row without an answer after which an address is down. At the default interval of
/// 5 s it is left out 10 to 15 s after it fell silent, and a lost packet or two change nothing.
const FAILURES_TO_DOWN: u8 = 3;

/// Probes in a row with an answer after which it is up again. Asymmetric on purpose: coming back
/// late costs a zone's nearness, while an interface that flaps costs clients their connections.
const SUCCESSES_TO_UP: u8 = 2;

/// What the probes of one address have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Given out; so many probes in a row have failed.
    Up { failures: u8 },
    /// Left out; so many probes in a row have succeeded.
    Down { successes: u8 },
}

/// A verdict that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// It is not given out any more.
    WentDown,
    /// It is given out again.
    CameUp,
}

/// The state after one more probe, and the change of verdict if it is one.
pub(super) fn observe(state: State, answered: bool) -> (State, Option<Transition>) {
    match (state, answered) {
        (State::Up { .. }, true) => (State::NEW, None),
        (State::Up { failures }, false) => match failures.saturating_add(1) {
            FAILURES_TO_DOWN.. => (State::Down { successes: 0 }, Some(Transition::WentDown)),
            failures => (State::Up { failures }, None),
        },
        (State::Down { .. }, false) => (State::Down { successes: 0 }, None),
        (State::Down { successes }, true) => match successes.saturating_add(1) {
            SUCCESSES_TO_UP.. => (State::NEW, Some(Transition::CameUp)),
            successes => (State::Down { successes }, None),
        },
    }
}

// === impl State ===

impl State {
    /// Before the first probe: healthy until shown otherwise.
    pub(super) const NEW: State = State::Up { failures: 0 };

    pub(super) fn is_down(self) -> bool {
        match self {
            State::Up { .. } => false,
            State::Down { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{State, Transition, observe};

    /// The verdict after each probe, `+` answered and `-` not: `U` up, `D` down, and `!` behind
    /// it where it changes.
    fn verdicts(probes: &str) -> String {
        let mut state = State::NEW;
        let mut told = String::new();
        for probe in probes.chars() {
            let (next, transition) = observe(state, probe == '+');
            let was_down = std::mem::replace(&mut state, next).is_down();
            told.push(if state.is_down() { 'D' } else { 'U' });
            match transition {
                Some(Transition::WentDown) => assert!(!was_down && state.is_down()),
                Some(Transition::CameUp) => assert!(was_down && !state.is_down()),
                None => assert_eq!(was_down, state.is_down()),
            }
            told.extend(transition.map(|_| '!'));
        }
        told
    }

    #[test]
    fn down_after_three_failures_in_a_row_and_said_once() {
        assert_eq!(verdicts("---"), "UUD!");
        assert_eq!(verdicts("------"), "UUD!DDD");
        assert_eq!(verdicts("--+--+--"), "UUUUUUUU");
    }

    #[test]
    fn up_after_two_successes_in_a_row_and_said_once() {
        assert_eq!(verdicts("---++"), "UUD!DU!");
        assert_eq!(verdicts("---+-+-+"), "UUD!DDDDD");
        assert_eq!(verdicts("---++++--"), "UUD!DU!UUUU");
        assert_eq!(verdicts("---++---"), "UUD!DU!UUD!");
    }
}
