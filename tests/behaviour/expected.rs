//! What a row expects, and how an answer differs from it.
//!
//! Whatever a row does not say is expected not to be there, so a short row is a strict one.

use crate::support::{DigAnswer, Record};

/// Octets of a UDP answer at most, whatever the client takes.
const UDP_MAX: usize = 1232;
/// What a client without EDNS takes.
const UDP_PLAIN: usize = 512;

/// What an upstream's own cache may take off a TTL while the document is asked: half a minute on a
/// quiet machine, twice that on a busy one.
const AGED_SECS: u32 = 120;
/// What lives less than this may be gone when it is asked for once more.
const FLEETING_SECS: u32 = 20;

/// A row's second cell, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// `NOERROR`, ...; empty for `nothing`.
    pub(crate) status: String,
    /// Every record of the answer section as (type, data).
    records: Vec<(String, String)>,
    /// `3 answers`, for packets.
    pub(crate) answers: Option<u16>,
    ttl: Option<u32>,
    /// As (owner, TTL, type).
    authority: Vec<(String, u32, String)>,
    ede: Option<(u16, Option<String>)>,
    nsid: Option<String>,
    tc: bool,
    pub(crate) no_question: bool,
    no_opt: bool,
    /// `OPT`, for packets.
    pub(crate) opt: bool,
    by_tcp: bool,
    /// Octets of the message.
    octets: Option<usize>,
    keepalive: Option<String>,
    /// The server that was asked for this row.
    pub(crate) forwarded: Option<String>,
    /// `from cache`: it was asked for an earlier row, and not again.
    pub(crate) cached: bool,
    /// Each address comes first when asked often enough.
    pub(crate) in_turn: bool,
    first: Option<String>,
}

/// What dig was given, as far as it decides what has to come back.
struct Asked<'a> {
    name: &'a str,
    words: Vec<&'a str>,
}

// === impl Expected ===

impl Expected {
    /// What dig has to show. Fails on a word that means nothing.
    pub(crate) fn of_dig(terms: &[String]) -> Result<Self, String> {
        let expected = Self::read(terms)?;
        match expected.opt || expected.answers.is_some() {
            true => Err("this is told of packets alone".to_owned()),
            false => Ok(expected),
        }
    }

    /// What a packet's answer has to be: a word that is looked for in dig's output alone is
    /// refused rather than passed over.
    pub(crate) fn of_packet(terms: &[String]) -> Result<Self, String> {
        let Self { status, answers, opt, no_question, .. } = Self::read(terms)?;
        let packets = Self { status, answers, opt, no_question, ..Self::default() };
        match packets == Self::read(terms)? {
            true => Ok(packets),
            false => Err(format!("{terms:?} has what is not looked at in a packet")),
        }
    }

    fn read(terms: &[String]) -> Result<Self, String> {
        let mut expected = Self::default();
        let (status, terms) = terms.split_first().ok_or("no code")?;
        match status.as_str() {
            "nothing" if terms.is_empty() => (),
            "NOERROR" | "NXDOMAIN" | "SERVFAIL" | "REFUSED" | "FORMERR" | "NOTIMP" | "BADVERS"
            | "BADCOOKIE" => {
                expected.status = status.clone();
            }
            other => return Err(format!("{other:?} is no code")),
        }
        for term in terms {
            let known = expected.word(term) || expected.figure(term) || expected.data(term);
            known.then_some(()).ok_or_else(|| format!("{term:?} means nothing"))?;
        }
        Ok(expected)
    }

    fn word(&mut self, term: &str) -> bool {
        let flag = match term {
            "tc" => &mut self.tc,
            "no question" => &mut self.no_question,
            "no OPT" => &mut self.no_opt,
            "OPT" => &mut self.opt,
            "by TCP" => &mut self.by_tcp,
            "from cache" => &mut self.cached,
            "in turn" => &mut self.in_turn,
            "forwarded" => {
                self.forwarded = Some("upstream".to_owned());
                return true;
            }
            _ => return false,
        };
        *flag = true;
        true
    }

