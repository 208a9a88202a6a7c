//! Which realm a view's question is in: that of its own upstreams, or the one that all have in common.
//!
//! Pure. A realm is one list of upstreams, so views with the same ones share what these say.

use std::{collections::HashMap, iter};

use foldhash::quality::FixedState;

use super::{
    address::UpstreamAddress,
    config::{ForwardConfig, ForwardZone},
    error::ForwardError,
    forwarder::Forwarder,
    key::Realm,
};
use crate::base::{Name, ViewName};

/// Keys are the operator's, never a client's.
const HASH_SEED: u64 = 0x7265_616c_6d73;

/// The realms of a configuration.
#[derive(Debug)]
pub(super) struct Realms {
    /// Views that say something of their own.
    views: HashMap<ViewName, Own, FixedState>,
    /// The upstreams of each realm but the common one.
    lists: Vec<RealmList>,
}

/// One realm's upstreams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RealmList {
    pub(super) upstreams: Vec<UpstreamAddress>,
    /// What a question gets that nobody is asked for.
    pub(super) or_else: ForwardError,
    /// Names from here on down are asked of them: zones, and the root where it is a view's default.
    pub(super) domains: Vec<Name>,
}

/// What one view says of its own.
#[derive(Debug)]
struct Own {
    /// For what is in no zone.
    default: Realm,
    /// Its zones and the inherited ones, by their names in wire form. Looked up label by label: also
    /// for what is told from the cache.
    zones: HashMap<Box<[u8]>, Realm, FixedState>,
}

// === impl Forwarder ===

impl Forwarder {
    /// Whose upstreams are asked for a name, in wire form and lower case, of a client in `view`.
    pub fn realm(&self, view: &ViewName, name_wire: &[u8]) -> Realm {
        self.routes().realms().of(view, name_wire)
    }

    /// Whether any view has upstreams of its own.
    pub fn has_realms(&self) -> bool {
        !self.routes().realms().lists().is_empty()
    }
}

// === impl Realms ===

impl Realms {
    pub(super) fn new(config: &ForwardConfig) -> Self {
        let views = HashMap::with_hasher(FixedState::with_seed(HASH_SEED));
        let mut realms = Self { views, lists: Vec::new() };
        for view in &config.views {
            let default = view.upstreams.as_ref().map_or(Realm::SHARED, |upstreams| {
                realms.realm(upstreams, ForwardError::NoUpstream, &Name::root())
            });
            let own = view.zones.iter().map(|ForwardZone { name, upstreams }| {
                (name.clone(), realms.realm(upstreams, ForwardError::Refused, name))
            });
            let own: Vec<_> = own.collect();
            let inherited = config.zones.iter().map(|zone| (zone.name.clone(), Realm::SHARED));
            let mut zones = HashMap::with_hasher(FixedState::with_seed(HASH_SEED));
            // Its own stand above what it inherits.
            zones.extend(inherited.chain(own).map(|(name, realm)| (name.as_wire().into(), realm)));
            realms.views.insert(view.view.clone(), Own { default, zones });
        }
        realms
    }

    /// The realm of a list, made if it is new.
    fn realm(
        &mut self,
        upstreams: &[UpstreamAddress],
        or_else: ForwardError,
        domain: &Name,
    ) -> Realm {
        let same = |it: &RealmList| {
            it.upstreams == upstreams && (it.or_else == or_else || !upstreams.is_empty())
        };
        let at = self.lists.iter().position(same).unwrap_or(self.lists.len());
        // The configuration has no room for 65,535 lists.
        let Some(realm) = Realm::of_list(at) else { return Realm::SHARED };
        if at == self.lists.len() {
            let upstreams = upstreams.to_vec();
            self.lists.push(RealmList { upstreams, or_else, domains: Vec::new() });
        }
        if let Some(list) = self.lists.get_mut(at)
            && !list.domains.contains(domain)
        {
            list.domains.push(domain.clone());
        }
        realm
    }

    /// Whose upstreams are asked for a name, in wire form and lower case, of a client in `view`.
    pub(super) fn of(&self, view: &ViewName, name_wire: &[u8]) -> Realm {
        if self.views.is_empty() {
            return Realm::SHARED;
        }
        let Some(own) = self.views.get(view) else { return Realm::SHARED };
        if own.zones.is_empty() {
            return own.default;
        }
        suffixes(name_wire).find_map(|it| own.zones.get(it)).copied().unwrap_or(own.default)
    }

    /// The upstreams of each realm but the common one, in their order.
    pub(super) fn lists(&self) -> &[RealmList] {
        &self.lists
    }

