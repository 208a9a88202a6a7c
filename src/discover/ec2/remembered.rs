//! A list that a source can do without, as it was told last.

use std::sync::Arc;

use crate::discover::{DiscoverError, Dispensable, Lack};

/// Looks that ask for nothing while it cannot be had, at most: 8 minutes at 30 s a look.
const LOOKS_BETWEEN_MAX: u32 = 15;

/// What a source remembers of a list that it can do without.
#[derive(Debug)]
pub(super) struct Remembered<T> {
    /// As it was told last.
    pub(super) found: Option<Vec<T>>,
    /// Why it could not be had the last time.
    lack: Option<Arc<DiscoverError>>,
    /// Looks that pass before it is asked for again, and how many did before.
    pause: u32,
    paused: u32,
    /// Whether this look has asked for it.
    asked: bool,
}

/// Nothing yet.
impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { found: None, lack: None, pause: 0, paused: 0, asked: false }
    }
}

// === impl Remembered ===

impl<T> Remembered<T> {
    /// Another look begins.
    pub(super) fn begin(&mut self) {
        self.asked = false;
    }

    /// Whether nobody has asked for it yet.
    pub(super) fn is_new(&self) -> bool {
        self.found.is_none() && self.lack.is_none()
    }

    /// Whether it could not be had the last time.
    pub(super) fn is_lacking(&self) -> bool {
        self.lack.is_some()
    }

    /// Whether this look tries again what could not be had: the first one after it, then after pauses
    /// that double. What is denied stays so until somebody grants it: it is tried when everything is
    /// due, and by nothing else, since all sources share their calls.
    pub(super) fn tries_again(&mut self) -> bool {
        let Some(lack) = &self.lack else { return false };
        if lack.permission().is_some() {
            return false;
        }
        let tries = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        tries
    }

    /// Takes what was told; a failure keeps what was told before.
    pub(super) fn take(&mut self, told: Result<Vec<T>, DiscoverError>) {
        match told {
            Ok(found) => *self = Self { found: Some(found), ..Self::default() },
            Err(error) => {
                self.pause = match self.lack {
                    Some(_) => (self.paused * 2 + 1).min(LOOKS_BETWEEN_MAX),
                    None => 0,
                };
                (self.paused, self.lack) = (self.pause, Some(Arc::new(error)));
            }
        }
        self.asked = true;
    }

    /// What looks go without until it is told again.
    pub(super) fn lack(&self, of: Dispensable) -> Option<Lack> {
        self.lack.clone().map(|error| Lack { of, error, asked: self.asked })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::error::Action;

    /// The looks, of 40, that ask for what fails in this way.
    fn asks(error: impl Fn() -> DiscoverError) -> Vec<u32> {
        let mut list: Remembered<()> = Remembered::default();
        list.take(Err(error()));
        let mut asks = |_: &u32| {
            list.begin();
            let tries = list.tries_again();
            if tries {
                list.take(Err(error()));
            }
            let lack = list.lack(Dispensable::Zones).expect("it is told all the while");
            assert_eq!(lack.asked, tries);
            tries
        };
        (1..=40).filter(|look| asks(look)).collect()
    }

    #[test]
    fn what_cannot_be_had_is_tried_again_after_pauses_that_double_and_what_is_denied_is_not() {
        let action = Action::DescribeSubnets;
        assert_eq!(asks(|| DiscoverError::garbage(action, "no list")), [1, 3, 7, 15, 31]);
        let denied =
            || DiscoverError::Denied { action, code: "UnauthorizedOperation", source: "no".into() };
        assert!(asks(denied).is_empty());
    }
}
