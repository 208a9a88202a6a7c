//! Writes a reply to a client.
//!
//! The question goes back as it was spelled, AA and whatever else the client set never do. A reply
//! that does not fit its transport becomes header, question and OPT with TC, and nothing half.

use std::time::Duration;

use crate::base::{ExtendedError, Rcode};

use super::{
    HEADER_LEN,
    cookie::{FULL_LEN as COOKIE_LEN, FullCookie, OPTION_COOKIE},
    put_u16, put_u32,
    query::{OPTION_HEAD_LEN, OPTION_KEEPALIVE, OPTION_NSID, OPTION_PADDING, Query, Reject},
    relay::{Hop, Relay},
    u32_at,
};

/// The largest datagram we send or take (DNS Flag Day 2020): 1280, the least MTU of IPv6, less 40
/// for its header and 8 for UDP's.
pub const UDP_PAYLOAD_MAX: u16 = 1232;
/// What a client without EDNS takes (RFC 1035 section 4.2.1).
const UDP_PAYLOAD_PLAIN: u16 = 512;
/// Extended errors in one reply, and octets of each one's words: with these an OPT takes at most
/// 11 + (4 + 24) + (4 + 255) + 4 * (6 + 152) octets, which together with header and the longest
/// question, 12 + 259, fits 1232. A client that takes less gets what there is room for.
pub(super) const ERRORS_MAX: usize = 4;
pub(super) const ERROR_TEXT_MAX: usize = 152;
/// Extended error (RFC 8914 section 2).
const OPTION_EDE: u16 = 15;
/// An OPT without options: owner, and a record's fixed part (RFC 6891 section 6.1.2).
const OPT_LEN: usize = 11;
/// Octets of the time that a keepalive tells (RFC 7828 section 3.1).
const KEEPALIVE_LEN: usize = 2;
/// Padded replies are a multiple of this long (RFC 8467 section 4.1).
const PADDING_BLOCK: usize = 468;
/// An extended error without words: the option's head and the error's code.
const ERROR_LEN: usize = OPTION_HEAD_LEN + 2;

/// How large a reply may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A datagram: what the client takes, at most [`UDP_PAYLOAD_MAX`].
    Datagram,
    /// A stream: what a length of 16 bits can say.
    Stream,
    /// A datagram of this many octets at most: a client that may be another gets a multiple of what
    /// was sent in its name.
    Unproven(u16),
    /// Nothing but what was asked and a cookie, with TC: the client should come by TCP.
    Question,
}

/// What a connection adds to the replies on it, where the client asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// How long it is kept when idle, in units of 100 ms (RFC 7828 section 3.1). Nothing for
    /// datagrams and for HTTP, which has its own words for that.
    pub keepalive: Option<u16>,
    /// Whether lengths are hidden, which is for encrypted ones alone (RFC 7830 section 6).
    pub padded: bool,
}

/// A reply being written.
#[must_use = "a reply is complete when it is finished"]
pub struct Reply<'q, 'o> {
    query: &'q Query<'q>,
    out: &'o mut Vec<u8>,
    counts: [u16; 3],
    channel: Channel,
    cookie: Option<FullCookie>,
}

// === impl Limit ===

impl Limit {
    /// The limit in octets for this query.
    fn octets(self, query: &Query<'_>) -> usize {
        // RFC 6891 section 6.2.3: less than 512 counts as 512.
        let datagram = query.edns.map_or(UDP_PAYLOAD_PLAIN, |edns| {
            edns.udp_size.clamp(UDP_PAYLOAD_PLAIN, UDP_PAYLOAD_MAX)
        });
        let size = match self {
            Limit::Stream => u16::MAX,
            Limit::Datagram => datagram,
            Limit::Unproven(most) => datagram.min(most),
            Limit::Question => 0,
        };
        usize::from(size)
    }
}

// === impl Reply ===

impl<'q, 'o> Reply<'q, 'o> {
    /// Begins a reply in `out`, which is emptied first.
    pub fn start(query: &'q Query<'q>, out: &'o mut Vec<u8>) -> Self {
        out.clear();
        out.resize(HEADER_LEN, 0);
        out.extend_from_slice(query.question());
        Self { query, out, counts: [0; 3], channel: Channel::default(), cookie: None }
    }

    /// Says what the reply goes through; without it, through what adds nothing.
    pub fn through(self, channel: Channel) -> Self {
        Self { channel, ..self }
    }

    /// Tells the cookie that answers the client's, which one without an OPT cannot have sent.
    pub fn cookie(&mut self, cookie: Option<FullCookie>) {
        self.cookie = cookie;
    }

