//! A migration as a person reads it.

use std::fmt;

use super::{Judged, Migration, What, finding::Finding, steps::Step};
use crate::base::{count, printable};

/// The zones, what could not be read, then the way, step by step.
impl fmt::Display for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zones = count(self.zones.len(), "zone", "zones");
        writeln!(f, "{zones} beside view {}", self.view)?;
        for judged in &self.zones {
            write!(f, "\n{judged}")?;
        }
        if !self.doubts.is_empty() {
            writeln!(f, "\nNot read, or not whole:")?;
        }
        for doubt in &self.doubts {
            writeln!(f, "  {}: {}", printable(&doubt.about), printable(&doubt.why))?;
        }
        let steps = &self.steps;
        if steps.steps.is_empty() && steps.after.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nThe way, in this order; after each step wait and look before the next.")?;
        writeln!(f, "\nBefore:")?;
        steps.before.iter().try_for_each(|line| writeln!(f, "  - {}", printable(line)))?;
        for (at, step) in steps.steps.iter().enumerate() {
            write!(f, "\nStep {}: {step}", at + 1)?;
            let seen = steps.steps.iter().take(at).position(|it| it.see == step.see);
            match seen {
                Some(before) => writeln!(f, "    the same as at step {}", before + 1)?,
                None => step.see.iter().try_for_each(|it| writeln!(f, "    {}", printable(it)))?,
            }
            writeln!(f, "  back: {}", printable(&step.undo))?;
        }
        writeln!(f, "\nAfter:")?;
        steps.after.iter().try_for_each(|line| writeln!(f, "  - {}", printable(line)))
    }
}

/// `NAME (ID): VERDICT: WHY`, and a line a finding that is more than the same.
impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Judged { zone, verdict, why, findings } = self;
        writeln!(
            f,
            "{} ({}): {}: {}",
            zone.name,
            printable(&zone.id),
            verdict.words(),
            printable(why)
        )?;
        for finding in findings.iter().filter(|it| it.what != What::Same) {
            writeln!(f, "  {finding}")?;
        }
        Ok(())
    }
}

/// `WHAT NAME TYPE: NOW -> THEN; ADVICE`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<18} {}", self.what.words(), printable(&self.change()))
    }
}

/// The step's head and what to run; what is seen stands behind it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { name, vpc, run, wait_secs, mind, .. } = self;
        let (vpc_id, region) = (printable(&vpc.id), printable(&vpc.region));
        writeln!(f, "{name} leaves {vpc_id} in {region}")?;
        mind.iter().try_for_each(|line| writeln!(f, "  mind: {}", printable(line)))?;
        for line in run.iter().flat_map(|it| it.lines()) {
            writeln!(f, "  {}", printable(line))?;
        }
        writeln!(f, "  clients see, within {wait_secs} s:")
    }
}
