//! Any question, and any packet: what a datagram gets at once is what a stream gets, and what it
//! would get after waiting for an upstream; and another parser reads it.
#![no_main]

use hickory_proto::op::Message;
use hubdns::answer::parity::{Parity, choose};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static PARITY: Parity = Parity::new().expect("a hub");
}

fuzz_target!(|choices: &[u8]| {
    let (packet, client) = choose(choices);
    let seed = u32::try_from(choices.len()).expect("a short input");
    let Some(replies) = PARITY.with(|parity| parity.ask(&packet, client, seed)) else { return };
    assert_eq!(replies.check(&packet, client), Ok(()), "{:02x?}", replies.datagram);
    for reply in [&replies.datagram, &replies.stream].into_iter().flatten() {
        // Another opcode than QUERY has sections of its own, and other parsers know not all of them.
        if reply[2] & 0x78 == 0 {
            Message::from_vec(reply).expect("another parser reads it");
        }
    }
});