    /// The realm in which all who were asked in `realm` of `old` are still asked. What they said may
    /// be told there.
    pub(super) fn heir(&self, old: &Realms, realm: Realm) -> Option<Realm> {
        let before = old.lists.get(realm.list()?)?;
        let asks_all = |it: &RealmList| {
            before.upstreams.iter().all(|upstream| it.upstreams.contains(upstream))
        };
        // The same list comes first: a view that was not changed keeps its cache.
        let same = self.lists.iter().position(|it| it.upstreams == before.upstreams);
        Realm::of_list(same.or_else(|| self.lists.iter().position(asks_all))?)
    }
}

/// A name in wire form, then what it is below, up to the root.
fn suffixes(name_wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::successors(Some(name_wire), |rest| match rest.first() {
        None | Some(0) => None,
        Some(len) => rest.get(usize::from(*len) + 1..),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::{ViewForward, config::tests::config};

    /// `VIEW: UPSTREAM...; ZONE UPSTREAM...`, where `-` stands for what is inherited.
    fn view(text: &str) -> ViewForward {
        let (name, rest) = text.split_once(':').unwrap();
        let own = config(rest.strip_prefix(" -").unwrap_or(rest));
        ViewForward {
            view: name.into(),
            upstreams: (!rest.starts_with(" -")).then_some(own.upstreams),
            zones: own.zones,
        }
    }

    fn realms(shared: &str, views: &[&str]) -> (ForwardConfig, Realms) {
        let views = views.iter().map(|text| view(text)).collect();
        let config = ForwardConfig { views, ..config(shared) };
        let realms = Realms::new(&config);
        (config, realms)
    }

    #[test]
    fn a_view_asks_its_own_and_inherits_what_it_does_not_say() {
        let (config, realms) = realms(
            "192.0.2.1:53; corp.example 192.0.2.2:53; lab.corp.example 192.0.2.3:53",
            &[
                "own: 192.0.2.7:53; corp.example 192.0.2.8:53",
                "zone: -; corp.example 192.0.2.8:53",
                "none: ; dark.example",
            ],
        );
        let check = |view: &str, name: &str, expected: &str| {
            let (view, name) = (ViewName::from(view), name.parse::<Name>().unwrap());
            let realm = realms.of(&view, name.as_wire());
            let by_realm = match realm.list() {
                Some(at) => {
                    let list = &realms.lists()[at];
                    let texts = list.upstreams.iter().map(ToString::to_string);
                    let text = texts.collect::<Vec<_>>().join(" ");
                    if text.is_empty() { format!("{:?}", list.or_else) } else { text }
                }
                None => "shared".to_owned(),
            };
            assert_eq!(by_realm, expected, "{view} {name}");
            // What `explain` says is the same.
            let way = config.way(&view, &name);
            match realm.list() {
                Some(at) => assert_eq!(way.upstreams, realms.lists()[at].upstreams),
                None => assert!(!way.is_own),
            }
        };
        check("own", "a.example", "192.0.2.7:53");
        check("own", "CORP.example", "192.0.2.8:53");
        check("own", "a.corp.example", "192.0.2.8:53");
        check("own", "a.lab.corp.example", "shared");
        check("own", "notcorp.example", "192.0.2.7:53");
        check("zone", "a.example", "shared");
        check("zone", "a.corp.example", "192.0.2.8:53");
        check("none", "a.example", "NoUpstream");
        check("none", "a.dark.example", "Refused");
        check("none", "a.corp.example", "shared");
        check("default", "a.corp.example", "shared");
    }

    #[test]
    fn views_with_the_same_upstreams_share_what_these_say() {
        let views =
            ["one: 192.0.2.7:53", "two: -; corp.example 192.0.2.7:53", "three: 192.0.2.8:53"];
        let (_, realms) = realms("192.0.2.1:53", &views);
        let of = |view: &str| realms.of(&view.into(), b"\x04corp\x07example\0");
        assert_eq!(of("one"), of("two"));
        assert_ne!(of("one"), of("three"));
    }

    #[test]
    fn what_was_said_goes_over_to_where_all_who_may_have_said_it_are_asked() {
        let (_, old) = realms("192.0.2.1:53", &["v: 192.0.2.7:53", "w: 192.0.2.8:53 192.0.2.9:53"]);
        let (_, new) = realms("192.0.2.1:53", &["x: 192.0.2.8:53", "y: 192.0.2.6:53 192.0.2.7:53"]);
        let heirs = [0, 1].map(|at| new.heir(&old, Realm::of_list(at).unwrap()));
        assert_eq!(heirs, [Realm::of_list(1), None]);
        assert_eq!(new.heir(&old, Realm::SHARED), None, "its own rule decides");
        // Of two that hold it, the one that is the same.
        let (_, wider) =
            realms("192.0.2.1:53", &["x: 192.0.2.7:53 192.0.2.6:53", "y: 192.0.2.7:53"]);
        assert_eq!(wider.heir(&old, Realm::of_list(0).unwrap()), Realm::of_list(1));
    }
}
