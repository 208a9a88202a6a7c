//! Names that stand for other names: which of them are said, and that following them ends.
//!
//! What a target has is not looked at here: it may be ours, or an upstream's.

use std::{iter, sync::Arc};

use crate::base::{EndpointId, Name, Pattern};

use super::{
    Alias, AliasTarget, Claim, CnameClaim, CnameLender, Declined, Precedence, Reason, terms::Terms,
};

/// CNAMEs of ours from a question to what it comes to. Operators point a name at a name; who needs
/// more than this many in a row has made a mistake, and clients give up at about as many.
pub const CNAMES_MAX: usize = 8;

/// A name that may be said to stand for another.
pub(super) struct CnameContender {
    pub(super) pattern: Pattern,
    pub(super) target: Name,
    /// Its place among the names that the configuration gives.
    pub(super) rank: usize,
    /// Whose association gives it; none for an alias of the operator's.
    pub(super) lender: Option<CnameLender>,
}

// === impl CnameContender ===

impl CnameContender {
    pub(super) fn lost_to(self, winner: &EndpointId) -> Declined {
        let why = Reason::Conflict { winner: winner.clone(), by: Precedence::Alias };
        declined(&self.pattern, why)
    }

    pub(super) fn into_claim(self, terms: &Terms<'_>) -> CnameClaim {
        let Self { pattern, target, lender, rank: _ } = self;
        CnameClaim { pattern, target, ttl: terms.ttl(), lender }
    }
}

/// Takes those out that lead in a circle, or through more than [`CNAMES_MAX`]. Both lists are
/// sorted by pattern and have none in common.
pub(super) fn without_endless(
    cnames: Vec<CnameClaim>,
    claims: &[Claim],
) -> (Vec<CnameClaim>, Vec<Declined>) {
    let next = |name: &Name| {
        let cname = |pattern: &Pattern| {
            let at = cnames.binary_search_by(|it| it.pattern.cmp(pattern)).ok()?;
            cnames.get(at)
        };
        let is_claimed =
            |pattern: &Pattern| claims.binary_search_by(|it| it.pattern.cmp(pattern)).is_ok();
        let pattern = patterns(name).find(|it| is_claimed(it) || cname(it).is_some())?;
        cname(&pattern).map(|it| &it.target)
    };
    let ends: Vec<bool> = cnames.iter().map(|cname| ends(&cname.target, next)).collect();
    let mut endless = Vec::new();
    let mut kept = Vec::with_capacity(cnames.len());
    for (cname, ends) in cnames.into_iter().zip(ends) {
        match ends {
            true => kept.push(cname),
            false => endless.push(declined(&cname.pattern, Reason::CnameEndless(cname.target))),
        }
    }
    (kept, endless)
}

/// An alias to a name that leads on and on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndlessAlias {
    /// The places of the aliases that it leads through, itself first.
    pub through: Vec<usize>,
    /// `a -> b -> a`: up to the first name that comes again, if one does.
    pub chain: String,
    /// Whether one does. Else there are too many.
    pub is_circle: bool,
}

/// Those aliases that never end whatever the endpoints are: they lead to each other.
pub fn endless_aliases(aliases: &[Alias]) -> Vec<EndlessAlias> {
    let leading_to = |name: &Name| {
        patterns(name).find_map(|it| aliases.iter().position(|alias| alias.pattern == it))
    };
    let target = |at: usize| aliases.get(at).and_then(|alias| alias.target.cname());
    let next = |name: &Name| leading_to(name).and_then(target);
    let is_endless = |at: &usize| target(*at).is_some_and(|target| !ends(target, next));
    let followed = |first: usize| {
        let mut endless = EndlessAlias {
            through: vec![first],
            chain: aliases.get(first).map_or(String::new(), |alias| alias.pattern.to_string()),
            is_circle: false,
        };
        let mut seen = vec![endless.chain.clone()];
        let mut at = first;
        while let Some(name) = target(at).filter(|_| seen.len() <= CNAMES_MAX + 1) {
            let text = name.to_string();
            endless.chain.push_str(&format!(" -> {text}"));
            endless.is_circle = seen.contains(&text);
            seen.push(text);
            match leading_to(name).filter(|_| !endless.is_circle) {
                Some(leading) => at = leading,
                None => break,
            }
            endless.through.push(at);
        }
        endless
    };
    (0..aliases.len()).filter(is_endless).map(followed).collect()
}

/// Whether a CNAME to `target` comes to a name that is none.
fn ends<'n>(target: &'n Name, next: impl Fn(&Name) -> Option<&'n Name>) -> bool {
    let followed = iter::successors(Some(target), |name| next(name));
    followed.take(CNAMES_MAX + 1).count() <= CNAMES_MAX
}

/// What may answer a name, in the order in which a table looks: the name, then the wildcards over
/// it from the longest on.
fn patterns(name: &Name) -> impl Iterator<Item = Pattern> {
    let above = iter::successors(name.parent(), Name::parent);
    iter::once(Pattern::Exact(name.clone())).chain(above.map(Pattern::Below))
}

fn declined(pattern: &Pattern, why: Reason) -> Declined {
    let name = Some(Arc::from(pattern.to_string()));
    Declined { endpoint: None, service: None, source: None, name, why }
}

// === impl AliasTarget ===

impl AliasTarget {
    fn cname(&self) -> Option<&Name> {
        match self {
            AliasTarget::Cname(target) => Some(target),
            AliasTarget::Endpoint { .. } => None,
        }
    }
}