    fn figure(&mut self, term: &str) -> bool {
        if let Some(count) = term.strip_suffix(" answers") {
            self.answers = count.parse().ok();
            return self.answers.is_some();
        }
        if let Some(octets) = term.strip_suffix(" octets") {
            self.octets = octets.parse().ok();
            return self.octets.is_some();
        }
        let Some((word, rest)) = term.split_once(' ') else { return false };
        match word {
            "ttl" => {
                self.ttl = rest.parse().ok();
                return self.ttl.is_some();
            }
            "first" => self.first = Some(rest.to_owned()),
            "NSID" => self.nsid = Some(rest.to_owned()),
            "keepalive" => self.keepalive = Some(rest.to_owned()),
            "authority" => match rest.split(' ').collect::<Vec<_>>()[..] {
                [owner, ttl, rtype] => {
                    let Ok(ttl) = ttl.parse() else { return false };
                    self.authority.push((owner.to_owned(), ttl, rtype.to_owned()));
                }
                _ => return false,
            },
            "forwarded" => {
                self.forwarded = rest.strip_prefix("to ").map(str::to_owned);
                return self.forwarded.is_some();
            }
            "EDE" => {
                let (code, text) = rest
                    .split_once(' ')
                    .map_or((rest, None), |(code, text)| (code, Some(text.to_owned())));
                self.ede = code.parse().ok().map(|code| (code, text));
                return self.ede.is_some();
            }
            _ => return false,
        }
        true
    }

    /// `A 10.0.0.1, 10.0.0.2`.
    fn data(&mut self, term: &str) -> bool {
        let types = ["A", "AAAA", "CNAME", "HINFO", "MX", "RRSIG", "SOA", "TXT"];
        let Some((rtype, data)) = term.split_once(' ') else { return false };
        let known = types.contains(&rtype);
        if known {
            let each = data.split(", ").map(|data| (rtype.to_owned(), data.to_owned()));
            self.records.extend(each);
        }
        known
    }

    /// The addresses of `in turn`.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.records.iter().map(|(_, data)| data.as_str())
    }

    /// Every way in which the answer to `args` is another.
    pub(crate) fn differences(&self, args: &str, answer: &DigAnswer) -> Vec<String> {
        let asked = Asked::read(args);
        let mut found = Vec::new();
        let mut same = |what: &str, is: String, should: String| {
            if is != should {
                found.push(format!("{what} is {is}, not {should}"));
            }
        };
        same("the code", answer.status.clone(), self.status.clone());
        same("the flags", answer.flags.join(" "), self.flags(&asked));
        same("the question", answer.question.join(" "), self.question(&asked));
        same("the answer", sorted(told(&answer.answer)), sorted(self.records.clone()));
        same("the authority", self.authority_as_told(answer), owned(&self.authority));
        same("the additional section", format!("{:?}", answer.additional), "[]".to_owned());
        same("the OPT", answer.edns.clone().unwrap_or_default(), self.edns(&asked));
        same("the EDE", ede(answer.ede, answer.ede_text.as_ref()), self.ede_text());
        same("the NSID", format!("{:?}", answer.nsid), format!("{:?}", self.nsid));
        let cookie = answer.cookie.is_some();
        same("a good cookie", cookie.to_string(), self.cookie(&asked).to_string());
        same("the keepalive", format!("{:?}", answer.keepalive), format!("{:?}", self.keepalive));
        let transport = if self.by_tcp { "TCP" } else { asked.transport() };
        same("it came by", answer.transport.clone(), transport.to_owned());
        if let Some(octets) = self.octets {
            same("its length", answer.size.to_string(), octets.to_string());
        }
        if let Some(ttl) = self.ttl {
            let ttls = answer.answer.iter().map(|record| record.ttl);
            let others: Vec<u32> = ttls.filter(|its| !self.may_be(*its, ttl)).collect();
            same(&format!("a TTL besides {ttl}"), format!("{others:?}"), "[]".to_owned());
        }
        if let Some(first) = &self.first {
            same("the first address", first_address(answer).to_owned(), first.clone());
        }
        if transport == "UDP" && asked.limit() < answer.size {
            found.push(format!("it has {} octets, at most {} fit", answer.size, asked.limit()));
        }
        found
    }

    /// What the same question is answered when it is asked once more, on a stream: the same, but
    /// from the cache, and the whole of it. None where only the first answer can be so, where a
    /// message's size is what the row is about, or where each question takes seconds.
    pub(crate) fn once_more_on_a_stream(&self) -> Option<Self> {
        let fleeting = self.forwarded.is_some() && self.ttl.is_some_and(|ttl| ttl < FLEETING_SECS);
        let waits = matches!(self.ede, Some((22 | 23, _)));
        let sized = self.tc || self.by_tcp || self.octets.is_some();
        if self.status.is_empty() || sized || fleeting || waits {
            return None;
        }
        Some(Self {
            cached: self.cached || self.forwarded.is_some(),
            forwarded: None,
            in_turn: false,
            ..self.clone()
        })
    }

    /// As dig prints them, in the header's order.
    fn flags(&self, asked: &Asked<'_>) -> String {
        // Where the packet is not even looked into, CD is not either.
        let cd = asked.has("+cdflag") && !self.no_question;
        let set =
            [("qr", true), ("tc", self.tc), ("rd", !asked.has("+norec")), ("ra", true), ("cd", cd)];
        set.iter().filter(|(_, set)| *set).map(|(flag, _)| *flag).collect::<Vec<_>>().join(" ")
    }

    fn question(&self, asked: &Asked<'_>) -> String {
        match self.no_question {
            true => String::new(),
            false => {
                let class = asked.behind("-c").unwrap_or("IN");
                format!("{}. {class} {}", asked.name, asked.words[1])
            }
        }
    }

    fn edns(&self, asked: &Asked<'_>) -> String {
        let dnssec_ok = if asked.has("+dnssec") { " do" } else { "" };
        match self.no_opt || asked.has("+noedns") {
            true => String::new(),
            false => format!("version: 0, flags:{dnssec_ok}; udp: {UDP_MAX}"),
        }
    }

    /// dig sends a cookie with its OPT, and one that cannot be read gets none.
    fn cookie(&self, asked: &Asked<'_>) -> bool {
        !self.edns(asked).is_empty() && !asked.has("+nocookie") && self.status != "FORMERR"
    }

    /// The answer's authority section, with a TTL that is as good as the expected one as that.
    fn authority_as_told(&self, answer: &DigAnswer) -> String {
        let mut told = Vec::new();
        for (at, record) in answer.authority.iter().enumerate() {
            let wanted = self.authority.get(at).map(|(_, ttl, _)| *ttl);
            let ttl = wanted.filter(|ttl| self.may_be(record.ttl, *ttl)).unwrap_or(record.ttl);
            told.push((record.name.clone(), ttl, record.rtype.clone()));
        }
        owned(&told)
    }

    /// Whether a TTL is the expected one, or an upstream's that has aged a little.
    fn may_be(&self, ttl: u32, wanted: u32) -> bool {
        let aged = if self.cached || self.forwarded.is_some() { AGED_SECS } else { 0 };
        wanted.saturating_sub(aged) <= ttl && ttl <= wanted
    }

    fn ede_text(&self) -> String {
        let text = self.ede.as_ref().and_then(|(_, text)| text.as_ref());
        ede(self.ede.as_ref().map(|(code, _)| *code), text)
    }
}

