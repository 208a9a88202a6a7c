//! When an address counts as down, and when as up again.
//!
//! Pure: a state and one probe's result make the next state.

/// Probes in a row without an answer after which an address is down. A lost packet or two change
/// nothing: the kernel sends each probe's anew after 1 s.
const FAILURES_TO_DOWN: u8 = 3;

/// Probes in a row with an answer after which it is up again. Asymmetric on purpose: coming back
/// late costs a zone's nearness, while an interface that flaps costs clients their connections.
const SUCCESSES_TO_UP: u8 = 2;

/// Changes of verdict from which an address counts as flapping: it went down and came back twice.
const CHANGES_TO_FLAP: u8 = 4;

/// Changes that are remembered at most: more make nothing slower.
const CHANGES_MAX: u8 = 9;

/// Probes in a row without a change of verdict after which one change is forgotten: five minutes at
/// the default interval. So an address that flapped is taken for steady after a calm of 15 minutes.
const CALM_PROBES: u8 = 60;

/// What the probes of one address have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    verdict: Verdict,
    /// Changes of verdict that count still.
    changes: u8,
    /// Probes since the last change, or since one was forgotten.
    calm: u8,
    flaps: bool,
    heard: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
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

/// What one more probe changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Observed {
    /// The verdict.
    pub(super) verdict: Option<Transition>,
    /// Whether it flaps: from now on, or no more.
    pub(super) flaps: Option<bool>,
}

/// The state after one more probe, and what is different.
pub(super) fn observe(before: State, answered: bool) -> (State, Observed) {
    let mut state = before;
    state.heard |= answered;
    let verdict = state.judge(answered);
    match verdict {
        Some(_) => {
            state.changes = state.changes.saturating_add(1).min(CHANGES_MAX);
            state.calm = 0;
        }
        None => state.calm_down(),
    }
    state.flaps = match before.flaps {
        true => 1 < state.changes,
        false => CHANGES_TO_FLAP <= state.changes,
    };
    let flaps = (state.flaps != before.flaps).then_some(state.flaps);
    (state, Observed { verdict, flaps })
}

// === impl State ===

impl State {
    /// Before the first probe: healthy until shown otherwise.
    pub(super) const NEW: State = State {
        verdict: Verdict::Up { failures: 0 },
        changes: 0,
        calm: 0,
        flaps: false,
        heard: false,
    };

    /// Whether it is given out and did not answer the last time.
    pub(super) fn is_doubted(self) -> bool {
        matches!(self.verdict, Verdict::Up { failures } if 0 < failures)
    }

    pub(super) fn is_down(self) -> bool {
        match self.verdict {
            Verdict::Up { .. } => false,
            Verdict::Down { .. } => true,
        }
    }

    /// Whether it is down and has never answered: it may listen elsewhere.
    pub(super) fn is_unheard(self) -> bool {
        self.is_down() && !self.heard
    }

    /// Changes of verdict that count still, of an address that flaps.
    pub(super) fn flaps(self) -> Option<u8> {
        self.flaps.then_some(self.changes)
    }

    fn judge(&mut self, answered: bool) -> Option<Transition> {
        let to_up = self.successes_to_up();
        let (verdict, transition) = match (self.verdict, answered) {
            (Verdict::Up { .. }, true) => (Verdict::Up { failures: 0 }, None),
            (Verdict::Up { failures }, false) => match failures.saturating_add(1) {
                FAILURES_TO_DOWN.. => (Verdict::Down { successes: 0 }, Some(Transition::WentDown)),
                failures => (Verdict::Up { failures }, None),
            },
            (Verdict::Down { .. }, false) => (Verdict::Down { successes: 0 }, None),
            (Verdict::Down { successes }, true) => match successes.saturating_add(1) {
                enough if to_up <= enough => {
                    (Verdict::Up { failures: 0 }, Some(Transition::CameUp))
                }
                successes => (Verdict::Down { successes }, None),
            },
        };
        self.verdict = verdict;
        transition
    }

    /// Twice as many for each time that it was down lately: 2, 4, 8, 16, and 32 from the fifth time
    /// on, which is 160 s at the default interval.
    fn successes_to_up(&self) -> u8 {
        SUCCESSES_TO_UP << (self.changes / 2)
    }

    fn calm_down(&mut self) {
        self.calm += 1;
        if self.calm == CALM_PROBES {
            self.calm = 0;
            self.changes = self.changes.saturating_sub(1);
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
            match transition.verdict {
                Some(Transition::WentDown) => assert!(!was_down && state.is_down()),
                Some(Transition::CameUp) => assert!(was_down && !state.is_down()),
                None => assert_eq!(was_down, state.is_down()),
            }
            told.extend(transition.verdict.map(|_| '!'));
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

    #[test]
    fn what_has_answered_once_is_never_again_unheard() {
        let unheard = |probes: &str| {
            let all = probes.chars().fold(State::NEW, |state, it| observe(state, it == '+').0);
            all.is_unheard()
        };
        assert!(!unheard("--") && unheard("---") && unheard("------"));
        assert!(!unheard("+---") && !unheard("---+") && !unheard("---+-----"));
    }

    /// Probes until it is up again, when it answers from now on.
    fn until_up(mut state: State) -> usize {
        let mut probes = 0;
        while state.is_down() {
            state = observe(state, true).0;
            probes += 1;
        }
        probes
    }

    /// The state after this many failures, then as many successes as it takes to come back, and so on.
    fn after(times: usize) -> (State, Vec<bool>) {
        let (mut state, mut told) = (State::NEW, Vec::new());
        for _ in 0..times {
            for answered in [false, true] {
                let was = state.is_down();
                while state.is_down() == was {
                    let (next, observed) = observe(state, answered);
                    state = next;
                    told.extend(observed.flaps);
                }
            }
        }
        (state, told)
    }

    #[test]
    fn one_that_flaps_has_to_answer_longer_each_time() {
        let needed = (0..7).map(|times| {
            let (mut state, _) = after(times);
            while !state.is_down() {
                state = observe(state, false).0;
            }
            until_up(state)
        });
        assert_eq!(needed.collect::<Vec<_>>(), [2, 4, 8, 16, 32, 32, 32]);
    }

    #[test]
    fn flapping_begins_with_the_second_return_and_ends_after_a_calm() {
        assert!(after(1).1.is_empty());
        assert_eq!(after(2).1, [true]);
        let (mut state, told) = after(5);
        assert_eq!((told, state.flaps()), (vec![true], Some(9)));
        // Two probes lost of many are no change of verdict, and so disturb no calm.
        let mut probes = 0;
        loop {
            let (next, observed) = observe(state, probes % 10 < 8);
            state = next;
            probes += 1;
            if observed.flaps == Some(false) {
                break;
            }
        }
        assert_eq!((probes, state.flaps()), (8 * 60, None));
    }
}
