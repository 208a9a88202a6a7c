//! What we ask an upstream, and whether a packet is an answer to it.
//!
//! Pure: ids and spellings come in as arguments. It never looks at a record.

use equivalent::Equivalent;

use crate::base::{Name, Rcode, RecordType};

use super::{
    HEADER_LEN, put_u16,
    query::OPTION_HEAD_LEN,
    reply::{UDP_PAYLOAD_MAX, put_padding},
    u16_at,
};

/// A question of class IN with all that changes its answer: what the cache is keyed by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
    /// DO: with DNSSEC records.
    pub dnssec_ok: bool,
    /// CD: as it is, not validated.
    pub checking_disabled: bool,
}

/// A [`Question`] as a packet has it: what the cache is asked with, and nothing is allocated for.
// Its fields are hashed in the order of a question's, and so they hash alike.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Asking<'q> {
    /// The name in wire form and lower case.
    pub name_wire: &'q [u8],
    /// The type.
    pub rtype: RecordType,
    /// DO.
    pub dnssec_ok: bool,
    /// CD.
    pub checking_disabled: bool,
}

/// The head of a message that answers what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// TC: there is more; ask again over TCP.
    pub truncated: bool,
    /// The lower four bits of the response code.
    pub rcode: Rcode,
}

/// How a query is written, beside its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// With an OPT that tells our size and DO (RFC 6891). Without, for a server that cannot read
    /// one (section 6.2.2), DO cannot be asked for.
    pub edns: bool,
    /// Padded to whole blocks, where the way is encrypted (RFC 8467 section 4.1); wants `edns`.
    pub padded: bool,
}

/// Which octets of a name are written in upper case, a bit each: as long as the longest name.
pub type Spelling = [u8; 32];

/// A query on its way, and what a packet has to repeat to be its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    bytes: Vec<u8>,
    /// Where the question ends in `bytes`.
    question_end: usize,
    /// How it was written.
    pub form: Form,
    /// Whether the answer has to spell the name as we did (0x20).
    pub spelled: bool,
}

/// Why a packet is no answer to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Less than a header.
    Malformed,
    /// A query, or of another opcode.
    NotResponse,
    /// Another id.
    Id,
    /// Another name, type or class, or not one question.
    Question,
    /// All is right but the case of the name's letters.
    Spelling,
}

/// Octets of a query but for its name: header, type and class, an OPT without options.
const LEN_WITHOUT_NAME: usize = HEADER_LEN + 4 + 11;
/// Queries over an encrypted way are filled up to a multiple of this (RFC 8467 section 4.1).
const PADDING_BLOCK: usize = 128;

// === impl Question ===

impl Question {
    /// The same question of another name.
    pub fn of(&self, name: &Name) -> Question {
        Question { name: name.clone(), ..*self }
    }
}

// === impl Asking ===

impl Asking<'_> {
    /// The same as a value of its own.
    pub fn to_question(self) -> Question {
        Question {
            // Checked label by label when it was read; the root stands in for what cannot happen.
            name: Name::from_wire(self.name_wire).unwrap_or_else(|_| Name::root()),
            rtype: self.rtype,
            dnssec_ok: self.dnssec_ok,
            checking_disabled: self.checking_disabled,
        }
    }
}

impl<'q> From<&'q Question> for Asking<'q> {
    fn from(question: &'q Question) -> Self {
        let Question { name, rtype, dnssec_ok, checking_disabled } = question;
        Asking {
            name_wire: name.as_wire(),
            rtype: *rtype,
            dnssec_ok: *dnssec_ok,
            checking_disabled: *checking_disabled,
        }
    }
}

impl Equivalent<Question> for Asking<'_> {
    fn equivalent(&self, question: &Question) -> bool {
        self.name_wire == question.name.as_wire()
            && self.rtype == question.rtype
            && self.dnssec_ok == question.dnssec_ok
            && self.checking_disabled == question.checking_disabled
    }
}

// === impl Form ===

impl Form {
    /// With an OPT, as every upstream is asked first.
    pub const EDNS: Form = Form { edns: true, padded: false };
    /// Without.
    pub const PLAIN: Form = Form { edns: false, padded: false };
    /// Over TLS.
    pub const PADDED: Form = Form { edns: true, padded: true };
}

// === impl Sent ===