// === impl Asked ===

impl<'a> Asked<'a> {
    fn read(args: &'a str) -> Self {
        let words: Vec<&str> = args.split_whitespace().collect();
        Self { name: words[0], words }
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// What dig asks by.
    fn transport(&self) -> &'static str {
        let by = |word, name| self.has(word).then_some(name);
        by("+tcp", "TCP")
            .or(by("+tls", "TLS"))
            .or(by("+https", "HTTPS"))
            .or(by("+https-get", "HTTPS-GET"))
            .unwrap_or("UDP")
    }

    /// The word that follows an option.
    fn behind(&self, option: &str) -> Option<&'a str> {
        let at = self.words.iter().position(|word| *word == option)?;
        self.words.get(at + 1).copied()
    }

    /// Octets that the client takes over UDP.
    fn limit(&self) -> usize {
        let size = self.words.iter().find_map(|word| word.strip_prefix("+bufsize="));
        match (self.has("+noedns"), size.and_then(|size| size.parse::<usize>().ok())) {
            (true, _) => UDP_PLAIN,
            (false, Some(size)) => size.clamp(UDP_PLAIN, UDP_MAX),
            (false, None) => UDP_MAX,
        }
    }
}

/// The first A or AAAA of the answer section.
pub(crate) fn first_address(answer: &DigAnswer) -> &str {
    let mut addresses = answer.answer.iter().filter(|record| record.rtype.starts_with('A'));
    addresses.next().map_or("none", |record| record.data.as_str())
}

fn told(records: &[Record]) -> Vec<(String, String)> {
    records.iter().map(|record| (record.rtype.clone(), record.data.clone())).collect()
}

fn sorted(mut records: Vec<(String, String)>) -> String {
    records.sort();
    let each: Vec<String> = records.iter().map(|(rtype, data)| format!("{rtype} {data}")).collect();
    format!("[{}]", each.join("; "))
}

fn owned(records: &[(String, u32, String)]) -> String {
    let each = records.iter().map(|(owner, ttl, rtype)| format!("{owner} {ttl} {rtype}"));
    format!("[{}]", each.collect::<Vec<_>>().join("; "))
}

fn ede(code: Option<u16>, text: Option<&String>) -> String {
    match (code, text) {
        (None, _) => "none".to_owned(),
        (Some(code), None) => code.to_string(),
        (Some(code), Some(text)) => format!("{code} {text}"),
    }
}
