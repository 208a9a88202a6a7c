//! Decides whether a table that was found replaces the one in force.
//!
//! Pure. Whatever goes wrong in AWS or on the way to it, names do not leave the table by accident.

use std::{fmt, ptr};

use crate::{
    base::{EndpointId, Pattern, SourceName, ViewName},
    inventory::SourceFacts,
    policy::{Claim, CnameClaim, CnameLender},
    table::{AnswerTable, ViewTable},
};

/// How often a table that shrinks too much must be found in a row before it is believed.
const SHRINK_ROUNDS: u8 = 3;

/// What becomes of a table that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It says something else: put it in force.
    Publish,
    /// It says the same.
    Unchanged,
    /// It is not believed yet; what is in force stays.
    Keep(KeepReason),
}

/// Why a table that was found is not put in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeepReason {
    /// It has no name at all, and the one in force has some.
    #[error(
        "every endpoint has vanished, which is more likely a mistake than the truth; if it is \
         true, `hubdns refresh --accept` believes it"
    )]
    EverythingVanished,
    /// A source, or a view, would lose too many of its names in force.
    #[error(
        "{loss} would go, more than shrink_guard_percent allows; seen {seen} of {SHRINK_ROUNDS} \
         times in a row; `hubdns refresh --accept` believes it at once"
    )]
    Shrinks {
        /// Whose names, and how many.
        loss: Loss,
        /// How often it was found in a row.
        seen: u8,
    },
}

/// How many of the names in force would go. Each source and each view is counted by itself: among
/// the names of a hundred accounts the loss of one account's would be nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    whose: Part,
    /// Names in force that would go.
    lost: usize,
    /// Names in force.
    of: usize,
}

/// Whose names are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// What the source's endpoints answer, in all views together.
    Source(SourceName),
    /// What any endpoint answers in the view.
    View(ViewName),
}

/// Remembers between rounds of one source what it told that was not believed, and how often in a
/// row. The facts themselves count, not the table: that changes with health and other sources too.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    held: Option<(SourceFacts, u8)>,
}

/// What to do with the table `found`, to which a source's `facts` lead, and the guard for that
/// source's next round. `percent` of the source's names in force may go at once, and of each view's.
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
    if names_of_endpoints(found) == 0 && names_of_endpoints(current) != 0 {
        return (Outcome::Keep(KeepReason::EverythingVanished), Guard::default());
    }
    let mut losses = losses(current, found, &facts.source).into_iter();
    let Some(loss) = losses.find(|loss| loss.exceeds(percent)) else {
        return (Outcome::Publish, Guard::default());
    };
    let seen = match &guard.held {
        Some((held, seen)) if held == facts => seen + 1,
        Some(_) | None => 1,
    };
    match seen < SHRINK_ROUNDS {
        true => {
            let held = Guard { held: Some((facts.clone(), seen)) };
            (Outcome::Keep(KeepReason::Shrinks { loss, seen }), held)
        }
        false => (Outcome::Publish, Guard::default()),
    }
}

/// How many names endpoints give, all views together. An operator's CNAMEs stay whatever becomes of them.
pub(super) fn names_of_endpoints(table: &AnswerTable) -> usize {
    table.views().map(|view| given(view).count()).sum()
}

/// A name that an endpoint gives.
struct Given<'t> {
    pattern: &'t Pattern,
    source: &'t SourceName,
    endpoint: &'t EndpointId,
}

/// What endpoints give in a view: names with their addresses, and those that stand for one of these.
fn given(view: &ViewTable) -> impl Iterator<Item = Given<'_>> {
    let answered = view.entries().iter().map(|entry| {
        let Claim { pattern, source, endpoint, .. } = entry.claim();
        Given { pattern, source, endpoint }
    });
    let standing = view.cnames().iter().filter_map(|CnameClaim { pattern, lender, .. }| {
        let CnameLender { source, endpoint, .. } = lender.as_ref()?;
        Some(Given { pattern, source, endpoint })
    });
    answered.chain(standing)
}

/// What of `current` would go with `found`: of the names of a source, then of those of each view.
fn losses(current: &AnswerTable, found: &AnswerTable, source: &SourceName) -> Vec<Loss> {
    let mut of_source = Loss::none(Part::Source(source.clone()));
    let mut losses = Vec::new();
    for view in current.views() {
        let mut of_view = Loss::none(Part::View(view.name().clone()));
        let found = found.view(view.name().as_str());
        // Most views are shared with the table in force, and lose nothing.
        let same = found.is_some_and(|found| ptr::eq(found, view));
        for name in given(view) {
            let kept = if same { Kept::Same } else { Kept::of(&name, found) };
            of_view.add(kept != Kept::Nowhere);
            if name.source == source {
                of_source.add(kept == Kept::Same);
            }
        }
        losses.push(of_view);
    }
    losses.insert(0, of_source);
    losses
}

/// Where a name of the table in force stands in the one that was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Its source or its endpoint answers it, or it stands for another name by the operator's wish.
    Same,
    /// Another endpoint of another source has taken it: its own source has lost it.
    Elsewhere,
    /// Nobody answers it.
    Nowhere,
}

// === impl Kept ===

impl Kept {
    fn of(name: &Given<'_>, found: Option<&ViewTable>) -> Self {
        let (entries, cnames) =
            found.map_or((&[][..], &[][..]), |view| (view.entries(), view.cnames()));
        let by = |source: &SourceName, endpoint: &EndpointId| {
            let same = source == name.source || endpoint == name.endpoint;
            if same { Self::Same } else { Self::Elsewhere }
        };
        let entry = entries.binary_search_by(|it| it.claim().pattern.cmp(name.pattern));
        if let Some(entry) = entry.ok().and_then(|at| entries.get(at)) {
            return by(&entry.claim().source, &entry.claim().endpoint);
        }
        let cname = cnames.binary_search_by(|it| it.pattern.cmp(name.pattern));
        match cname.ok().and_then(|at| cnames.get(at)) {
            Some(CnameClaim { lender: Some(it), .. }) => by(&it.source, &it.endpoint),
            Some(CnameClaim { lender: None, .. }) => Self::Same,
            None => Self::Nowhere,
        }
    }
}

