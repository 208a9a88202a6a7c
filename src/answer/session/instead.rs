//! What is told, or not, in place of an answer: to a client above its rate, and to what is no question.

use super::{Arrival, InForce, Session, Step};
use crate::{
    answer::{
        Settings, Vantage,
        observe::Verdict,
        rates::Sender,
        sender,
        tell::{Teller, Way},
    },
    base::{Rcode, is_private},
    telemetry::{AnswerSource, Limited, Proto},
    wire::{Cookie, CookieState, Query, Reject, write_reject},
};

impl Session {
    /// What is done in place of an answer to a client above its rate.
    pub(super) fn limit(
        &self,
        in_force: &InForce,
        sender: Sender,
        arrival: &Arrival<'_>,
    ) -> Option<Limited> {
        let rates = in_force.settings.rates.as_ref()?;
        let limited = rates.limit(arrival.vantage.client, sender, arrival.came)?;
        self.responder.metrics.dns.limited(limited);
        Some(limited)
    }

    /// What the answer goes through: whose address anybody can put on a datagram gets no more than a
    /// multiple of what came in its name.
    pub(super) fn way_of(&self, sender: Sender, arrival: &Arrival<'_>) -> Way {
        match sender {
            Sender::Anybody if !is_private(arrival.vantage.client) => {
                Way { limit: sender::unproven(arrival.packet), ..self.way }
            }
            Sender::Anybody | Sender::Proven | Sender::Unlimited => self.way,
        }
    }

    /// Who sent it. A cookie is looked at only where a limit has to know.
    pub(super) fn sender(
        &self,
        in_force: &InForce,
        cookie: Option<&Cookie>,
        vantage: &Vantage,
    ) -> Sender {
        let Settings { cookies, exempt, rates, .. } = &*in_force.settings;
        let has_no_limit = rates.is_none() && is_private(vantage.client);
        if has_no_limit || exempt.holds(vantage) {
            return Sender::Unlimited;
        }
        let is_told = |cookie| cookies.proves(cookie, vantage.client);
        match self.proto {
            Proto::Udp if !cookie.is_some_and(is_told) => Sender::Anybody,
            Proto::Udp | Proto::Tcp | Proto::Tls | Proto::Https => Sender::Proven,
        }
    }

    pub(super) fn instead(
        &self,
        limited: Limited,
        in_force: &InForce,
        query: &Query<'_>,
        arrival: &Arrival<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        let InForce { published, settings } = in_force;
        let (table, dns) = (published.table(), &self.responder.metrics.dns);
        let vantage = &arrival.vantage;
        let teller = Teller { table, settings, dns, vantage, way: self.way, rotation: 0 };
        match limited {
            Limited::Dropped => out.clear(),
            Limited::Truncated => teller.truncated(query, out),
            Limited::Refused => teller.over_its_rate(query, out),
        }
        if arrival.wanted.anybody() {
            let asked = Some((query.name_wire(), query.rtype));
            let (_, view) = table.view_for(vantage.client, vantage.listener);
            let packets = [arrival.packet, out];
            let (sighting, verdict) = (self.sighting(arrival), Verdict::limited(limited));
            sighting.tell(&settings.observers, asked, view.name(), verdict, packets);
        }
        match limited {
            Limited::Dropped => Step::Silence,
            Limited::Truncated | Limited::Refused => Step::Reply,
        }
    }

    pub(super) fn reject(
        &mut self,
        in_force: &InForce,
        reject: &Reject<'_>,
        arrival: &Arrival<'_>,
        out: &mut Vec<u8>,
    ) -> Step {
        let table = in_force.published.table();
        let vantage = &arrival.vantage;
        let answered = reject.cookie.map(|cookie| {
            let dns = &self.responder.metrics.dns;
            in_force.settings.cookies.answer(&cookie, vantage.client, dns)
        });
        // Who may not ask learns no more than that, whatever it sends.
        let rcode = match table.admits(vantage.client) {
            true => reject_code(reject, answered.map(|(state, _)| state)),
            false => Rcode::REFUSED,
        };
        let cookie = answered.map(|(_, cookie)| cookie);
        write_reject(&Reject { rcode, ..*reject }, cookie, out);
        let (view, in_view) = table.view_for(vantage.client, vantage.listener);
        self.tally.told(view, rcode, AnswerSource::Local);
        if arrival.wanted.anybody() {
            let (sighting, verdict) = (self.sighting(arrival), Verdict::rejected(rcode));
            let (packets, observers) = ([arrival.packet, out], &in_force.settings.observers);
            sighting.tell(observers, None, in_view.name(), verdict, packets);
        }
        Step::Reply
    }
}

/// The code for a query that has none but that. One without a question asks whether its cookie is
/// good (RFC 7873 section 5.4).
fn reject_code(reject: &Reject<'_>, cookie: Option<CookieState>) -> Rcode {
    match (reject.rcode, cookie) {
        (Rcode::NOERROR, Some(CookieState::Bad)) => Rcode::BADCOOKIE,
        (rcode, _) => rcode,
    }
}