    /// Adds `count` answer records that `write` appends, with owners as pointers into the message.
    pub fn answer(&mut self, count: u16, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.out);
        self.add(0, count);
    }

    /// Adds `count` authority records, likewise. No answer may follow.
    pub fn authority(&mut self, count: u16, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.out);
        self.add(1, count);
    }

    /// Adds all of an upstream's records, as old as they are.
    pub fn relay(&mut self, relay: &Relay, age: Age) {
        self.out.extend_from_slice(relay.records());
        for (section, count) in relay.counts().into_iter().enumerate() {
            self.add(section, count);
        }
        age.apply(relay.ttl_places(), self.out);
    }

    /// Adds an upstream's answer up to and with the alias of `hop`, and nothing behind it.
    pub fn relay_until(&mut self, relay: &Relay, hop: &Hop, age: Age) {
        let len = usize::from(hop.end).saturating_sub(self.out.len());
        self.out.extend_from_slice(relay.records().get(..len).unwrap_or_default());
        self.add(0, hop.answers);
        age.apply(relay.ttl_places(), self.out);
    }

    /// Completes the reply: header, OPT if the client sent one, and TC if it is too long.
    ///
    /// `validated` becomes AD when the client can read it. `nsid` is told when it was asked for.
    pub fn finish(
        mut self,
        rcode: Rcode,
        validated: bool,
        limit: Limit,
        nsid: &[u8],
        errors: &[ExtendedError],
    ) {
        let options = Options::new(nsid, self.cookie, errors, self.query, self.channel);
        let opt_len = if self.query.edns.is_some() { options.opt_len() } else { 0 };
        let limit = limit.octets(self.query);
        let too_long = limit < self.out.len().saturating_add(opt_len);
        if too_long {
            let head_len = HEADER_LEN.saturating_add(self.query.question().len());
            self.out.truncate(head_len);
            self.counts = [0; 3];
            self.opt(rcode, options.within(limit.saturating_sub(head_len)), limit);
        } else {
            self.opt(rcode, options, limit);
        }
        // Without an OPT there is no room for a code's upper bits, and half a code says another.
        let rcode = match self.query.edns {
            None if 0xF < rcode.0 => Rcode::SERVFAIL,
            Some(_) | None => rcode,
        };
        let understood = self.query.authentic_data || self.query.dnssec_ok();
        // QR and RA; RD and CD as they came (RFC 1035 section 4.1.1, RFC 4035 section 3.2.2).
        let flags = 0x8080
            | if self.query.recursion_desired { 0x0100 } else { 0 }
            | if self.query.checking_disabled { 0x0010 } else { 0 }
            | if too_long { 0x0200 } else { 0 }
            | if validated && understood { 0x0020 } else { 0 }
            | (rcode.0 & 0xF);
        put_header(self.out, self.query.id, flags, 1, self.counts);
    }

    fn add(&mut self, section: usize, count: u16) {
        if let Some(total) = self.counts.get_mut(section) {
            *total = total.saturating_add(count);
        }
    }

    /// Appends the OPT record, if the client sent one (RFC 6891 section 7).
    fn opt(&mut self, rcode: Rcode, mut options: Options<'_>, limit: usize) {
        let Some(edns) = self.query.edns else { return };
        if edns.wants_padding && self.channel.padded {
            let len = self.out.len().saturating_add(options.opt_len());
            options.padding = padding(len, limit);
        }
        put_opt(self.out, rcode, edns.dnssec_ok, options);
        self.add(2, 1);
    }
}

/// What an OPT carries.
#[derive(Clone, Copy, Debug)]
struct Options<'o> {
    nsid: Option<&'o [u8]>,
    keepalive: Option<u16>,
    cookie: Option<FullCookie>,
    errors: &'o [ExtendedError],
    /// Octets of an error's words at most.
    words_max: usize,
    /// Octets of padding, known once all else is. It takes no room from anything.
    padding: Option<u16>,
}

// === impl Options ===

impl<'o> Options<'o> {
    /// A cookie, if there is one, and nothing else.
    fn cookie(cookie: Option<FullCookie>) -> Self {
        Self { nsid: None, cookie, keepalive: None, errors: &[], words_max: 0, padding: None }
    }

    fn new(
        nsid: &'o [u8],
        cookie: Option<FullCookie>,
        errors: &'o [ExtendedError],
        query: &Query<'_>,
        channel: Channel,
    ) -> Self {
        Self {
            cookie,
            nsid: query.edns.filter(|edns| edns.wants_nsid).map(|_| nsid),
            // RFC 7828 section 3.3.2: to a client that speaks it.
            keepalive: channel.keepalive.filter(|_| query.edns.is_some_and(|e| e.wants_keepalive)),
            errors: errors.get(..ERRORS_MAX).unwrap_or(errors),
            words_max: ERROR_TEXT_MAX,
            padding: None,
        }
    }

    /// Octets of the OPT with these, but for padding.
    fn opt_len(&self) -> usize {
        let nsid = self.nsid.map_or(0, |nsid| OPTION_HEAD_LEN.saturating_add(nsid.len()));
        let keepalive = self.keepalive.map_or(0, |_| OPTION_HEAD_LEN.saturating_add(KEEPALIVE_LEN));
        let cookie = self.cookie.map_or(0, |_| OPTION_HEAD_LEN.saturating_add(COOKIE_LEN));
        let words = |error: &ExtendedError| floor_text(&error.text, self.words_max).len();
        let error = |error| ERROR_LEN.saturating_add(words(error));
        let errors = self.errors.iter().map(error).fold(0, usize::saturating_add);
        let told = nsid.saturating_add(cookie).saturating_add(keepalive);
        OPT_LEN.saturating_add(told).saturating_add(errors)
    }

