//! What we ask an upstream, and whether a packet is an answer to it.

use crate::base::{Name, Rcode, RecordType};

use super::{HEADER_LEN, put_u16, reply::UDP_PAYLOAD_MAX, u16_at};

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

/// The head of a message that answers what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// TC: there is more; ask again over TCP.
    pub truncated: bool,
    /// The lower four bits of the response code.
    pub rcode: Rcode,
}

// === impl Question ===

impl Question {
    /// Octets of the question section: the name, type and class.
    pub(super) fn wire_len(&self) -> usize {
        self.name.as_wire().len().saturating_add(4)
    }
}

// === impl Head ===

impl Head {
    /// The head of `message` if it answers `question` as it was sent with `id`: a response with
    /// that id and that one question. Anything else is somebody's mistake or an attack, and the
    /// right answer may still come (RFC 5452 section 9.1).
    pub fn read(question: &Question, id: u16, message: &[u8]) -> Option<Head> {
        let flags = u16_at(message, 2)?;
        let is_response = flags & 0x8000 != 0 && flags & 0x7800 == 0;
        if u16_at(message, 0)? != id || !is_response {
            return None;
        }
        let head = Head { truncated: flags & 0x0200 != 0, rcode: Rcode(flags & 0xF) };
        match u16_at(message, 4)? {
            1 => {
                let end = HEADER_LEN.checked_add(question.wire_len())?;
                let asked = message.get(HEADER_LEN..end)?;
                let (name, tail) = asked.split_at_checked(question.name.as_wire().len())?;
                let same = name.eq_ignore_ascii_case(question.name.as_wire())
                    && u16_at(tail, 0)? == question.rtype.0
                    && u16_at(tail, 2)? == 1;
                same.then_some(head)
            }
            // A server that could not read the question cannot repeat it.
            0 if matches!(head.rcode, Rcode::FORMERR | Rcode::NOTIMP) => Some(head),
            _ => None,
        }
    }
}

/// The query to send: RD, CD as asked, and an OPT with our size and DO as asked.
pub fn upstream_query(question: &Question, id: u16) -> Vec<u8> {
    let mut bytes = plain_query(question, id);
    put_u16(&mut bytes, 10, 1);
    bytes.extend([0, 0, 41]);
    bytes.extend(UDP_PAYLOAD_MAX.to_be_bytes());
    bytes.extend([0, 0, if question.dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
    bytes
}

/// The same without OPT, for a server that cannot read one (RFC 6891 section 6.2.2).
pub fn plain_query(question: &Question, id: u16) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    // RD. AD says that we understand it in the answer (RFC 6840 section 5.7).
    let flags = 0x0120 | if question.checking_disabled { 0x0010 } else { 0 };
    put_u16(&mut bytes, 0, id);
    put_u16(&mut bytes, 2, flags);
    put_u16(&mut bytes, 4, 1);
    bytes.extend(question.name.as_wire());
    bytes.extend(question.rtype.0.to_be_bytes());
    bytes.extend([0, 1]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{Head, Question, plain_query, upstream_query};
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

    #[test]
    fn what_we_ask_reads_back() {
        let bytes = upstream_query(&question(), 7);
        let Packet::Query(query) = Packet::read(&bytes) else { panic!("not a query") };
        assert_eq!((query.id, query.name(), query.rtype), (7, question().name, RecordType::AAAA));
        assert!(query.dnssec_ok() && query.checking_disabled && query.recursion_desired);
        assert_eq!(query.edns.unwrap().udp_size, 1232);
        let bytes = plain_query(&question(), 7);
        let Packet::Query(query) = Packet::read(&bytes) else { panic!("not a query") };
        assert_eq!((query.id, query.name(), query.edns), (7, question().name, None));
    }

    #[test]
    fn only_a_response_with_our_id_and_question_is_an_answer() {
        let mut answer = upstream_query(&question(), 7);
        assert_eq!(Head::read(&question(), 7, &answer), None, "a query is no answer");
        put_u16(&mut answer, 2, 0x8383);
        let head = Head { truncated: true, rcode: Rcode::NXDOMAIN };
        assert_eq!(Head::read(&question(), 7, &answer), Some(head));
        assert_eq!(Head::read(&question(), 8, &answer), None, "another id");
        answer[14].make_ascii_uppercase();
        assert_eq!(Head::read(&question(), 7, &answer), Some(head), "case does not count");
        answer[13] = b'b';
        assert_eq!(Head::read(&question(), 7, &answer), None, "another name");
        assert_eq!(Head::read(&question(), 7, &answer[..20]), None, "cut short");
    }
}
