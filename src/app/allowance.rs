//! The task that reads what the network dropped for exceeding AWS's limit on packets.
//!
//! Once a minute, and only where upstreams are limited and the host has ethtool.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{answer::Settings, base::Chain, forward::Allowance, telemetry::Metrics};

/// Between two looks: the counter only grows, and a look is a child process for each interface.
const INTERVAL: Duration = Duration::from_secs(60);

/// Looks until `token` is cancelled.
pub(super) async fn watch_allowance(
    settings: watch::Receiver<Arc<Settings>>,
    metrics: Arc<Metrics>,
    token: CancellationToken,
) {
    let looks = async {
        let Some(mut allowance) = Allowance::find() else {
            tracing::debug!("there is no ethtool: what the network drops is not known");
            return;
        };
        loop {
            if settings.borrow().forwarder.budget().is_some() {
                match allowance.read().await {
                    Ok(read) => tell(&read, &metrics),
                    Err(error) => {
                        // Most often a service that may run nothing else: it will be no other way.
                        tracing::info!(
                            error = %Chain(&error),
                            "ethtool cannot be asked: what the network drops is not known"
                        );
                        return;
                    }
                }
            }
            sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        () = token.cancelled() => (),
        () = looks => token.cancelled().await,
    }
}

fn tell(read: &[(String, u64)], metrics: &Metrics) {
    for (interface, dropped) in read {
        metrics.forward.budget.dropped(interface, *dropped);
        if 0 < *dropped {
            tracing::warn!(
                interface,
                dropped,
                "the network dropped packets to link-local services: AWS's limit was exceeded"
            );
        }
    }
}
