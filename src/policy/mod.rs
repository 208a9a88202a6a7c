//! What we choose to say, and what we decline to say and why.
//!
//! A pure step from [`Inventory`] to [`Plan`]: no clock, no I/O, no dependence on the order in
//! which facts came. Every (endpoint, name) pair of the inventory ends here, in each view, as one
//! [`Claim`] or one [`Declined`].

mod alias;
mod allow;
mod cname;
mod config;
mod conflict;
mod declined;
#[cfg(test)]
pub(crate) mod facts;
mod health;
mod names;
mod plan;
mod reason;
mod select;
mod sets;
mod terms;
mod view;
mod zones;
#[cfg(test)]
mod tests;

pub use allow::{AllowRule, AllowedResource};
pub use cname::{CNAMES_MAX, EndlessAlias, endless_aliases};
pub use config::{Alias, AliasTarget, Lender, PolicyConfig, RateConfig, ServiceRule, is_region};
pub use declined::DeclinedList;
pub use health::{Outage, unheard, without};
pub use plan::{
    Address, Caveat, Claim, CnameClaim, CnameLender, Declined, Origin, Plan, Precedence, Reason,
    ViewPlan,
};
pub use sets::AliasSet;
pub use terms::is_left_alone;
pub use view::{ViewConfig, ViewKind};
pub use zones::{ClientZone, ZoneBy};

use std::{collections::HashSet, sync::Arc};

use crate::{
    base::{EndpointId, Pattern, ViewName},
    inventory::Inventory,
};
use alias::{Sets, alias_contenders};
use cname::{CnameContender, without_endless};
use conflict::{Contender, Settled, settle};
use names::Offer;
use select::{Speaker, order_of, private_name_refusal, speakers};
use terms::Terms;
use zones::client_zones;

/// Decides, for each view in the order in which they match and then for everybody else, what is
/// said of every name.
pub fn plan(inventory: &Inventory, config: &PolicyConfig) -> Plan {
    let speakers = speakers(inventory);
    let order = order_of(&speakers);
    let sets = Sets::new(&speakers, config);
    let view_plan = |name, terms: Terms<'_>| view_plan(name, &speakers, &order, &sets, &terms);
    let named = config.views.iter();
    let named = named.map(|view| view_plan(view.name.clone(), Terms::of_view(config, view)));
    let rest = view_plan(PolicyConfig::REST_VIEW.into(), Terms::of_rest(config));
    Plan { views: named.chain([rest]).collect(), zones: client_zones(inventory, config) }
}

fn view_plan(
    name: ViewName,
    speakers: &[Speaker<'_>],
    order: &[usize],
    sets: &Sets,
    terms: &Terms<'_>,
) -> ViewPlan {
    let aliases = alias_contenders(speakers, sets, terms);
    let mut contenders = aliases.contenders;
    let mut declined = aliases.declined;
    let mut stand_ins = Vec::new();
    let mut whole: Vec<Arc<[Declined]>> = Vec::new();
    for speaker in order.iter().filter_map(|at| speakers.get(*at)) {
        if let Some(why) = speaker.refusal(terms) {
            whole.push(speaker.declined_whole(why));
            continue;
        }
        for verdict in weigh(speaker, terms, &aliases.given) {
            match verdict {
                Verdict::Answers(contender) => contenders.push(contender),
                Verdict::StandsFor(cname, instead) => stand_ins.push((cname, instead)),
                Verdict::Declines(no) => declined.push(no),
            }
        }
    }
    let Settled { claims, cnames, lost } = settle(contenders, aliases.cnames, stand_ins, terms);
    declined.extend(lost);
    let (cnames, endless) = without_endless(cnames, &claims);
    declined.extend(endless);
    ViewPlan { name, claims, cnames, declined: DeclinedList::new(declined, whole) }
}

/// What comes of one name of an endpoint.
enum Verdict<'s> {
    /// The endpoint could answer it.
    Answers(Contender<'s>),
    /// It stands for a public name of the same; what it is where somebody else has the name.
    StandsFor(CnameContender, Declined),
    /// Nothing.
    Declines(Declined),
}

/// Every name of an endpoint that may speak, as a contender for it or as declined. A name that the
/// operator has given to this very endpoint by an alias is settled already.
fn weigh<'s>(
    speaker: &'s Speaker<'s>,
    terms: &Terms<'_>,
    given: &HashSet<(EndpointId, Pattern)>,
) -> Vec<Verdict<'s>> {
    let mut verdicts = Vec::with_capacity(speaker.offers.len());
    if let Some(why) = speaker.nothing_told() {
        verdicts.push(Verdict::Declines(speaker.declined(None, why)));
    }
    let is_given =
        |pattern: &Pattern| given.contains(&(speaker.endpoint.id.clone(), pattern.clone()));
    for Offer { text, pattern, origin, hindrance, stands_for } in &speaker.offers {
        let verdict = match pattern {
            Err(error) => Err(Reason::NotAName(error.to_string().into())),
            Ok(pattern) if !given.is_empty() && is_given(pattern) => continue,
            Ok(pattern) => match private_name_refusal(speaker, origin, terms) {
                Some(why) => Err(why),
                None => match (hindrance, stands_for) {
                    (None, _) => {
                        Contender::new(speaker, text.clone(), pattern.clone(), origin.clone())
                    }
                    (Some(why), None) => Err(why.clone()),
                    (Some(why), Some(target)) => {
                        let (pattern, target) = (pattern.clone(), target.clone());
                        let lender = Some(speaker.lender());
                        let cname = CnameContender { pattern, target, rank: usize::MAX, lender };
                        let instead = speaker.declined(Some(text.clone()), why.clone());
                        verdicts.push(Verdict::StandsFor(cname, instead));
                        continue;
                    }
                },
            },
        };
        verdicts.push(match verdict {
            Ok(contender) => Verdict::Answers(contender),
            Err(why) => Verdict::Declines(speaker.declined(Some(text.clone()), why)),
        });
    }
    verdicts
}
