//! Follows a chain of aliases from one response to the next, until it ends or has gone too far.
//!
//! It asks nobody: it says whom to ask for next, and takes what was answered.

use std::sync::Arc;

use crate::{
    base::{Ede, ExtendedError, Name, Rcode},
    forward::{Answered, ForwardError},
    telemetry::AnswerSource,
    wire::{Age, Question, Relay},
};

/// Aliases of an answer that we put together, whoever told which of them: with a forward zone on
/// either side of each that is nine questions, all within one client's patience. A response that
/// is complete as an upstream sent it may have more.
pub(super) const STEPS_MAX: usize = 8;

/// A chain, as far as it is known.
pub(super) struct Chain {
    question: Question,
    /// What to ask for now.
    wanted: Question,
    told: Option<Answered>,
}

/// What to do with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has ended.
    Ended,
    /// Somebody has to be asked for [`Chain::wanted`].
    Open,
}

/// Why a question that is not ours has no answer: the code and the words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) rcode: Rcode,
    pub(super) errors: Vec<ExtendedError>,
}

// === impl Chain ===

impl Chain {
    pub(super) fn new(question: Question) -> Self {
        Self { wanted: question.clone(), question, told: None }
    }

    /// The question whose answer it is.
    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    /// What to ask for now.
    pub(super) fn wanted(&self) -> &Question {
        &self.wanted
    }

    /// Whether an alias has been told already.
    pub(super) fn is_begun(&self) -> bool {
        self.told.is_some()
    }

    /// The whole answer, when it has ended.
    pub(super) fn answer(&self) -> Result<&Answered, Failure> {
        self.told.as_ref().ok_or_else(|| ForwardError::Unusable.into())
    }

    /// Takes what was answered to [`Chain::wanted`]. A name that `is_ours` ends it: what comes
    /// behind is the table's.
    pub(super) fn take(
        &mut self,
        answered: Result<Answered, ForwardError>,
        is_ours: impl Fn(&Name) -> bool,
    ) -> Result<Progress, Failure> {
        let whole = match self.told.take() {
            None => answered?,
            Some(before) => self.joined(&before, answered.map_err(Failure::behind)?)?,
        };
        let relay = &whole.relay;
        let ours = relay.hops().iter().position(|hop| is_ours(&hop.target));
        let open = relay.open_end().filter(|_| ours.is_none()).cloned();
        let steps = ours.map_or(relay.hops().len(), |at| at + 1);
        let is_put_together = open.is_some() || self.wanted != self.question;
        if is_put_together && STEPS_MAX < steps {
            return Err(Failure::of_the_chain("the name has more than 8 aliases"));
        }
        let progress = match &open {
            Some(_) => Progress::Open,
            None => Progress::Ended,
        };
        if let Some(end) = open {
            self.wanted = self.question.of(&end);
        }
        self.told = Some(whole);
        Ok(progress)
    }

    /// What was told before and what is answered of its end, as one.
    fn joined(&self, before: &Answered, next: Answered) -> Result<Answered, Failure> {
        if next.relay.declines() {
            return Err(Failure::declined(&next.relay));
        }
        let hops = before.relay.hops();
        let is_known =
            |name: &Name| *name == self.question.name || hops.iter().any(|hop| hop.target == *name);
        if next.relay.hops().iter().any(|hop| is_known(&hop.target)) {
            return Err(Failure::of_the_chain("the name's aliases form a loop"));
        }
        let relay = before.relay.followed_by(&self.question, before.age, &next.relay, next.age);
        let relay = relay.ok_or(Failure::of_the_chain("the answer is longer than a message"))?;
        let sources = [before.source, next.source];
        let source = [AnswerSource::Stale, AnswerSource::Upstream]
            .into_iter()
            .find(|source| sources.contains(source))
            .unwrap_or(next.source);
        // Both are as old as they are by now.
        Ok(Answered { relay: Arc::new(relay), age: Age::NONE, source })
    }
}

// === impl Failure ===

impl From<ForwardError> for Failure {
    fn from(error: ForwardError) -> Self {
        Self { rcode: error.rcode(), errors: vec![error.extended()] }
    }
}

impl Failure {
    /// Nobody answered of a name that an alias leads to. The client's own name is there, so it is
    /// told that we failed, and never that it may not ask.
    fn behind(error: ForwardError) -> Self {
        Self { rcode: Rcode::SERVFAIL, errors: vec![error.extended()] }
    }

    /// An upstream left a name that an alias leads to to others, for reasons it may have told.
    fn declined(relay: &Relay) -> Self {
        match relay.errors() {
            [] => Self::behind(ForwardError::Unusable),
            errors => Self { rcode: Rcode::SERVFAIL, errors: errors.to_vec() },
        }
    }

    fn of_the_chain(text: &'static str) -> Self {
        let error = ExtendedError { code: Ede::OTHER, text: text.into() };
        Self { rcode: Rcode::SERVFAIL, errors: vec![error] }
    }
}
