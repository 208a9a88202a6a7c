//! Draws questions, the same ones in every run, and writes them.

use std::fmt;

use crate::zones::{CHAINS, HOSTS, SIZES, SPECIAL};

/// A, AAAA, MX and so on to TLSA, then types that nobody knows.
const TYPES: &[u16] = &[
    1, 1, 1, 28, 28, 15, 16, 16, 2, 6, 33, 257, 65, 64, 43, 48, 5, 12, 35, 39, 46, 47, 50, 51, 52,
    13, 29, 99, 255, 65_534, 65_280, 4_242,
];
/// NULL, OPT, TKEY, TSIG, IXFR, AXFR, MAILB, MAILA, type 0: not for asking, or not of us.
const STRANGE_TYPES: &[u16] = &[10, 41, 249, 250, 251, 252, 253, 254, 0];

/// One question with all that is told beside it.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) name: String,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) opcode: u8,
    pub(crate) recursion_desired: bool,
    pub(crate) checking_disabled: bool,
    pub(crate) authentic_data: bool,
    pub(crate) edns: Option<Edns>,
}

#[derive(Clone)]
pub(crate) struct Edns {
    pub(crate) version: u8,
    pub(crate) size: u16,
    pub(crate) dnssec_ok: bool,
    pub(crate) unknown_option: bool,
}

/// A row of numbers that is the same everywhere (SplitMix64).
struct Draw(u64);

// === impl Draw ===

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let end = u64::try_from(end).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % end).unwrap()
    }

    /// True so many times of a hundred.
    fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// So many questions.
pub(crate) fn questions(count: usize, seed: u64) -> Vec<Question> {
    let mut draw = Draw(seed);
    (0..count).map(|_| question(&mut draw)).collect()
}

fn question(draw: &mut Draw) -> Question {
    let mut name = name(draw);
    if draw.percent(20) {
        let turned = |letter: char| match draw.percent(50) {
            true => letter.to_ascii_uppercase(),
            false => letter,
        };
        name = name.chars().map(turned).collect();
    }
    let edns = draw.percent(75).then(|| Edns {
        version: if draw.percent(1) { draw.one(&[1, 255]) } else { 0 },
        size: draw.one(&[0, 512, 800, 1_232, 1_232, 1_232, 4_096, 65_535]),
        dnssec_ok: draw.percent(40),
        unknown_option: draw.percent(8),
    });
    Question {
        name,
        rtype: if draw.percent(2) { draw.one(STRANGE_TYPES) } else { draw.one(TYPES) },
        class: if draw.percent(2) { draw.one(&[3, 4, 254, 255, 0, 7]) } else { 1 },
        opcode: if draw.percent(1) { draw.one(&[1, 2, 3, 4, 5, 6, 15]) } else { 0 },
        recursion_desired: !draw.percent(5),
        checking_disabled: draw.percent(10),
        authentic_data: draw.percent(20),
        edns,
    }
}

fn name(draw: &mut Draw) -> String {
    match draw.below(100) {
        0..35 => format!("host{}.compare.example", draw.below(HOSTS)),
        35..45 => format!("none{}.compare.example", draw.below(3_000)),
        45..52 => format!("w{}.wild.compare.example", draw.below(2_000)),
        52..60 => format!("chain{}.compare.example", 1 + draw.below(CHAINS)),
        60..70 => format!("size{}.compare.example", draw.one(&SIZES)),
        _ => draw.one(SPECIAL).to_owned(),
    }
}

// === impl Question ===

impl Question {
    /// The octets of the message.
    pub(crate) fn message(&self, id: u16) -> Vec<u8> {
        let mut octets = id.to_be_bytes().to_vec();
        octets.push(self.opcode << 3 | u8::from(self.recursion_desired));
        octets.push(u8::from(self.authentic_data) << 5 | u8::from(self.checking_disabled) << 4);
        octets.extend([0, 1, 0, 0, 0, 0, 0, u8::from(self.edns.is_some())]);
        octets.extend(self.question());
        if let Some(edns) = &self.edns {
            octets.extend([0, 0, 41]);
            octets.extend(edns.size.to_be_bytes());
            octets.extend([0, edns.version, u8::from(edns.dnssec_ok) << 7, 0]);
            // Of the range for local use (RFC 6891 section 9).
            let option: &[u8] = &[0xFD, 0xE9, 0, 3, 1, 2, 3];
            let options = if edns.unknown_option { option } else { &[] };
            octets.extend([0, u8::try_from(options.len()).unwrap()]);
            octets.extend(options);
        }
        octets
    }

    /// The octets of the question section.
    pub(crate) fn question(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for label in self.name.split('.').filter(|label| !label.is_empty()) {
            octets.push(u8::try_from(label.len()).unwrap());
            octets.extend(label.bytes());
        }
        octets.push(0);
        octets.extend(self.rtype.to_be_bytes());
        octets.extend(self.class.to_be_bytes());
        octets
    }
}

/// As a line for dig.
impl fmt::Display for Question {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, rtype, class, opcode, .. } = self;
        write!(out, "{name} TYPE{rtype} -c CLASS{class}")?;
        let flags = [
            (*opcode != 0, format!(" +opcode={opcode}")),
            (!self.recursion_desired, " +norec".to_owned()),
            (self.checking_disabled, " +cd".to_owned()),
            (!self.authentic_data, " +noad".to_owned()),
            (self.edns.is_none(), " +noedns".to_owned()),
        ];
        for (_, flag) in flags.iter().filter(|(set, _)| *set) {
            out.write_str(flag)?;
        }
        let Some(edns) = &self.edns else { return Ok(()) };
        write!(out, " +bufsize={}", edns.size)?;
        if edns.version != 0 {
            write!(out, " +edns={} +noednsneg", edns.version)?;
        }
        out.write_str(if edns.dnssec_ok { " +dnssec" } else { "" })?;
        out.write_str(if edns.unknown_option { " +ednsopt=65001:010203" } else { "" })
    }
}
