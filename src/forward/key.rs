//! What the cache and the flights know a question by: itself, and whose upstreams are asked.
//!
//! Views may have upstreams of their own, and what these say is for nobody else. So the realm is a
//! part of the key, and no look-up can forget it.

use equivalent::Equivalent;

use crate::wire::{Asking, Question};

/// Whose upstreams are asked. What one says in a realm is told in that realm alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Realm(u16);

/// A question in its realm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Whose upstreams are asked.
    pub realm: Realm,
    /// The question.
    pub question: Question,
}

/// A [`Key`] as a packet has it: nothing is allocated for it.
// Its fields are hashed in the order of a key's, and so they hash alike.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Sought<'q> {
    /// Whose upstreams would be asked.
    pub realm: Realm,
    /// The question.
    pub asking: Asking<'q>,
}

// === impl Realm ===

impl Realm {
    /// `forward.upstreams` and `[[forward.zone]]`, which all views have in common.
    pub const SHARED: Realm = Realm(0);

    /// The one of a list of upstreams, counted from 0; `None` above all that there can be.
    pub(super) fn of_list(at: usize) -> Option<Realm> {
        u16::try_from(at).ok()?.checked_add(1).map(Realm)
    }

    /// The place of its list; `None` for the one that all have in common.
    pub(super) fn list(self) -> Option<usize> {
        self.0.checked_sub(1).map(usize::from)
    }
}

// === impl Key ===

impl Key {
    /// The same question of another type of packet: what this is looked up by.
    pub(super) fn sought(&self) -> Sought<'_> {
        Sought { realm: self.realm, asking: Asking::from(&self.question) }
    }
}

impl From<Question> for Key {
    fn from(question: Question) -> Self {
        Self { realm: Realm::SHARED, question }
    }
}

// === impl Sought ===

impl Sought<'_> {
    pub(super) fn to_key(self) -> Key {
        Key { realm: self.realm, question: self.asking.to_question() }
    }
}

impl<'q> From<Asking<'q>> for Sought<'q> {
    fn from(asking: Asking<'q>) -> Self {
        Self { realm: Realm::SHARED, asking }
    }
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.realm == key.realm && self.asking.equivalent(&key.question)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use equivalent::Equivalent;

    use super::{Key, Realm, Sought};
    use crate::{
        base::RecordType,
        wire::{Asking, Question},
    };

    #[test]
    fn a_question_is_found_in_its_own_realm_alone() {
        let question = Question {
            name: "a.example".parse().unwrap(),
            rtype: RecordType::A,
            dnssec_ok: true,
            checking_disabled: false,
        };
        let state = foldhash::quality::FixedState::with_seed(7);
        let own = Realm::of_list(0).unwrap();
        let key = Key { realm: own, question: question.clone() };
        assert!(key.sought().equivalent(&key));
        assert_eq!(state.hash_one(key.sought()), state.hash_one(&key));
        let shared = Sought::from(Asking::from(&question));
        assert!(!shared.equivalent(&key), "another realm");
        assert!(shared.equivalent(&Key::from(question.clone())));
    }
}