impl Sent {
    /// A query of class IN with RD, and CD as asked. With a `spelling` its name is written so, and
    /// an answer has to repeat that: a forger has to guess it beside id and port
    /// (draft-vixie-dnsext-dns0x20). Without, any spelling will do.
    pub fn new(question: &Question, id: u16, form: Form, spelling: Option<&Spelling>) -> Sent {
        let name = question.name.as_wire();
        let mut bytes = Vec::with_capacity(LEN_WITHOUT_NAME.saturating_add(name.len()));
        bytes.resize(HEADER_LEN, 0);
        // RD. AD says that we understand it in the answer (RFC 6840 section 5.7).
        let flags = 0x0120 | if question.checking_disabled { 0x0010 } else { 0 };
        put_u16(&mut bytes, 0, id);
        put_u16(&mut bytes, 2, flags);
        put_u16(&mut bytes, 4, 1);
        bytes.extend_from_slice(name);
        if let Some(bits) = spelling {
            // A label's length is below any letter, so only letters change.
            for (octet, is_upper) in bytes.iter_mut().skip(HEADER_LEN).zip(bits_of(bits)) {
                if is_upper {
                    octet.make_ascii_uppercase();
                }
            }
        }
        bytes.extend_from_slice(&question.rtype.0.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        let question_end = bytes.len();
        if form.edns {
            put_u16(&mut bytes, 10, 1);
            bytes.extend([0, 0, 41]);
            bytes.extend(UDP_PAYLOAD_MAX.to_be_bytes());
            bytes.extend([0, 0, if question.dnssec_ok { 0x80 } else { 0 }, 0]);
            let length_at = bytes.len();
            bytes.extend([0, 0]);
            if form.padded {
                let zeros = padding(bytes.len());
                put_padding(&mut bytes, zeros);
                let length = bytes.len().saturating_sub(length_at).saturating_sub(2);
                put_u16(&mut bytes, length_at, u16::try_from(length).unwrap_or_default());
            }
        }
        Sent { bytes, question_end, form, spelled: spelling.is_some() }
    }

    /// The message.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The head of `message` if it answers this: a response with the id and the one question that
    /// were sent. Anything else is somebody's mistake or an attack, and the right answer may still
    /// come (RFC 5452 section 9.1).
    pub fn judge(&self, message: &[u8]) -> Result<Head, Mismatch> {
        if u16_at(&self.bytes, 0) != Some(response_id(message)?) {
            return Err(Mismatch::Id);
        }
        let header = |at| u16_at(message, at).ok_or(Mismatch::Malformed);
        let (flags, questions) = (header(2)?, header(4)?);
        let head = Head { truncated: flags & 0x0200 != 0, rcode: Rcode(flags & 0xF) };
        // A server that could not read the question cannot repeat it.
        if questions == 0 && matches!(head.rcode, Rcode::FORMERR | Rcode::NOTIMP) {
            return Ok(head);
        }
        let [ours, theirs] = [self.bytes.as_slice(), message]
            .map(|bytes| bytes.get(HEADER_LEN..self.question_end).unwrap_or_default());
        match questions {
            1 if !ours.is_empty() && ours == theirs => Ok(head),
            1 if same_question(ours, theirs) => match self.spelled {
                true => Err(Mismatch::Spelling),
                false => Ok(head),
            },
            _ => Err(Mismatch::Question),
        }
    }
}

/// The id of a message that is a response.
pub fn response_id(message: &[u8]) -> Result<u16, Mismatch> {
    let header = message.get(..HEADER_LEN).ok_or(Mismatch::Malformed)?;
    let field = |at| u16_at(header, at).ok_or(Mismatch::Malformed);
    let (id, flags) = (field(0)?, field(2)?);
    match flags & 0x8000 == 0 || flags & 0x7800 != 0 {
        true => Err(Mismatch::NotResponse),
        false => Ok(id),
    }
}

/// Whether two questions differ in the case of their letters at most.
fn same_question(ours: &[u8], theirs: &[u8]) -> bool {
    let name_len = ours.len().saturating_sub(4);
    let (Some((our_name, our_tail)), Some((their_name, their_tail))) =
        (ours.split_at_checked(name_len), theirs.split_at_checked(name_len))
    else {
        return false;
    };
    !our_name.is_empty() && our_name.eq_ignore_ascii_case(their_name) && our_tail == their_tail
}

fn bits_of(spelling: &Spelling) -> impl Iterator<Item = bool> {
    spelling.iter().flat_map(|octet| (0u32..8).map(move |bit| octet.wrapping_shr(bit) & 1 == 1))
}

/// Octets of padding for a message that has `len` octets without that option.
fn padding(len: usize) -> u16 {
    let least = len.saturating_add(OPTION_HEAD_LEN);
    let zeros = least.next_multiple_of(PADDING_BLOCK).saturating_sub(least);
    u16::try_from(zeros).unwrap_or_default()
}

/// A query as tests write one: with an OPT, in lower case.
#[cfg(test)]
pub(crate) fn upstream_query(question: &Question, id: u16) -> Vec<u8> {
    Sent::new(question, id, Form::EDNS, None).bytes
}

#[cfg(test)]
mod tests {
    use super::{Form, Head, Mismatch, Question, Sent, upstream_query};
    use crate::base::{Rcode, RecordType};
    use crate::wire::{Packet, put_u16};

