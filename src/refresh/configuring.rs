//! The way by which another configuration comes to the loop.
//!
//! It has room for one: one that was not taken yet is replaced by the next. So nobody ever waits for
//! room, and the last one is put in force however long the loop is busy.

use std::time::Duration;

use tokio::{sync::watch, time::timeout};

use super::refresher::Inputs;

/// Gives the loop another configuration.
pub struct Configurer {
    wanted: watch::Sender<Wanted>,
    taken: watch::Receiver<u64>,
}

/// Where the loop finds it.
pub struct Configurations {
    wanted: watch::Receiver<Wanted>,
    taken: watch::Sender<u64>,
}

/// The last one, with its number; none at first.
type Wanted = (u64, Option<Inputs>);

/// Both ends.
pub fn configuring() -> (Configurer, Configurations) {
    let (wanted, to_take) = watch::channel((0, None));
    let (taken, told) = watch::channel(0);
    (Configurer { wanted, taken: told }, Configurations { wanted: to_take, taken })
}

// === impl Configurer ===

impl Configurer {
    /// Gives it these, and tells whether the table says so `within` that time. If not, it will when
    /// the loop comes to it, unless others were given meanwhile.
    pub async fn put(&mut self, inputs: Inputs, within: Duration) -> bool {
        let number = self.wanted.borrow().0 + 1;
        self.wanted.send_replace((number, Some(inputs)));
        let taken = self.taken.wait_for(|taken| number <= *taken);
        matches!(timeout(within, taken).await, Ok(Ok(_)))
    }
}

// === impl Configurations ===

impl Configurations {
    /// The next, with its number; nothing when nobody can give any.
    pub(super) async fn next(&mut self) -> Option<(u64, Inputs)> {
        self.wanted.changed().await.ok()?;
        let (number, inputs) = self.wanted.borrow_and_update().clone();
        Some((number, inputs?))
    }

    /// The table says what the one of this number does.
    pub(super) fn done(&self, number: u64) {
        self.taken.send_replace(number);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{io, sync::Arc};

    use futures_util::FutureExt;

    use super::*;
    use crate::{health::HealthConfig, policy::facts, refresh::RefreshConfig};

    const SOON: Duration = Duration::from_millis(20);

    /// Inputs without a source, which are told by this number of seconds.
    pub(in crate::refresh) fn inputs(secs: u64) -> Inputs {
        let interval = Duration::from_secs(secs);
        Inputs {
            sources: vec![],
            policy: Arc::new(facts::config()),
            refresh: RefreshConfig {
                interval,
                services_interval: interval,
                state_file: None,
                shrink_guard_percent: 30,
            },
            health: HealthConfig { tcp_port: None, interval },
            lookup: Arc::new(|host| async move { Err(io::Error::other(host)) }.boxed()),
        }
    }

    #[tokio::test]
    async fn a_loop_that_is_busy_keeps_nobody_waiting_and_takes_the_last_one() {
        let (mut configurer, mut configurations) = configuring();
        for secs in 1..=3 {
            assert!(!configurer.put(inputs(secs), SOON).await);
        }
        let (number, taken) = configurations.next().await.unwrap();
        assert_eq!((number, taken.health.interval), (3, Duration::from_secs(3)));
        configurations.done(number);
        assert!(configurations.next().now_or_never().is_none(), "the others are never taken");

        let takes = async {
            let (number, _) = configurations.next().await.unwrap();
            configurations.done(number);
        };
        let (put, ()) = tokio::join!(configurer.put(inputs(4), Duration::from_secs(20)), takes);
        assert!(put);
        drop(configurer);
        assert!(configurations.next().await.is_none());
    }
}