    /// As much as an OPT of `room` octets holds: words go first, then errors from the last on,
    /// then the NSID. The cookie always has its place: 512 less 12 and 259 are
    /// enough for it. A keepalive stays: where there is one there is the room of a stream.
    fn within(mut self, room: usize) -> Self {
        if room < self.opt_len() {
            self.words_max = 0;
        }
        while let (true, [kept @ .., _]) = (room < self.opt_len(), self.errors) {
            self.errors = kept;
        }
        if room < self.opt_len() {
            self.nsid = None;
        }
        self
    }
}

/// How old an upstream's records are when they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// So much time has passed since they came.
    Passed(Duration),
    /// Past their time: each is told with this many seconds (RFC 8767 section 4).
    Stale(u32),
}

// === impl Age ===

impl Age {
    /// Just come.
    pub const NONE: Age = Age::Passed(Duration::ZERO);

    /// Rewrites the TTLs at `places` in a message.
    pub(super) fn apply(self, places: &[u16], message: &mut [u8]) {
        for place in places {
            let at = usize::from(*place);
            let Some(fresh) = u32_at(message, at) else { continue };
            let aged = match self {
                Age::Passed(age) => {
                    fresh.saturating_sub(u32::try_from(age.as_secs()).unwrap_or(u32::MAX))
                }
                Age::Stale(secs) => secs,
            };
            put_u32(message, at, aged);
        }
    }
}

/// Writes the reply to a query that has none but a code. Never longer than the query and an OPT.
pub fn write_reject(reject: &Reject<'_>, cookie: Option<FullCookie>, out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER_LEN, 0);
    out.extend_from_slice(reject.question);
    if reject.edns {
        put_opt(out, reject.rcode, false, Options::cookie(cookie));
    }
    let flags = 0x8080
        | (u16::from(reject.opcode) << 11)
        | if reject.recursion_desired { 0x0100 } else { 0 }
        | (reject.rcode.0 & 0xF);
    let questions = u16::from(!reject.question.is_empty());
    put_header(out, reject.id, flags, questions, [0, 0, u16::from(reject.edns)]);
}

fn put_header(out: &mut [u8], id: u16, flags: u16, questions: u16, counts: [u16; 3]) {
    let [answers, authorities, additionals] = counts;
    for (at, value) in
        [(0, id), (2, flags), (4, questions), (6, answers), (8, authorities), (10, additionals)]
    {
        put_u16(out, at, value);
    }
}

/// An OPT record of version 0: our size, the upper bits of the code, DO as the client set it
/// (RFC 3225 section 3), and options.
fn put_opt(out: &mut Vec<u8>, rcode: Rcode, dnssec_ok: bool, options: Options<'_>) {
    out.extend_from_slice(&[0, 0, 41]);
    out.extend_from_slice(&UDP_PAYLOAD_MAX.to_be_bytes());
    let upper = u8::try_from(rcode.0 >> 4).unwrap_or_default();
    out.extend_from_slice(&[upper, 0, if dnssec_ok { 0x80 } else { 0 }, 0]);
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    if let Some(nsid) = options.nsid {
        put_option(out, OPTION_NSID, &[nsid]);
    }
    if let Some(idle) = options.keepalive {
        put_option(out, OPTION_KEEPALIVE, &[&idle.to_be_bytes()]);
    }
    if let Some(cookie) = options.cookie {
        put_option(out, OPTION_COOKIE, &cookie.parts());
    }
    for error in options.errors {
        let words = floor_text(&error.text, options.words_max);
        put_option(out, OPTION_EDE, &[&error.code.0.to_be_bytes(), words.as_bytes()]);
    }
    if let Some(padding) = options.padding {
        put_padding(out, padding);
    }
    let length = out.len().saturating_sub(length_at).saturating_sub(2);
    put_u16(out, length_at, u16::try_from(length).unwrap_or_default());
}

fn put_option(out: &mut Vec<u8>, code: u16, parts: &[&[u8]]) {
    let length = parts.iter().fold(0usize, |all, part| all.saturating_add(part.len()));
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&u16::try_from(length).unwrap_or_default().to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Octets of padding for a message of `len` octets without that option: to the next multiple of the
/// block, or to the limit where that comes first; `None` where the option itself has no room.
fn padding(len: usize, limit: usize) -> Option<u16> {
    let least = len.saturating_add(OPTION_HEAD_LEN);
    let wanted = least.checked_next_multiple_of(PADDING_BLOCK)?.min(limit);
    u16::try_from(wanted.checked_sub(least)?).ok()
}

/// Padding says nothing: its octets are zero (RFC 7830 section 3).
pub(super) fn put_padding(out: &mut Vec<u8>, len: u16) {
    out.extend_from_slice(&OPTION_PADDING.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.resize(out.len().saturating_add(len.into()), 0);
}

/// As much of `text` as fits `max` octets without cutting a character.
pub(super) fn floor_text(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