// === impl Loss ===

impl Loss {
    fn none(whose: Part) -> Self {
        Self { whose, lost: 0, of: 0 }
    }

    /// Counts one name.
    fn add(&mut self, stays: bool) {
        self.of += 1;
        self.lost += usize::from(!stays);
    }

    fn exceeds(&self, percent: u8) -> bool {
        usize::from(percent) * self.of < self.lost * 100
    }
}

/// `6 of 9 names of source hub`.
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loss { whose, lost, of } = self;
        match whose {
            Part::Source(source) => write!(f, "{lost} of {of} names of source {source}"),
            Part::View(view) => write!(f, "{lost} of {of} names of view {view}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::{
        policy::{self, PolicyConfig, ViewConfig, facts},
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

    /// The facts that a source has in these lines, and the table of them all; endpoints of `vpc-few`
    /// are in a view of their own, too.
    fn beside_others(lines: &str, source: &str) -> (SourceFacts, AnswerTable) {
        let few =
            ViewConfig { vpc_ids: vec!["vpc-few".into()], ..facts::view("few", "10.9.0.0/16") };
        let config = PolicyConfig { views: vec![few], ..facts::config() };
        let inventory = facts::inventory(lines);
        let table = compile(policy::plan(&inventory, &config), &config);
        let of = inventory.sources.iter().find(|facts| facts.source.as_str() == source);
        let none = SourceFacts::new(source.into(), None, vec![], vec![], vec![]);
        (of.map_or(none, |facts| SourceFacts::clone(facts)), table)
    }

    /// A name a number, each of its own endpoint.
    fn lines(of: &str, numbers: Range<u8>) -> String {
        let line = |at: u8| format!("vpce-{at} s.{at} a=10.0.0.{at} names=s{at}.example {of}\n");
        numbers.map(line).collect()
    }

    /// Why what was found is not believed.
    fn held(current: &(SourceFacts, AnswerTable), found: &(SourceFacts, AnswerTable)) -> String {
        match step(&current.1, &found.1, &found.0, &Guard::default(), 30).0 {
            Outcome::Keep(reason) => reason.to_string(),
            Outcome::Publish => "publish".to_owned(),
            Outcome::Unchanged => "unchanged".to_owned(),
        }
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
    fn a_source_that_loses_its_names_is_held_back_however_many_others_have() {
        let big = lines("source=big", 0..90);
        let small =
            |numbers| beside_others(&(big.clone() + &lines("source=small", numbers)), "small");
        let current = small(90..100);
        let told = |lost: &str| {
            format!(
                "{lost} of 10 names of source small would go, more than shrink_guard_percent \
                 allows; seen 1 of 3 times in a row; `hubdns refresh --accept` believes it at once"
            )
        };
        assert_eq!(held(&current, &small(90..90)), told("10"));
        assert_eq!(held(&current, &small(90..96)), told("4"));
        assert_eq!(held(&current, &small(90..97)), "publish");
    }

    #[test]
    fn names_that_fall_to_another_source_are_lost_to_their_own_and_an_endpoint_told_by_both_is_not()
    {
        let other = lines("source=two", 0..10).replace("vpce-", "vpce-2");
        let both = beside_others(&(lines("source=one", 0..10) + &other), "one");
        let without = beside_others(&other, "one");
        assert!(held(&both, &without).starts_with("10 of 10 names of source one"));
        let same = lines("source=two", 0..10);
        let both = beside_others(&(lines("source=one", 0..10) + &same), "one");
        assert_eq!(held(&both, &beside_others(&same, "one")), "publish");
    }

    /// The private names of what is behind an endpoint go by one switch of its association.
    #[test]
    fn names_that_stand_for_an_endpoints_other_names_are_held_back_too() {
        let hub = |leads: &str, others: Range<u8>| {
            let network = format!("vpce-n sn a=10.0.1.1 kind=ServiceNetwork {leads}");
            beside_others(&(network + "\n" + &lines("", others)), "hub")
        };
        let agreed = "leads=a.example/db.example,b.example/web.example agreed";
        let with = hub(agreed, 0..3);
        assert_eq!(names_of_endpoints(&with.1), 5);
        let without = hub("leads=a.example,b.example", 0..3);
        assert!(held(&with, &without).starts_with("2 of 5 names of source hub"));
        assert_eq!(held(&without, &with), "publish");
        let alone = hub("leads=a.example,b.example", 0..0);
        assert!(held(&hub(agreed, 0..0), &alone).starts_with("every endpoint has vanished"));
    }

    #[test]
    fn a_view_that_loses_its_names_is_held_back_whatever_the_others_keep() {
        let all = lines("source=hub", 0..90) + &lines("source=hub vpc=vpc-few", 90..94);
        let current = beside_others(&all, "hub");
        let moved = lines("source=hub", 0..92) + &lines("source=hub vpc=vpc-few", 92..94);
        assert!(
            held(&current, &beside_others(&moved, "hub")).starts_with("2 of 4 names of view few")
        );
        let fewer = lines("source=hub", 0..91) + &lines("source=hub vpc=vpc-few", 91..94);
        assert_eq!(held(&current, &beside_others(&fewer, "hub")), "publish");
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
