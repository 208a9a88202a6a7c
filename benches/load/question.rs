//! The questions of a measurement: names of four kinds, drawn by weight, each with what is expected.

use std::{fs, path::PathBuf};

use clap::Args;

/// ARCOUNT 1, one question, RD.
const HEADER: [u8; 12] = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
/// Type A, class IN, and an OPT for 1,232 octets.
const TAIL: [u8; 15] = [0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
/// Names that do not exist, each asked for again and again as a search list makes clients do.
const ABSENT: u64 = 100;
/// Digits of a number in a name.
const DIGITS: usize = 12;

/// How many in a hundred are of which kind.
#[derive(Args, Clone)]
pub(crate) struct Mix {
    /// Of the names in `names`
    #[arg(long, default_value_t = 0)]
    ours: usize,
    /// Of names that are asked for again
    #[arg(long, default_value_t = 0)]
    cached: usize,
    /// Of names that nobody asked for before
    #[arg(long, default_value_t = 0)]
    unique: usize,
    /// Of names that do not exist
    #[arg(long, default_value_t = 0)]
    absent: usize,
    /// A name a line
    #[arg(long)]
    names: Option<PathBuf>,
    /// How many names are asked for again
    #[arg(long, default_value_t = 500)]
    popular: u64,
    /// Where the numbers in unique names begin, in millions: another one for each turn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Ask for the popular names in their order, each once, in place of drawing
    #[arg(long)]
    in_order: bool,
}

/// What a name is.
#[derive(Clone, Copy)]
enum Kind {
    Ours,
    Cached,
    Unique,
    Absent,
}

/// Writes questions.
pub(crate) struct Questions {
    kinds: Vec<Kind>,
    /// The names as on the wire.
    names: Vec<Vec<u8>>,
    mix: Mix,
    unique: u64,
    popular: u64,
    drawn: u64,
}

/// What the answer has in its header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    Records,
    NxDomain,
}

// === impl Mix ===

impl Mix {
    /// The `part`-th generator of these questions.
    pub(crate) fn questions(&self, part: u64) -> Questions {
        let names = self.names.as_ref().map_or_else(Vec::new, |path| {
            fs::read_to_string(path).unwrap().lines().map(encoded).collect()
        });
        let weights = [
            (Kind::Ours, self.ours),
            (Kind::Cached, self.cached),
            (Kind::Unique, self.unique),
            (Kind::Absent, self.absent),
        ];
        let kinds = weights.iter().flat_map(|(kind, weight)| vec![*kind; *weight]).collect();
        let seed = (self.seed * 64 + part) * 1_000_000;
        // Any number but 0 will do for a generator of this kind.
        let drawn = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        Questions { kinds, names, mix: self.clone(), unique: seed, popular: 0, drawn }
    }
}

/// A name as on the wire.
pub(crate) fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.');
    let mut octets: Vec<u8> =
        labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    octets.push(0);
    octets
}

// === impl Questions ===

impl Questions {
    /// Writes the next question, with this id; tells its length and what is to be answered.
    pub(crate) fn write(&mut self, id: u16, out: &mut [u8]) -> (usize, Expected) {
        let drawn = self.draw();
        let kind = self.kinds[(drawn >> 32) as usize % self.kinds.len()];
        out[..12].copy_from_slice(&HEADER);
        out[..2].copy_from_slice(&id.to_be_bytes());
        let name_len = match kind {
            Kind::Ours => {
                let name = &self.names[(drawn & 0xFFFF_FFFF) as usize % self.names.len()];
                out[12..12 + name.len()].copy_from_slice(name);
                name.len()
            }
            Kind::Cached => {
                self.popular += 1;
                let number = if self.mix.in_order { self.popular } else { drawn & 0xFFFF_FFFF };
                numbered(number % self.mix.popular, b"\x06cached\x07example\0", &mut out[12..])
            }
            Kind::Unique => {
                self.unique += 1;
                numbered(self.unique, b"\x06unique\x07example\0", &mut out[12..])
            }
            Kind::Absent => numbered(drawn % ABSENT, b"\x04none\x07example\0", &mut out[12..]),
        };
        let end = 12 + name_len + TAIL.len();
        out[12 + name_len..end].copy_from_slice(&TAIL);
        let expected = match kind {
            Kind::Ours | Kind::Cached | Kind::Unique => Expected::Records,
            Kind::Absent => Expected::NxDomain,
        };
        (end, expected)
    }

    /// xorshift64*.
    fn draw(&mut self) -> u64 {
        self.drawn ^= self.drawn >> 12;
        self.drawn ^= self.drawn << 25;
        self.drawn ^= self.drawn >> 27;
        self.drawn.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// `h000000000123.` and the domain; tells the length.
fn numbered(mut number: u64, domain: &[u8], out: &mut [u8]) -> usize {
    out[0] = DIGITS as u8 + 1;
    out[1] = b'h';
    for digit in out[2..2 + DIGITS].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    let len = 2 + DIGITS + domain.len();
    out[2 + DIGITS..len].copy_from_slice(domain);
    len
}

// === impl Expected ===

impl Expected {
    /// Whether a response is what was to be answered.
    pub(crate) fn is(self, response: &[u8]) -> bool {
        let Some(&[flags, _, _, answers_high, answers_low]) = response.get(3..8) else {
            return false;
        };
        match (self, flags & 15) {
            (Self::Records, 0) => 0 < answers_high | answers_low,
            (Self::NxDomain, 3) => true,
            _ => false,
        }
    }
}
