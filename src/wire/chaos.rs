//! A question to another server about itself, in class CH, and the text that it answers.

use std::str;

use domain::{
    base::{Message, Name as WireName, iana::Class},
    rdata::Txt,
};

use super::{HEADER_LEN, put_u16};
use crate::base::{Name, Rcode, RecordType};

/// The message that asks for the TXT of `name` in class CH.
pub fn chaos_query(id: u16, name: &Name) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    put_u16(&mut bytes, 0, id);
    put_u16(&mut bytes, 4, 1);
    bytes.extend_from_slice(name.as_wire());
    bytes.extend_from_slice(&RecordType::TXT.0.to_be_bytes());
    bytes.extend_from_slice(&Class::CH.to_int().to_be_bytes());
    bytes
}

/// What a message answers to that: its text, or the code of a refusal. `None` for a message that is
/// no answer to it, after which the right one may still come.
pub fn chaos_answer(id: u16, name: &Name, message: &[u8]) -> Option<Result<String, Rcode>> {
    let message = Message::from_slice(message).ok()?;
    let header = message.header();
    if header.id() != id || !header.qr() {
        return None;
    }
    let asked = message.sole_question().ok()?;
    let name = WireName::from_octets(name.as_wire()).ok()?;
    if *asked.qname() != name || asked.qclass() != Class::CH {
        return None;
    }
    let rcode = Rcode(header.rcode().to_int().into());
    if rcode != Rcode::NOERROR {
        return Some(Err(rcode));
    }
    let text = message.answer().ok()?.limit_to::<Txt<_>>().next()?.ok()?;
    let text: Vec<u8> = text.data().text();
    Some(Ok(str::from_utf8(&text).ok()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{chaos_answer, chaos_query};
    use crate::base::{Name, Rcode};

    fn answer(id: u16, name: &Name, rcode: u8, text: &str) -> Vec<u8> {
        let mut bytes = chaos_query(id, name);
        bytes[2] |= 0x80;
        bytes[3] = rcode;
        if !text.is_empty() {
            bytes[7] = 1;
            bytes.extend([0xC0, 0x0C, 0, 16, 0, 3, 0, 0, 0, 0]);
            let len = u8::try_from(text.len()).unwrap();
            bytes.extend([0, len + 1, len]);
            bytes.extend(text.bytes());
        }
        bytes
    }

    #[test]
    fn the_text_of_the_right_answer_is_told_and_of_no_other() {
        let name: Name = "hash.hubdns".parse().unwrap();
        let other: Name = "id.server".parse().unwrap();
        let good = answer(7, &name, 0, "0123");
        assert_eq!(chaos_answer(7, &name, &good), Some(Ok("0123".to_owned())));
        assert_eq!(chaos_answer(7, &name, &answer(7, &name, 5, "")), Some(Err(Rcode::REFUSED)));
        assert_eq!(chaos_answer(8, &name, &good), None);
        assert_eq!(chaos_answer(7, &other, &good), None);
        assert_eq!(chaos_answer(7, &name, &chaos_query(7, &name)), None, "a question");
        for end in 0..good.len() {
            let cut = chaos_answer(7, &name, good.get(..end).unwrap());
            assert!(!matches!(cut, Some(Ok(_))), "{end} octets of it");
        }
    }
}
