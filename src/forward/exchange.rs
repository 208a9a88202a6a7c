//! One question to one upstream, and what comes of it.
//!
//! Each transmission has its own random id, and where the upstream keeps it the name in random case;
//! it leaves from a random port that it shares with few others. Whatever wrong packet comes first,
//! the right one that follows is used:
//!
//! | what comes | what follows |
//! |---|---|
//! | another id; another question; no response; not to be parsed | counted and waited past |
//! | right, but the name is spelled otherwise | counted; asked again at once in lower case, on another port; both are heard |
//! | FORMERR, NOTIMP or BADVERS to a query with an OPT, with or without its question | asked again at once without, on another port; both are heard |
//! | TC | its records are not looked at; asked by TCP |
//! | a referral; aliases in a circle or without end; a refusal by ICMP | others are asked at once; it is heard on for 300 ms |
//! | SERVFAIL, REFUSED or another code, all else right | the upstream's word: others are asked |
//! | 32 packets that are no answer | somebody guesses: UDP is heard no longer, asked by TCP |
//!
//! The last line is what unbound and PowerDNS do too. An upstream by TLS is asked by TLS alone, and
//! what it says that is no answer fails the exchange. It never goes on for ever: whoever asks
//! gives it up at its deadline.

use std::{future::poll_fn, mem, sync::Arc, task::Poll, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    budget::{TCP_PACKETS, UDP_PACKETS},
    fault::{Blame, ExchangeError},
    line::Lines,
    stream::over_tcp,
    transmission::{Heard, Transmission, weigh},
    upstream::Upstream,
};
use crate::{
    base::{Chain, Rcode},
    telemetry::{UpstreamFailure, UpstreamMismatch, seldom},
    wire::{Form, Question, Relay, Sent, Spelling},
};

/// Packets that are no answer, after which UDP is not heard any more. A stranger who knows the port
/// has 32 guesses at an id of 16 bits: one in 2,048 a question, before what 0x20 adds.
const WRONG_MAX: u32 = 32;
/// How long the right answer may follow one that cannot be used.
const GRACE: Duration = Duration::from_millis(300);
/// A query leaves so soon after it was decided to send it; half the least patience for its answer.
const SENT_WITHIN: Duration = Duration::from_millis(100);

/// What an exchange came to.
pub(super) enum Verdict {
    /// A response that answers.
    Answer(Relay),
    /// A response that leaves the question to others: SERVFAIL, REFUSED and the like.
    Declined(Relay),
    /// Nothing to be used, though it may still follow: to be asked for once more.
    Doubtful(UpstreamFailure),
    /// Nothing, and nothing will come.
    Failed(UpstreamFailure),
}

/// A question to an upstream.
pub(super) struct Exchange {
    upstream: Arc<Upstream>,
    question: Question,
    /// Whether the upstream said nothing to an OPT, so that it is asked without.
    without_opt: bool,
    /// When the upstream was asked the same before: another port is used than then.
    asked_at: Option<Instant>,
    /// What is on its way, in the order it was sent.
    transmissions: Vec<Transmission>,
    wrong: u32,
    was_respelled: bool,
    was_not_understood: bool,
    /// Why nobody waits for it any more, and until when it is heard all the same.
    doubt: Option<(UpstreamFailure, Instant)>,
}

/// What hearing has come to.
enum Ended {
    /// A response that says something.
    Told(Relay),
    /// Nothing, though the right one may follow.
    Doubtful(ExchangeError),
    /// Nothing, for good.
    Failed(ExchangeError),
}

// === impl Verdict ===

impl Verdict {
    /// In a word, for the log.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Verdict::Answer(_) => "answer",
            Verdict::Declined(_) => UpstreamFailure::Declined.word(),
            Verdict::Doubtful(reason) | Verdict::Failed(reason) => reason.word(),
        }
    }
}

// === impl Exchange ===

impl Exchange {
    pub(super) fn new(
        upstream: &Arc<Upstream>,
        question: &Question,
        without_opt: bool,
        asked_at: Option<Instant>,
    ) -> Self {
        Self {
            upstream: Arc::clone(upstream),
            question: question.clone(),
            without_opt,
            asked_at,
            transmissions: Vec::with_capacity(1),
            wrong: 0,
            was_respelled: false,
            was_not_understood: false,
            doubt: None,
        }
    }