    fn question() -> Question {
        Question {
            name: "a.example".parse().unwrap(),
            rtype: RecordType::AAAA,
            dnssec_ok: true,
            checking_disabled: true,
        }
    }

    /// What a server makes of a query that it answers: the same with QR, RA and a code.
    fn answered(sent: &Sent, flags: u16) -> Vec<u8> {
        let mut answer = sent.bytes().to_vec();
        put_u16(&mut answer, 2, flags);
        answer
    }

    #[test]
    fn what_we_ask_reads_back() {
        let bytes = upstream_query(&question(), 7);
        let Packet::Query(query) = Packet::read(&bytes) else { panic!("not a query") };
        assert_eq!(
            (query.id, query.asking().to_question().name, query.rtype),
            (7, question().name, RecordType::AAAA)
        );
        assert!(query.dnssec_ok() && query.checking_disabled && query.recursion_desired);
        assert_eq!(query.edns.unwrap().udp_size, 1232);
        let plain = Sent::new(&question(), 7, Form::PLAIN, Some(&[0xFF; 32]));
        let Packet::Query(query) = Packet::read(plain.bytes()) else { panic!("not a query") };
        assert_eq!(
            (query.id, query.asking().to_question().name, query.edns),
            (7, question().name, None)
        );
        assert_eq!(&plain.bytes()[12..23], b"\x01A\x07EXAMPLE\0");
    }

    #[test]
    fn over_an_encrypted_way_every_query_is_a_multiple_of_128_octets() {
        for labels in 1..60 {
            let name = "abc.".repeat(labels);
            let question = Question { name: name.parse().unwrap(), ..question() };
            let sent = Sent::new(&question, 7, Form::PADDED, None);
            assert_eq!(sent.bytes().len() % 128, 0, "{labels} labels");
            let Packet::Query(query) = Packet::read(sent.bytes()) else { panic!("not a query") };
            assert!(query.edns.is_some() && query.dnssec_ok());
        }
    }

    #[test]
    fn only_a_response_with_our_id_and_question_is_an_answer() {
        let sent = Sent::new(&question(), 7, Form::EDNS, None);
        assert_eq!(sent.judge(sent.bytes()), Err(Mismatch::NotResponse));
        assert_eq!(sent.judge(&answered(&sent, 0x8800)), Err(Mismatch::NotResponse), "IQUERY");
        let mut answer = answered(&sent, 0x8383);
        let head = Head { truncated: true, rcode: Rcode::NXDOMAIN };
        assert_eq!(sent.judge(&answer), Ok(head));
        let other = Sent::new(&question(), 8, Form::EDNS, None);
        assert_eq!(other.judge(&answer), Err(Mismatch::Id));
        answer[14].make_ascii_uppercase();
        assert_eq!(sent.judge(&answer), Ok(head), "case does not count when none was asked for");
        for at in [13, 24, 26] {
            let mut answer = answer.clone();
            answer[at] ^= 3;
            assert_eq!(sent.judge(&answer), Err(Mismatch::Question), "name, type, class: {at}");
        }
        assert_eq!(sent.judge(&answer[..20]), Err(Mismatch::Question), "cut short");
        assert_eq!(sent.judge(&answer[..11]), Err(Mismatch::Malformed));
        assert_eq!(sent.judge(&[]), Err(Mismatch::Malformed));
        put_u16(&mut answer, 4, 2);
        assert_eq!(sent.judge(&answer), Err(Mismatch::Question), "two questions");
    }

    #[test]
    fn a_name_spelled_in_random_case_has_to_come_back_so() {
        let sent = Sent::new(&question(), 7, Form::EDNS, Some(&[0b1010_1010; 32]));
        let answer = answered(&sent, 0x8180);
        assert!(sent.judge(&answer).is_ok());
        let lower = answered(&Sent::new(&question(), 7, Form::EDNS, None), 0x8180);
        assert_eq!(sent.judge(&lower), Err(Mismatch::Spelling));
        let mut other = lower;
        other[13] = b'b';
        assert_eq!(sent.judge(&other), Err(Mismatch::Question));
    }

    #[test]
    fn a_server_that_cannot_read_the_question_need_not_repeat_it() {
        let sent = Sent::new(&question(), 7, Form::EDNS, Some(&[0xFF; 32]));
        let bare = |rcode: u8| [0, 7, 0x81, 0x80 | rcode, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(sent.judge(&bare(1)).is_ok() && sent.judge(&bare(4)).is_ok());
        assert_eq!(sent.judge(&bare(0)), Err(Mismatch::Question));
        assert_eq!(sent.judge(&bare(2)), Err(Mismatch::Question));
    }
}
