//! DNS cookies (RFC 7873), made as RFC 9018 makes them: who sends ours back has shown its address.
//!
//! Pure: time and secrets are arguments. It remembers no client, and refuses none.

use std::{hash::Hasher, net::IpAddr};

use siphasher::sip::SipHasher24;

use crate::base::{CookieSecret, CookieSecrets};

/// The option's code (RFC 7873 section 4).
pub(super) const OPTION_COOKIE: u16 = 10;
/// Octets of a client's cookie (RFC 7873 section 4.1).
const CLIENT_LEN: usize = 8;
/// Octets of a server's cookie of version 1: its head and its hash (RFC 9018 section 4).
const HEAD_LEN: usize = 8;
const HASH_LEN: usize = 8;
/// Octets of both cookies, as we tell them.
pub(super) const FULL_LEN: usize = CLIENT_LEN + HEAD_LEN + HASH_LEN;
/// The largest option: a client's cookie and a server's of 32 octets (RFC 7873 section 4.1).
const OPTION_LEN_MAX: usize = CLIENT_LEN + 32;
/// The least with a server's cookie, which has 8 octets or more.
const OPTION_LEN_BOTH_MIN: usize = CLIENT_LEN + 8;
/// The one version that RFC 9018 section 4.1 has.
const VERSION: u8 = 1;

/// How old a cookie of ours may be, in seconds, and how far in the future another hub's clock may
/// have made it (RFC 9018 section 4.3).
const AGE_MAX_SECS: i32 = 3_600;
const AHEAD_MAX_SECS: i32 = 300;
/// Past this age a good cookie is answered with a fresh one (the same section).
const RENEW_AFTER_SECS: i32 = 1_800;

/// What a client's COOKIE option holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie {
    client: [u8; CLIENT_LEN],
    server: ServerPart,
}

/// What a client sends back as its server's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerPart {
    /// It has none yet.
    Absent,
    /// One that is not as long as ours.
    Foreign,
    /// One that may be ours.
    Whole(ServerCookie),
}

/// A server's cookie (RFC 9018 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ServerCookie {
    /// Version, three reserved octets, and when it was made.
    head: [u8; HEAD_LEN],
    hash: [u8; HASH_LEN],
}

/// The option as it is told: the client's cookie and ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullCookie {
    client: [u8; CLIENT_LEN],
    head: [u8; HEAD_LEN],
    hash: [u8; HASH_LEN],
}

/// What a client's cookie says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieState {
    /// It asks for one of ours.
    New,
    /// It was given this one at this address, within the hour.
    Good,
    /// It never was, or too long ago, or by a secret that is no more.
    Bad,
}

// === impl Cookie ===

impl Cookie {
    /// Reads an option's data; `None` for a length that it cannot have (RFC 7873 section 5.2.2).
    pub(super) fn read(data: &[u8]) -> Option<Cookie> {
        let (client, server) = data.split_first_chunk()?;
        let server = match data.len() {
            CLIENT_LEN => ServerPart::Absent,
            FULL_LEN => {
                let (head, hash) = server.split_first_chunk()?;
                ServerPart::Whole(ServerCookie { head: *head, hash: hash.try_into().ok()? })
            }
            OPTION_LEN_BOTH_MIN..=OPTION_LEN_MAX => ServerPart::Foreign,
            _ => return None,
        };
        Some(Cookie { client: *client, server })
    }

    /// What the cookie says of the client at `ip`, and what to tell it. `now` counts seconds since
    /// 1970, modulo 2^32.
    pub fn answer(
        &self,
        secrets: &CookieSecrets,
        ip: IpAddr,
        now: u32,
    ) -> (CookieState, FullCookie) {
        let state = match &self.server {
            ServerPart::Absent => CookieState::New,
            ServerPart::Foreign => CookieState::Bad,
            ServerPart::Whole(server) => {
                let age = server.age(now);
                let in_time = (-AHEAD_MAX_SECS..=AGE_MAX_SECS).contains(&age);
                let is_by =
                    |secret: &CookieSecret| self.hash(secret, &server.head, ip) == server.hash;
                match server.is_of_our_version() && in_time {
                    true if is_by(&secrets.current) && age <= RENEW_AFTER_SECS => {
                        return (CookieState::Good, self.full(server));
                    }
                    true if is_by(&secrets.current) || secrets.former.iter().any(is_by) => {
                        CookieState::Good
                    }
                    true | false => CookieState::Bad,
                }
            }
        };
        let [a, b, c, d] = now.to_be_bytes();
        let head = [VERSION, 0, 0, 0, a, b, c, d];
        let hash = self.hash(&secrets.current, &head, ip);
        (state, self.full(&ServerCookie { head, hash }))
    }

    fn full(&self, server: &ServerCookie) -> FullCookie {
        FullCookie { client: self.client, head: server.head, hash: server.hash }
    }

    /// RFC 9018 section 4.4: SipHash-2-4 over the client's cookie, the head and the address.
    fn hash(&self, secret: &CookieSecret, head: &[u8; HEAD_LEN], ip: IpAddr) -> [u8; HASH_LEN] {
        let mut hasher = SipHasher24::new_with_key(&secret.0);
        hasher.write(&self.client);
        hasher.write(head);
        match ip {
            IpAddr::V4(ip) => hasher.write(&ip.octets()),
            IpAddr::V6(ip) => hasher.write(&ip.octets()),
        }
        hasher.finish().to_le_bytes()
    }
}

// === impl ServerCookie ===

impl ServerCookie {
    fn is_of_our_version(&self) -> bool {
        self.head.first() == Some(&VERSION)
    }

    /// Seconds since it was made, by the arithmetic of serial numbers (RFC 1982), as RFC 9018
    /// section 4.3 has it; less than 0 for one from the future.
    fn age(&self, now: u32) -> i32 {
        let [_, _, _, _, made @ ..] = self.head;
        now.wrapping_sub(u32::from_be_bytes(made)).cast_signed()
    }
}

// === impl FullCookie ===

impl FullCookie {
    /// The option's data, in parts.
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [&self.client, &self.head, &self.hash]
    }
}

#[cfg(test)]
mod tests;
