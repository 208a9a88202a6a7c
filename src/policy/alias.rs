//! The operator's own names: which endpoints could answer them in a view.
//!
//! What is written by hand comes first, then resources that `allow` names, then ready-made sets.
//! Each is an explicit word, so the deny list does not hold it back: an alias to a denied service
//! is how one says "this one, knowingly". A view's own `deny` holds back the latter two.

use std::{collections::HashSet, sync::Arc};

use crate::base::{EndpointId, Pattern};

use super::{
    Alias, AliasTarget, Declined, Lender, Origin, PolicyConfig, Reason, cname::CnameContender,
    conflict::Contender, names, select::Speaker, terms::Terms,
};

/// A name that the configuration gives.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) pattern: Pattern,
    pub(super) target: AliasTarget,
    /// By which of its words.
    pub(super) origin: Origin,
}

/// What the aliases come to in one view.
#[derive(Default)]
pub(super) struct Aliases<'s> {
    /// One for each name and endpoint that could answer it.
    pub(super) contenders: Vec<Contender<'s>>,
    /// Every pair that is settled here: as a contender, or as declined.
    pub(super) given: HashSet<(EndpointId, Pattern)>,
    /// The names that stand for other names.
    pub(super) cnames: Vec<CnameContender>,
    /// The aliases that no endpoint can answer, or that the view denies.
    pub(super) declined: Vec<Declined>,
}

/// What the sets come to: the names of each, and the sets that no endpoint has one for. Alike in
/// all views.
pub(super) struct Sets {
    given: Vec<Given>,
    missing: Vec<Declined>,
}

/// Finds who could answer each alias. Where two aliases give one name to one endpoint, the first
/// of them counts.
pub(super) fn alias_contenders<'s>(
    speakers: &'s [Speaker<'s>],
    sets: &Sets,
    terms: &Terms<'_>,
) -> Aliases<'s> {
    let mut aliases = Aliases { declined: sets.missing.clone(), ..Aliases::default() };
    let mut given: Vec<Given> = terms.aliases().map(Given::from).collect();
    for resource in terms.resources() {
        let names = resource.given(speakers, terms);
        if names.is_empty() {
            aliases.declined.push(missing(None, &resource.to_string()));
        }
        given.extend(names);
    }
    for (rank, given) in given.iter().chain(&sets.given).enumerate() {
        match &given.target {
            AliasTarget::Cname(target) => aliases.cnames.push(CnameContender {
                pattern: given.pattern.clone(),
                target: target.clone(),
                rank,
                lender: None,
            }),
            AliasTarget::Endpoint { of, zone } => {
                let lent = Lent { given, of, zone: zone.as_deref(), rank };
                aliases.lend(speakers, &lent, terms);
            }
        }
    }
    aliases
}

/// One name that endpoints may lend addresses to.
struct Lent<'g> {
    given: &'g Given,
    of: &'g Lender,
    zone: Option<&'g str>,
    rank: usize,
}

// === impl Aliases ===

impl<'s> Aliases<'s> {
    fn lend(&mut self, speakers: &'s [Speaker<'s>], lent: &Lent<'_>, terms: &Terms<'_>) {
        let Lent { given, of, zone, rank } = *lent;
        let usable = speakers
            .iter()
            .filter(|speaker| of.means(speaker, terms) && speaker.refusal(terms).is_none());
        let mut is_denied = false;
        let usable = usable.filter(|speaker| match given.denied(speaker, terms) {
            Some(declined) => {
                is_denied = true;
                let pair = (speaker.endpoint.id.clone(), given.pattern.clone());
                if self.given.insert(pair) {
                    self.declined.push(declined);
                }
                false
            }
            None => names::leads_to_one(speaker.endpoint),
        });
        let able: Vec<_> = usable
            .filter_map(|speaker| Contender::by_alias(speaker, given, zone, rank).ok())
            .collect();
        if able.is_empty() && !is_denied {
            let mut target = match zone {
                Some(zone) => format!("{} in {zone}", of.as_str()),
                None => of.as_str().to_owned(),
            };
            // Of one that is named, why it is not usable.
            let mut meant = speakers.iter().filter(|speaker| of.means(speaker, terms));
            let is_own = |why: &Reason| !matches!(why, Reason::OtherSource(_));
            if let Some(why) = meant.find_map(|speaker| speaker.refusal(terms).filter(is_own)) {
                target += &format!(" ({why})");
            }
            self.declined.push(missing(Some(&given.pattern), &target));
        }
        for contender in able {
            if self.given.insert(contender.pair()) {
                self.contenders.push(contender);
            }
        }
    }
}

fn missing(pattern: Option<&Pattern>, target: &str) -> Declined {
    Declined {
        endpoint: None,
        service: None,
        source: None,
        name: pattern.map(|pattern| Arc::from(pattern.to_string())),
        why: Reason::AliasTargetMissing(Arc::from(target)),
    }
}

// === impl Given ===

impl Given {
    /// That the view denies the service itself, unless somebody wrote this very name.
    fn denied(&self, speaker: &Speaker<'_>, terms: &Terms<'_>) -> Option<Declined> {
        let why = match self.origin {
            Origin::Allowed | Origin::AliasSet(_) => terms.denies_itself(speaker)?,
            _ => return None,
        };
        Some(speaker.declined(Some(Arc::from(self.pattern.to_string())), why))
    }
}

impl From<&Alias> for Given {
    fn from(alias: &Alias) -> Self {
        let Alias { pattern, target } = alias.clone();
        let origin = Origin::Alias;
        Self { pattern, target, origin }
    }
}

// === impl Sets ===

impl Sets {
    pub(super) fn new(speakers: &[Speaker<'_>], config: &PolicyConfig) -> Self {
        let mut sets = Self { given: Vec::new(), missing: Vec::new() };
        for set in &config.alias_sets {
            let given = set.given(speakers);
            if given.is_empty() {
                let target = format!("{} (alias set {set})", set.target());
                sets.missing.push(missing(None, &target));
            }
            sets.given.extend(given);
        }
        sets
    }
}

// === impl Lender ===

impl Lender {
    /// Whether this endpoint could be meant. By service, endpoints whose owner wants VPCs left
    /// alone are passed over where clients may be in VPCs; naming the endpoint itself overrules that.
    fn means(&self, speaker: &Speaker<'_>, terms: &Terms<'_>) -> bool {
        let endpoint = speaker.endpoint;
        match self {
            Lender::Service(rule) => {
                let is_wanted = !endpoint.onprem_only || terms.is_onprem();
                is_wanted && speaker.is_of(rule)
            }
            Lender::Endpoint(id) => *id == endpoint.id,
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Lender::Service(rule) => rule.as_str(),
            Lender::Endpoint(id) => id.as_str(),
        }
    }
}
