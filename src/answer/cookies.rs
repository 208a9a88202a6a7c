//! Which cookie a client is told (RFC 7873), and what its own says of it.
//!
//! No client is refused for its cookie: those who may ask are in networks of the operator's own, and
//! one without a cookie, or with another hub's, gets the same answer and a good one beside it.

use std::{net::IpAddr, sync::Arc};

use crate::{
    base::{CookieSecret, CookieSecrets},
    telemetry::{CookieKind, DnsMetrics},
    wire::{Cookie, CookieState, FullCookie},
};

/// Makes and knows cookies. Cheap to clone.
#[derive(Clone)]
pub struct Cookies {
    secrets: Arc<CookieSecrets>,
    shared: bool,
    now_secs: fn() -> u64,
}

// === impl Cookies ===

impl Cookies {
    /// Cookies by secrets that other hubs have too. `now_secs` counts from 1970, as theirs does.
    pub fn shared(secrets: CookieSecrets, now_secs: fn() -> u64) -> Self {
        Self { secrets: Arc::new(secrets), shared: true, now_secs }
    }

    /// Cookies that no other hub knows, nor we after the next start.
    pub fn random(now_secs: fn() -> u64) -> Self {
        let current = CookieSecret(rand::random());
        let secrets = CookieSecrets { current, former: Vec::new() };
        Self { secrets: Arc::new(secrets), shared: false, now_secs }
    }

    /// Whether the secrets were given to us, and not drawn.
    pub fn are_shared(&self) -> bool {
        self.shared
    }

    /// Whether the client at `ip` was told this cookie. Counts nothing.
    pub(super) fn proves(&self, cookie: &Cookie, ip: IpAddr) -> bool {
        cookie.answer(&self.secrets, ip, self.now()).0 == CookieState::Good
    }

    /// The answer to the cookie of the client at `ip`, and what it says. Counts it.
    pub(super) fn answer(
        &self,
        cookie: &Cookie,
        ip: IpAddr,
        dns: &DnsMetrics,
    ) -> (CookieState, FullCookie) {
        let (state, full) = cookie.answer(&self.secrets, ip, self.now());
        dns.cookie(match state {
            CookieState::New => CookieKind::New,
            CookieState::Good => CookieKind::Good,
            CookieState::Bad => CookieKind::Bad,
        });
        (state, full)
    }

    /// RFC 9018 section 4.3: the lower 32 bits.
    fn now(&self) -> u32 {
        u32::try_from((self.now_secs)() & u64::from(u32::MAX)).unwrap_or_default()
    }
}
