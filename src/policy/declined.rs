//! All that one view declines.
//!
//! A view that selects a few of many endpoints declines all the others, and so do hundreds of views:
//! what is declined of a whole endpoint for one reason is one list, which views have in common.

use std::{collections::BTreeMap, sync::Arc};

use super::Declined;

/// What a view declines, sorted by endpoint, then by name.
#[derive(Clone, Debug, Default)]
pub struct DeclinedList {
    /// None of them empty.
    parts: Vec<Arc<[Declined]>>,
    len: usize,
    counts: BTreeMap<&'static str, usize>,
}

// === impl DeclinedList ===

impl DeclinedList {
    /// Of what is the view's own in any order, and of whole endpoints in theirs, none of them empty
    /// and each declined for one reason.
    pub(super) fn new(mut own: Vec<Declined>, whole: Vec<Arc<[Declined]>>) -> Self {
        own.sort();
        let mut list = Self { parts: Vec::with_capacity(whole.len()), ..Self::default() };
        for declined in &own {
            list.count(declined, 1);
        }
        let mut own = own.into_iter().peekable();
        for endpoint in whole {
            let Some(first) = endpoint.first() else { continue };
            list.count(first, endpoint.len());
            if own.peek().is_some_and(|it| it < first) {
                list.push(std::iter::from_fn(|| own.next_if(|it| it < first)).collect());
            }
            list.push(endpoint);
        }
        list.push(own.collect());
        list
    }

    fn count(&mut self, declined: &Declined, more: usize) {
        *self.counts.entry(declined.why.word()).or_default() += more;
    }

    fn push(&mut self, part: Arc<[Declined]>) {
        if !part.is_empty() {
            self.len += part.len();
            self.parts.push(part);
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Declined> {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// How many there are of each reason, by its word.
    pub fn by_reason(&self) -> &BTreeMap<&'static str, usize> {
        &self.counts
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is declined.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Equal are lists that say the same, however they are cut.
impl PartialEq for DeclinedList {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && (self.parts == other.parts || self.iter().eq(other.iter()))
    }
}

impl Eq for DeclinedList {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::DeclinedList;
    use crate::policy::{Declined, Reason};

    fn declined(endpoint: &str, name: &str) -> Declined {
        Declined {
            endpoint: Some(endpoint.into()),
            service: None,
            source: None,
            name: Some(name.into()),
            why: Reason::ViewTags,
        }
    }

    #[test]
    fn what_is_shared_and_what_is_own_stand_in_one_order() {
        let own = || vec![declined("c", "2"), declined("a", "1"), declined("c", "1")];
        let whole: Vec<Arc<[Declined]>> =
            vec![[declined("b", "1"), declined("b", "2")].into(), [declined("d", "1")].into()];
        let list = DeclinedList::new(own(), whole.clone());
        let told: Vec<String> = list
            .iter()
            .map(|it| format!("{}{}", it.endpoint.as_ref().unwrap(), it.name.as_deref().unwrap()))
            .collect();
        assert_eq!(told, ["a1", "b1", "b2", "c1", "c2", "d1"]);
        assert_eq!(list.len(), 6);
        assert_eq!(list.by_reason(), &[(Reason::ViewTags.word(), 6)].into());
        let all = [own(), whole.concat()].concat();
        assert_eq!(DeclinedList::new(all, vec![]), list, "cut otherwise");
        assert_ne!(DeclinedList::new(own(), vec![]), list);
    }
}
