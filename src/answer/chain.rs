//! Follows a chain of aliases from one response to the next, until it ends or has gone too far.
//!
//! It asks nobody: it says whom to ask for next, and takes what was answered.

use std::sync::Arc;

use crate::{
    base::{Ede, ExtendedError, Name, Rcode},
    forward::{Answered, ForwardError},
    policy::CnameClaim,
    telemetry::AnswerSource,
    wire::{Age, Hop, Question, Relay},
};

/// Aliases of an answer that we put together, whoever told which of them: with a forward zone on
/// either side of each that is nine questions, all within one client's patience. A response that
/// is complete as an upstream sent it may have more.
pub(super) const STEPS_MAX: usize = 8;

/// Why a chain has no answer.
const LOOP: &str = "the name's aliases form a loop";
const TOO_LONG: &str = "the answer is longer than a message";

/// A chain, as far as it is known.
pub(super) struct Chain {
    question: Question,
    /// What to ask for now.
    wanted: Question,
    told: Option<Answered>,
    /// Aliases of `told` that have been looked at: they lead to no name of ours, or were ours.
    seen: usize,
}

/// What a name of ours, to which an alias leads, comes to.
pub(super) enum Landing<'t> {
    /// Records or their absence: what comes behind is the table's.
    Records,
    /// CNAMEs of ours.
    Cnames(Lead<'t>),
}

/// CNAMEs of ours, one behind the other.
pub(super) struct Lead<'t> {
    /// From the first on; not empty.
    pub(super) cnames: Vec<&'t CnameClaim>,
    /// Whether what the last one leads to is ours, and so has records or their absence.
    pub(super) is_ours: bool,
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
    /// A word for the query log.
    pub(super) reason: &'static str,
}

// === impl Chain ===

impl Chain {
    pub(super) fn new(question: Question) -> Self {
        Self { wanted: question.clone(), question, told: None, seen: 0 }
    }

    /// A chain that begins with CNAMEs of ours, and whose end is not ours.
    pub(super) fn begun(question: Question, lead: &Lead<'_>) -> Result<Self, Failure> {
        let relay = lead.relay(&question)?;
        let end = relay.open_end().ok_or(Failure::of_the_chain(LOOP))?;
        let wanted = question.of(end);
        let seen = relay.hops().len();
        let source = AnswerSource::Table;
        let told =
            Answered { relay: Arc::new(relay), age: Age::NONE, source, upstream: None, mark: None };
        Ok(Self { question, wanted, told: Some(told), seen })
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

    /// Takes what was answered to [`Chain::wanted`]. `landing` tells what a name that is ours comes
    /// to, and nothing of one that is not.
    pub(super) fn take<'t>(
        &mut self,
        answered: Result<Answered, ForwardError>,
        landing: impl Fn(&Name) -> Option<Landing<'t>>,
    ) -> Result<Progress, Failure> {
        let mut whole = match self.told.take() {
            None => answered?,
            Some(before) => self.joined(&before, answered.map_err(Failure::behind)?)?,
        };
        let mut unseen = whole.relay.hops().iter().zip(1..).skip(self.seen);
        let landed =
            unseen.find_map(|(hop, steps)| landing(&hop.target).map(|landing| (steps, landing)));
        let ours = match landed {
            None => None,
            Some((steps, Landing::Records)) => Some(steps),
            Some((steps, Landing::Cnames(lead))) => {
                whole = self.led(&whole, steps, &lead)?;
                lead.is_ours.then_some(whole.relay.hops().len())
            }
        };
        let relay = &whole.relay;
        self.seen = relay.hops().len();
        let open = relay.open_end().filter(|_| ours.is_none()).cloned();
        let steps = ours.unwrap_or(relay.hops().len());
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
        if next.relay.hops().iter().any(|hop| self.has(before.relay.hops(), &hop.target)) {
            return Err(Failure::of_the_chain(LOOP));
        }
        let relay = before.relay.followed_by(&self.question, before.age, &next.relay, next.age);
        let relay = relay.ok_or(Failure::of_the_chain(TOO_LONG))?;
        let sources = [before.source, next.source];
        let source = [AnswerSource::Stale, AnswerSource::Upstream]
            .into_iter()
            .find(|source| sources.contains(source))
            .unwrap_or(next.source);
        // Both are as old as they are by now.
        let upstream = next.upstream.or(before.upstream);
        let mark = before.mark;
        Ok(Answered { relay: Arc::new(relay), age: Age::NONE, source, upstream, mark })
    }

    /// What was told up to its alias number `steps`, and behind it CNAMEs of ours.
    fn led(&self, told: &Answered, steps: usize, lead: &Lead<'_>) -> Result<Answered, Failure> {
        let Answered { relay, age, source, upstream, .. } = told;
        let before = relay.hops().get(..steps).unwrap_or_default();
        let end = before.last().ok_or(Failure::of_the_chain(LOOP))?;
        if lead.cnames.iter().any(|cname| self.has(before, &cname.target)) {
            return Err(Failure::of_the_chain(LOOP));
        }
        let ours = lead.relay(&self.question.of(&end.target))?;
        let relay = relay.followed_from(end, &self.question, *age, &ours, Age::NONE);
        let relay = Arc::new(relay.ok_or(Failure::of_the_chain(TOO_LONG))?);
        let (source, upstream) = (*source, *upstream);
        Ok(Answered { relay, age: Age::NONE, source, upstream, mark: None })
    }

    /// Whether a chain that has come so far has been at this name.
    fn has(&self, hops: &[Hop], name: &Name) -> bool {
        *name == self.question.name || hops.iter().any(|hop| hop.target == *name)
    }
}

// === impl Lead ===

impl Lead<'_> {
    /// What they are as the answer to `question`, with nothing of where they lead.
    fn relay(&self, question: &Question) -> Result<Relay, Failure> {
        let cnames = self.cnames.iter().map(|cname| (&cname.target, cname.ttl));
        Relay::of_cnames(question, cnames).ok_or(Failure::of_the_chain(LOOP))
    }
}

// === impl Failure ===

impl From<ForwardError> for Failure {
    fn from(error: ForwardError) -> Self {
        Self { rcode: error.rcode(), errors: vec![error.extended()], reason: error.word() }
    }
}

impl Failure {
    /// Nobody answered of a name that an alias leads to. The client's own name is there, so it is
    /// told that we failed, and never that it may not ask.
    fn behind(error: ForwardError) -> Self {
        Self { rcode: Rcode::SERVFAIL, ..error.into() }
    }

    /// An upstream left a name that an alias leads to to others, for reasons it may have told.
    fn declined(relay: &Relay) -> Self {
        match relay.errors() {
            [] => Self::behind(ForwardError::Unusable),
            errors => Self { rcode: Rcode::SERVFAIL, errors: errors.to_vec(), reason: "declined" },
        }
    }

    fn of_the_chain(text: &'static str) -> Self {
        let error = ExtendedError { code: Ede::OTHER, text: text.into() };
        Self { rcode: Rcode::SERVFAIL, errors: vec![error], reason: "aliases" }
    }
}
