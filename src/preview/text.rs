//! A preview as a person reads it.

use std::fmt;

use super::{Audience, Counts, Move, Preview};

/// The changed answers view by view, then who comes to another view and what that changes.
impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (view, changes) in &self.views {
            writeln!(f, "view {view}")?;
            changes.iter().try_for_each(|change| writeln!(f, "  {change}"))?;
        }
        self.moves.iter().try_for_each(|it| write!(f, "{it}"))
    }
}

/// `clients NETWORKS [at LISTENER]: FROM -> TO`, and a line a change.
impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks: Vec<String> = self.networks.iter().map(ToString::to_string).collect();
        write!(f, "clients {}", networks.join("; "))?;
        if let Some(listener) = self.listener {
            write!(f, " at {listener}")?;
        }
        writeln!(f, ": {} -> {}", self.from, self.to)?;
        match (&self.from, &self.to) {
            (Audience::View(_), Audience::View(_)) if self.changes.is_empty() => {
                writeln!(f, "  they are answered as before")
            }
            (Audience::View(_) | Audience::Refused, _) => {
                self.changes.iter().try_for_each(|change| writeln!(f, "  {change}"))
            }
        }
    }
}

/// `3 answers change: 1 added, 1 removed, 1 changed`.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, removed, changed } = self;
        let all = added + removed + changed;
        let noun = if all == 1 { "answer changes" } else { "answers change" };
        write!(f, "{all} {noun}: {added} added, {removed} removed, {changed} changed")
    }
}
