//! Decides whether a table that was found replaces the one in force.
//!
//! Pure. Whatever goes wrong in AWS or on the way to it, names do not leave the table by accident.

use crate::{inventory::SourceFacts, table::AnswerTable};

/// How often a table that shrinks too much must be found in a row before it is believed.
const SHRINK_ROUNDS: u8 = 3;

/// What becomes of a table that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It says something else: put it in force.
    Publish,
    /// It says the same.
    Unchanged,
    /// It is not believed yet; what is in force stays.
    Keep(KeepReason),
}

/// Why a table that was found is not put in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeepReason {
    /// It has no name at all, and the one in force has some.
    #[error(
        "every endpoint has vanished, which is more likely a mistake than the truth; if it is \
         true, `hubdns refresh --accept` believes it"
    )]
    EverythingVanished,
    /// It lacks too many of the names in force.
    #[error(
        "{lost} of {of} names would go, more than shrink_guard_percent allows; seen {seen} of \
         {SHRINK_ROUNDS} times in a row; `hubdns refresh --accept` believes it at once"
    )]
    Shrinks {
        /// Names in force that it lacks.
        lost: usize,
        /// Names in force.
        of: usize,
        /// How often it was found in a row.
        seen: u8,
    },
}

/// Remembers between rounds of one source what it told that was not believed, and how often in a
/// row. The facts themselves count, not the table: that changes with health and other sources too.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    held: Option<(SourceFacts, u8)>,
}

/// What to do with the table `found`, to which a source's `facts` lead, and the guard for that
/// source's next round. `percent` of the names in force may go at once.
pub(super) fn step(
    current: &AnswerTable,
    found: &AnswerTable,
    facts: &SourceFacts,
    guard: &Guard,
    percent: u8,
) -> (Outcome, Guard) {
    if found == current {
        return (Outcome::Unchanged, Guard::default());
    }
    let of = names_of_endpoints(current);
    if names_of_endpoints(found) == 0 && of != 0 {
        return (Outcome::Keep(KeepReason::EverythingVanished), Guard::default());
    }
    let lost = lost(current, found);
    if lost * 100 <= usize::from(percent) * of {
        return (Outcome::Publish, Guard::default());
    }
    let seen = match &guard.held {
        Some((held, seen)) if held == facts => seen + 1,
        Some(_) | None => 1,
    };
    match seen < SHRINK_ROUNDS {
        true => {
            let held = Guard { held: Some((facts.clone(), seen)) };
            (Outcome::Keep(KeepReason::Shrinks { lost, of, seen }), held)
        }
        false => (Outcome::Publish, Guard::default()),
    }
}

/// How many names endpoints answer, all views together. CNAMEs stay whatever becomes of endpoints.
fn names_of_endpoints(table: &AnswerTable) -> usize {
    table.views().map(|view| view.entries().len()).sum()
}

/// How many of these of `current` have no place in `found`, view by view.
fn lost(current: &AnswerTable, found: &AnswerTable) -> usize {
    let gone = |view: &crate::table::ViewTable| {
        let kept = |pattern: &crate::base::Pattern| {
            found.view(view.name().as_str()).is_some_and(|found| {
                let entries = found.entries();
                let cnames = found.cnames();
                entries.binary_search_by(|it| it.claim().pattern.cmp(pattern)).is_ok()
                    || cnames.binary_search_by(|it| it.pattern.cmp(pattern)).is_ok()
            })
        };
        view.entries().iter().filter(|entry| !kept(&entry.claim().pattern)).count()
    };
    current.views().map(gone).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{self, facts},
        table::compile,
    };

    /// Facts and table of a name a number, each answered by 10.0.0.`last`.
    fn table(numbers: impl Iterator<Item = u8>, last: u8) -> (SourceFacts, AnswerTable) {
        let line = |at: u8| {
            format!(
                "vpce-{at} com.amazonaws.eu-west-1.s{at} eu-west-1a=10.0.0.{last} names=s{at}.example\n"
            )
        };
        let config = facts::config();
        let inventory = facts::inventory(&numbers.map(line).collect::<String>());
        let table = compile(policy::plan(&inventory, &config), &config);
        let none = SourceFacts::new("hub".into(), None, vec![], vec![], vec![]);
        (inventory.sources.first().map_or(none, |facts| SourceFacts::clone(facts)), table)
    }

    /// What happens when these are found one after the other; the first is in force.
    fn outcomes(rounds: &[(SourceFacts, AnswerTable)]) -> Vec<&'static str> {
        let (mut current, mut guard) = (rounds[0].1.clone(), Guard::default());
        let mut outcomes = Vec::new();
        for (facts, found) in &rounds[1..] {
            let (outcome, next) = step(&current, found, facts, &guard, 30);
            guard = next;
            outcomes.push(match outcome {
                Outcome::Publish => {
                    current = found.clone();
                    "publish"
                }
                Outcome::Unchanged => "unchanged",
                Outcome::Keep(KeepReason::EverythingVanished) => "vanished",
                Outcome::Keep(KeepReason::Shrinks { .. }) => "shrinks",
            });
        }
        outcomes
    }

    #[test]
    fn a_change_is_published_and_the_same_is_not() {
        let same = outcomes(&[table(0..10, 1), table(0..10, 1), table(0..10, 2), table(0..11, 2)]);
        assert_eq!(same, ["unchanged", "publish", "publish"]);
    }

    #[test]
    fn the_guard_holds_at_its_percent() {
        assert_eq!(outcomes(&[table(0..10, 1), table(0..7, 1)]), ["publish"]);
        assert_eq!(outcomes(&[table(0..10, 1), table(0..6, 1)]), ["shrinks"]);
    }

    #[test]
    fn a_shrunken_table_is_believed_when_it_was_found_three_times_in_a_row() {
        let small = || table(0..2, 1);
        let seen = outcomes(&[table(0..10, 1), small(), small(), small(), small()]);
        assert_eq!(seen, ["shrinks", "shrinks", "publish", "unchanged"]);
        let broken = outcomes(&[table(0..10, 1), small(), small(), table(0..10, 1), small()]);
        assert_eq!(broken, ["shrinks", "shrinks", "unchanged", "shrinks"]);
        let another = outcomes(&[table(0..10, 1), small(), small(), table(0..3, 1)]);
        assert_eq!(another, ["shrinks", "shrinks", "shrinks"]);
    }

    #[test]
    fn names_that_only_moved_to_others_are_lost_names() {
        assert_eq!(outcomes(&[table(0..10, 1), table(10..20, 1)]), ["shrinks"]);
    }

    #[test]
    fn everything_never_vanishes() {
        let none = || table(0..0, 1);
        let seen = outcomes(&[table(0..10, 1), none(), none(), none(), none()]);
        assert_eq!(seen, ["vanished"; 4]);
        assert_eq!(outcomes(&[none(), table(0..10, 1)]), ["publish"]);
    }
}