    /// Sends the question and hears what comes of it; after a doubtful verdict, hears on.
    pub(super) async fn next(&mut self) -> Verdict {
        let Some((reason, until)) = self.doubt else {
            let ended = self.run().await;
            return self.judge(ended);
        };
        let heard_on = async {
            loop {
                match self.run().await {
                    // Nothing new.
                    Ended::Doubtful(_) => (),
                    ended => return ended,
                }
            }
        };
        match timeout_at(until, heard_on).await {
            Ok(ended) => self.judge(ended),
            Err(_) => Verdict::Failed(reason),
        }
    }

    /// Whether it has come to a doubtful verdict.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubt.is_some()
    }

    async fn run(&mut self) -> Ended {
        let upstream = Arc::clone(&self.upstream);
        match &upstream.lines {
            Some(lines) => self.run_by_tls(lines).await,
            None => self.run_by_udp().await,
        }
    }

    async fn run_by_udp(&mut self) -> Ended {
        if self.transmissions.is_empty() {
            let now = Instant::now();
            let edns = !self.without_opt && self.upstream.reads_opt(now);
            let form = if edns { Form::EDNS } else { Form::PLAIN };
            if let Err(error) = self.send(form, self.upstream.keeps_case(now)) {
                return Ended::Failed(error);
            }
        }
        loop {
            let (at, heard) = self.hear().await;
            let Some(Transmission { sent, sent_at, .. }) = self.transmissions.get(at) else {
                return Ended::Failed(ExchangeError::Mismatch);
            };
            let (form, spelled, took) = (sent.form, sent.spelled, sent_at.elapsed());
            let resent = match heard {
                Heard::Wrong(reason) => {
                    self.count(reason);
                    Ok(())
                }
                Heard::Stray => {
                    self.wrong += 1;
                    Ok(())
                }
                Heard::Respelled => {
                    self.count(UpstreamMismatch::Spelling);
                    match mem::replace(&mut self.was_respelled, true) {
                        true => Ok(()),
                        false => self.send(form, false),
                    }
                }
                Heard::NotUnderstood(_) if form.edns => {
                    match mem::replace(&mut self.was_not_understood, true) {
                        true => Ok(()),
                        false => self.send(Form::PLAIN, spelled),
                    }
                }
                // Of which version, without an OPT?
                Heard::NotUnderstood(relay) if relay.rcode() == Rcode::BADVERS => {
                    self.count(UpstreamMismatch::Malformed);
                    Ok(())
                }
                Heard::NotUnderstood(relay) | Heard::Answer(relay) => {
                    self.learn(form, spelled, relay.declines());
                    self.upstream.answered(took, Instant::now());
                    return Ended::Told(relay);
                }
                Heard::Truncated => {
                    self.learn(form, spelled, false);
                    self.upstream.answered(took, Instant::now());
                    return self.run_by_tcp(form).await;
                }
                Heard::Unusable(error) => return Ended::Doubtful(ExchangeError::Unusable(error)),
                Heard::Refused(error) => return Ended::Doubtful(error.into()),
                Heard::Unsent(error) => return Ended::Failed(error.into()),
            };
            if let Err(error) = resent {
                return Ended::Doubtful(error);
            }
            if WRONG_MAX <= self.wrong {
                self.upstream.metrics.floods.inc();
                self.transmissions.clear();
                return self.run_by_tcp(form).await;
            }
        }
    }

    fn send(&mut self, form: Form, spelled: bool) -> Result<(), ExchangeError> {
        let Exchange { upstream, question, .. } = self;
        let spelling = spelled.then(rand::random::<Spelling>);
        upstream.spend(UDP_PACKETS)?;
        let opened_after = match self.transmissions.last() {
            Some(last) => Some(last.sent_at),
            None => self.asked_at.map(|asked_at| asked_at + SENT_WITHIN),
        };
        let write = |id| Sent::new(question, id, form, spelling.as_ref());
        let transmission = Transmission::send(&upstream.ports, opened_after, write)?;
        self.transmissions.push(transmission);
        upstream.metrics.sent_udp.inc();
        Ok(())
    }

    /// The next thing that comes, and to which transmission.
    async fn hear(&self) -> (usize, Heard) {
        poll_fn(|context| {
            for (at, transmission) in self.transmissions.iter().enumerate() {
                if let Poll::Ready(heard) = transmission.poll_heard(&self.question, context) {
                    return Poll::Ready((at, heard));
                }
            }
            Poll::Pending
        })
        .await
    }

    async fn run_by_tcp(&self, mut form: Form) -> Ended {
        let Exchange { upstream, question, .. } = self;
        loop {
            let sent = Sent::new(question, rand::random(), form, None);
            if let Err(over) = upstream.spend(TCP_PACKETS) {
                return Ended::Failed(over.into());
            }
            match over_tcp(upstream.address.socket(), &sent, question, &upstream.metrics).await {
                Ok(Heard::NotUnderstood(_)) if form.edns => form = Form::PLAIN,
                Ok(Heard::NotUnderstood(relay) | Heard::Answer(relay)) => {
                    upstream.count_acks(relay.weight());
                    return Ended::Told(relay);
                }
                Ok(Heard::Unusable(error)) => {
                    return Ended::Failed(ExchangeError::Unusable(error));
                }
                Ok(Heard::Wrong(_) | Heard::Stray | Heard::Respelled | Heard::Truncated) => {
                    return Ended::Failed(ExchangeError::Mismatch);
                }
                Ok(Heard::Refused(error) | Heard::Unsent(error)) | Err(error) => {
                    return Ended::Failed(error.into());
                }
            }
        }
    }

    /// Behind TLS nobody but the upstream speaks, so what is no answer is its own mistake.
    async fn run_by_tls(&mut self, lines: &Lines) -> Ended {
        let edns = self.upstream.reads_opt(Instant::now());
        let mut form = if edns { Form::PADDED } else { Form::PLAIN };
        loop {
            let sent = Sent::new(&self.question, rand::random(), form, None);
            if let Err(over) = self.upstream.spend(UDP_PACKETS) {
                return Ended::Failed(over.into());
            }
            self.upstream.metrics.sent_tls.inc();
            let (message, took) = match lines.ask(sent.bytes()).await {
                Ok(answer) => answer,
                Err(error) => return Ended::Failed(ExchangeError::Line(error)),
            };
            match weigh(&sent, &self.question, &message) {
                Heard::NotUnderstood(_) if form.edns => {
                    self.was_not_understood = true;
                    form = Form::PLAIN;
                }
                Heard::NotUnderstood(relay) | Heard::Answer(relay) => {
                    self.learn(form, false, relay.declines());
                    self.upstream.answered(took, Instant::now());
                    return Ended::Told(relay);
                }
                Heard::Unusable(error) => {
                    return Ended::Failed(ExchangeError::Unusable(error));
                }
                Heard::Wrong(reason) => {
                    self.count(reason);
                    return Ended::Failed(ExchangeError::Mismatch);
                }
                Heard::Stray | Heard::Respelled | Heard::Truncated => {
                    return Ended::Failed(ExchangeError::Mismatch);
                }
                Heard::Refused(error) | Heard::Unsent(error) => {
                    return Ended::Failed(error.into());
                }
            }
        }
    }

    fn count(&mut self, reason: UpstreamMismatch) {
        self.upstream.metrics.mismatched(reason);
        self.wrong += 1;
    }

    /// What the answer to a query in this form shows of the upstream.
    fn learn(&self, form: Form, spelled: bool, declined: bool) {
        let (upstream, now) = (&self.upstream, Instant::now());
        if spelled {
            upstream.kept_case();
        } else if self.was_respelled {
            upstream.folded_case(now);
        }
        if form.edns {
            upstream.read_opt();
        } else if self.was_not_understood && !declined {
            upstream.refused_opt(now);
        } else if self.without_opt && !declined {
            upstream.ignored_opt(now);
        }
    }

    fn judge(&mut self, ended: Ended) -> Verdict {
        match ended {
            Ended::Told(relay) => {
                let relay = if self.upstream.trusted { relay } else { relay.unvalidated() };
                if relay.declines() {
                    self.upstream.metrics.failed(UpstreamFailure::Declined);
                    Verdict::Declined(relay)
                } else {
                    Verdict::Answer(relay)
                }
            }
            Ended::Doubtful(error) => {
                let reason = self.blame(&error);
                self.doubt = Some((reason, Instant::now() + GRACE));
                Verdict::Doubtful(reason)
            }
            Ended::Failed(error) => Verdict::Failed(self.blame(&error)),
        }
    }

    /// Notes whose fault it was.
    fn blame(&self, error: &ExchangeError) -> UpstreamFailure {
        let (upstream, reason, now) = (&self.upstream, error.reason(), Instant::now());
        seldom!(debug, upstream = %upstream.address, error = %Chain(error), "exchange failed");
        match error.blame() {
            Blame::Upstream => upstream.failed(reason, now),
            Blame::Name => {
                if let Some(transmission) = self.transmissions.last() {
                    upstream.answered(transmission.sent_at.elapsed(), now);
                }
                upstream.metrics.failed(reason);
            }
            Blame::Us => upstream.metrics.failed(reason),
        }
        reason
    }
}
