//! Any response of an upstream: what is kept of it can be told, tells of no name outside its chain,
//! and read again is the same.
#![no_main]

use hickory_proto::op::Message;
use hubdns::{
    base::{Name, RecordType},
    wire::{Age, Limit, Packet, Question, Relay, Reply},
};
use libfuzzer_sys::fuzz_target;

fn question(packet: &[u8]) -> Option<Question> {
    let Packet::Query(query) = Packet::read(packet) else { return None };
    (query.class == 1).then(|| query.asking().to_question())
}

/// What a client that asks `packet` is told.
fn told(packet: &[u8], relay: &Relay) -> Vec<u8> {
    let Packet::Query(query) = Packet::read(packet) else { unreachable!("it was read before") };
    let mut out = Vec::new();
    let mut reply = Reply::start(&query, &mut out);
    reply.relay(relay, Age::NONE);
    reply.finish(relay.rcode(), relay.validated(), Limit::Stream, b"", relay.errors());
    out
}

fuzz_target!(|response: &[u8]| {
    // Its own question makes the query: header, name, type and class, and an OPT that fits all.
    if response.len() < 12 {
        return;
    }
    let mut packet = response.to_vec();
    packet[2..4].copy_from_slice(&[0x01, 0x20]);
    packet[6..12].fill(0);
    let Some(question) = question(&packet) else { return };
    let Ok(relay) = Relay::read(&question, response) else { return };
    let out = told(&packet, &relay);
    if out[2] & 0x02 != 0 {
        return;
    }
    let Ok(message) = Message::from_vec(&out) else { return };
    let mut chain: Vec<Name> = vec![question.name.clone()];
    chain.extend(relay.hops().iter().map(|hop| hop.target.clone()));
    for record in &message.answers {
        let labels = record.name.iter().flat_map(|label| {
            let len = u8::try_from(label.len()).expect("a label");
            [&[len], label].concat()
        });
        let wire: Vec<u8> = labels.chain([0]).collect();
        let owner = Name::from_wire(&wire).expect("a name");
        let above = |name: &Name| name.is_within(&owner);
        let is_dname = |rtype| rtype == RecordType(39) || rtype == RecordType(46);
        let known = chain.contains(&owner)
            || (is_dname(RecordType(record.record_type().into())) && chain.iter().any(above));
        assert!(known, "{owner} is not on the chain");
    }
    // What we tell is a response as good as the first.
    let again = Relay::read(&question, &out).expect("what we tell can be read");
    assert_eq!(again.hops(), relay.hops());
    assert_eq!(told(&packet, &again), out);
    assert!(relay.lifetime().as_secs() <= 86_400);
});
