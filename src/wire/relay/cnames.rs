//! CNAMEs of our own as a response, so that what an upstream says of their end can follow them.

use super::Relay;
use crate::{
    base::{Name, RecordType, Ttl},
    wire::{HEADER_LEN, put_u16, question::Question},
};

// === impl Relay ===

impl Relay {
    /// What a server would say to `question` that knows these CNAMEs, each with how long it may be
    /// kept, from the question's name on and nothing of where the last one leads. `None` if they
    /// go in a circle, or are more than a message can have.
    pub fn of_cnames<'n>(
        question: &Question,
        cnames: impl Iterator<Item = (&'n Name, Ttl)>,
    ) -> Option<Relay> {
        let mut message = vec![0; HEADER_LEN];
        message.extend_from_slice(question.name.as_wire());
        message.extend_from_slice(&question.rtype.0.to_be_bytes());
        message.extend_from_slice(&[0, 1]);
        let (mut owner, mut count) = (&question.name, 0u16);
        for (target, ttl) in cnames {
            message.extend_from_slice(owner.as_wire());
            message.extend_from_slice(&RecordType::CNAME.0.to_be_bytes());
            message.extend_from_slice(&[0, 1]);
            message.extend_from_slice(&ttl.as_secs().to_be_bytes());
            message.extend_from_slice(&u16::try_from(target.as_wire().len()).ok()?.to_be_bytes());
            message.extend_from_slice(target.as_wire());
            (owner, count) = (target, count.checked_add(1)?);
        }
        put_u16(&mut message, 4, 1);
        put_u16(&mut message, 6, count);
        Relay::read(question, &message).ok()
    }
}
