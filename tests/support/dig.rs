//! Asks by the real dig, and reads what it prints.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
};

/// What dig says of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigAnswer {
    /// `NOERROR`, `NXDOMAIN`, ...
    pub status: String,
    /// `qr`, `rd`, `ra`, `aa`, `ad`, `cd`, `tc`.
    pub flags: Vec<String>,
    /// The question's name, type and class as the server repeated it.
    pub question: Vec<String>,
    /// The answer section.
    pub answer: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section without OPT.
    pub additional: Vec<Record>,
    /// The line after `; EDNS:`; `None` when there was no OPT.
    pub edns: Option<String>,
    /// The code of an extended error (RFC 8914).
    pub ede: Option<u16>,
    /// The text of an extended error.
    pub ede_text: Option<String>,
    /// The text of NSID (RFC 5001), when it was asked for.
    pub nsid: Option<String>,
    /// Our half of the DNS cookie in hexadecimal, when dig found the whole good: it begins with
    /// dig's own half.
    pub cookie: Option<String>,
    /// The idle time of a keepalive (RFC 7828), as in `10.0 secs`.
    pub keepalive: Option<String>,
    /// `UDP`, `TCP`, `TLS`, `HTTPS` or `HTTPS-GET`: what the answer came by.
    pub transport: String,
    /// Bytes of the message.
    pub size: usize,
    /// All that dig printed.
    pub raw: String,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The owner, with its last dot.
    pub name: String,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The type.
    pub rtype: String,
    /// The data as dig prints it.
    pub data: String,
}

/// Asks 127.0.0.1 at `port`: `dig(port, "sqs.eu-west-1.amazonaws.com A +norecurse")`.
/// Panics when there is no answer.
#[track_caller]
pub fn dig(port: u16, args: &str) -> DigAnswer {
    dig_at((Ipv4Addr::LOCALHOST, port).into(), args)
}

/// Asks any server. Panics when there is no answer.
#[track_caller]
pub fn dig_at(server: SocketAddr, args: &str) -> DigAnswer {
    try_dig(server, args).unwrap_or_else(|printed| panic!("dig {args} at {server}: {printed}"))
}

/// The answer, or what dig printed when there was none within two seconds.
pub fn try_dig(server: SocketAddr, args: &str) -> Result<DigAnswer, String> {
    let output = Command::new("dig")
        // -r: not the user's .digrc.
        .args(["-r", "-p", &server.port().to_string()])
        .arg(format!("@{}", server.ip()))
        .args(["+tries=1", "+timeout=2", "+noall", "+comments", "+question"])
        .args(["+answer", "+authority", "+additional", "+stats"])
        .args(args.split_whitespace())
        .output()
        .expect("dig is installed: run tests/setup.sh");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() && printed.contains("status: ") {
        true => Ok(DigAnswer::read(printed)),
        false => Err(printed + &String::from_utf8_lossy(&output.stderr)),
    }
}

// === impl DigAnswer ===

impl DigAnswer {
    /// The data of the answer's records of one type, sorted.
    pub fn data(&self, rtype: &str) -> Vec<&str> {
        let of_type = self.answer.iter().filter(|record| record.rtype == rtype);
        let mut data: Vec<&str> = of_type.map(|record| record.data.as_str()).collect();
        data.sort_unstable();
        data
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|set| set == flag)
    }

    fn read(raw: String) -> Self {
        let mut read = Self::default();
        let mut section = "";
        for line in raw.lines() {
            if let Some(heading) = line.strip_suffix(" SECTION:") {
                section = heading.trim_start_matches(";; ");
            } else if let Some(rest) = line.strip_prefix(";; ->>HEADER<<-") {
                read.status = between(rest, "status: ", ",").to_owned();
            } else if let Some(rest) = line.strip_prefix(";; flags: ") {
                let flags = between(rest, "", ";");
                read.flags = flags.split_whitespace().map(str::to_owned).collect();
            } else if line.is_empty() {
                // Else what dig says at its end would be taken for a question.
                section = "";
            } else if line.starts_with(';') {
                read.comment(section, line);
            } else if let Some(record) = Record::read(line) {
                match section {
                    "ANSWER" => read.answer.push(record),
                    "AUTHORITY" => read.authority.push(record),
                    _ => read.additional.push(record),
                }
            }
        }
        read.raw = raw;
        read
    }

    fn comment(&mut self, section: &str, line: &str) {
        if let Some(rest) = line.strip_prefix("; EDNS: ") {
            self.edns = Some(rest.to_owned());
        } else if let Some(rest) = line.strip_prefix("; EDE: ") {
            let code = rest.split(' ').next().and_then(|code| code.parse().ok());
            self.ede = code;
            // `18 (Prohibited): (not one of our clients)`: the last part is the server's.
            let text = rest.split_once("): (").map(|(_, text)| text);
            self.ede_text = text.map(|text| text.trim_end_matches(')').to_owned());
        } else if let Some(rest) = line.strip_prefix("; NSID: ") {
            self.nsid = Some(between(rest, "(\"", "\")").to_owned());
        } else if let Some(rest) = line.strip_prefix("; TCP KEEPALIVE: ") {
            self.keepalive = Some(rest.to_owned());
        } else if let Some(rest) = line.strip_prefix("; COOKIE: ") {
            let whole = rest.strip_suffix(" (good)").and_then(|cookie| cookie.get(16..));
            self.cookie = whole.map(str::to_owned);
        } else if let Some(rest) = line.strip_prefix(";; SERVER: ") {
            self.transport = rest.rsplit('(').next().unwrap_or("").trim_end_matches(')').to_owned();
        } else if let Some(rest) = line.strip_prefix(";; MSG SIZE  rcvd: ") {
            self.size = rest.parse().unwrap_or(0);
        } else if let ("QUESTION", Some(rest)) = (section, line.strip_prefix(';')) {
            self.question = rest.split_whitespace().map(str::to_owned).collect();
        }
    }
}

// === impl Record ===

impl Record {
    /// A record as `name ttl class type data`; `None` for a blank line.
    fn read(line: &str) -> Option<Self> {
        let mut rest = line;
        let mut word = || {
            let text = rest.trim_start();
            let end = text.find(char::is_whitespace).unwrap_or(text.len());
            rest = &text[end..];
            &text[..end]
        };
        let (name, ttl, _class, rtype) = (word(), word(), word(), word());
        Some(Self {
            name: name.to_owned(),
            ttl: ttl.parse().ok()?,
            rtype: rtype.to_owned(),
            data: rest.trim().to_owned(),
        })
    }
}

/// What stands between two marks; all that follows where the second is missing.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).map_or(text.len(), |at| at + from.len());
    let rest = &text[start..];
    &rest[..rest.find(to).unwrap_or(rest.len())]
}
