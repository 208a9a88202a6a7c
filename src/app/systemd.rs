//! What systemd is told of us, if it started us.

use sd_notify::NotifyState;

use crate::base::Chain;

/// Whether it started us, or what stands in for it.
pub fn is_below_systemd() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Tells it. Without it there is nobody to tell, which is no error.
pub(super) fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %Chain(&error), "systemd cannot be told");
    }
}

/// Tells it that a reload has begun, and when, by which it knows the READY=1 that ends this one
/// (sd_notify(3), `Type=notify-reload`).
pub(super) fn notify_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the clock cannot be read; no reload is told"),
    }
}
