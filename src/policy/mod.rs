//! What we choose to say, and what we decline to say and why.
//!
//! A pure step from [`Inventory`] to [`Plan`]: no clock, no I/O, no dependence on the order in
//! which facts came. Every (endpoint, name) pair of the inventory ends here, in each view, as one
//! [`Claim`] or one [`Declined`].

mod alias;
mod config;
mod conflict;
#[cfg(test)]
pub(crate) mod facts;
mod health;
mod names;
mod plan;
mod reason;
mod select;
mod zones;
#[cfg(test)]
mod tests;

pub use config::{Alias, AliasTarget, PolicyConfig, RateConfig, ServiceRule, ViewConfig};
pub use health::{Outage, without};
pub use plan::{Address, Caveat, Claim, Declined, Origin, Plan, Precedence, Reason, ViewPlan};
pub use zones::{ClientZone, ZoneBy};

use std::collections::HashSet;

use crate::{
    base::{EndpointId, Pattern, ViewName},
    inventory::Inventory,
};
use alias::alias_contenders;
use conflict::{Contender, settle};
use names::offers;
use select::{Speaker, Terms, private_name_refusal, speakers};
use zones::client_zones;

/// Decides, for each view in the order in which they match and then for everybody else, what is
/// said of every name.
pub fn plan(inventory: &Inventory, config: &PolicyConfig) -> Plan {
    let speakers = speakers(inventory);
    let named = config.views.iter().map(|view| {
        let terms = Terms::of_view(config, view);
        view_plan(view.name.clone(), &speakers, config, &terms)
    });
    let rest =
        view_plan(PolicyConfig::REST_VIEW.into(), &speakers, config, &Terms::of_rest(config));
    Plan { views: named.chain([rest]).collect(), zones: client_zones(inventory, config) }
}

fn view_plan(
    name: ViewName,
    speakers: &[Speaker<'_>],
    config: &PolicyConfig,
    terms: &Terms<'_>,
) -> ViewPlan {
    let aliases = alias_contenders(speakers, config, terms);
    let mut contenders = aliases.contenders;
    let mut declined = aliases.missing;
    for speaker in speakers {
        for verdict in weigh(speaker, terms, &aliases.given) {
            match verdict {
                Ok(contender) => contenders.push(contender),
                Err(no) => declined.push(no),
            }
        }
    }
    let (claims, lost) = settle(contenders, config);
    declined.extend(lost);
    declined.sort();
    ViewPlan { name, claims, declined }
}

/// Every name of one endpoint as a contender for it or as declined. A name that the operator has
/// given to this very endpoint by an alias is a contender already.
fn weigh<'s>(
    speaker: &'s Speaker<'s>,
    terms: &Terms<'_>,
    given: &HashSet<(EndpointId, Pattern)>,
) -> Vec<Result<Contender<'s>, Declined>> {
    let offers = offers(speaker);
    if let Some(why) = speaker.refusal(terms) {
        let mut names: Vec<_> = offers.into_iter().map(|offer| Some(offer.text)).collect();
        if names.is_empty() {
            names.push(None);
        }
        let no = |name| Err(speaker.declined(name, why.clone()));
        return names.into_iter().map(no).collect();
    }
    let mut verdicts = Vec::with_capacity(offers.len());
    if speaker.publishes_nothing() {
        verdicts.push(Err(speaker.declined(None, Reason::NothingPublished)));
    }
    for offer in offers {
        let verdict = match offer.pattern {
            Err(error) => Err(Reason::NotAName(error.to_string().into())),
            Ok(pattern) if given.contains(&(speaker.endpoint.id.clone(), pattern.clone())) => {
                continue;
            }
            Ok(pattern) => match private_name_refusal(speaker, &offer.origin, terms) {
                Some(why) => Err(why),
                None => Contender::new(speaker, offer.text.clone(), pattern, offer.origin),
            },
        };
        verdicts.push(verdict.map_err(|why| speaker.declined(Some(offer.text), why)));
    }
    verdicts
}
