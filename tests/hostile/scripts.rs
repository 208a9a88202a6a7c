//! What hostile, broken and old upstreams do. Each script is a zone of the document.

use std::time::Duration;

use crate::{
    message::{A, Asked, CNAME, NS, SOA, TXT},
    upstream::{Act, Script, Tcp},
};

/// Every script by the name of its zone.
pub(crate) const SCRIPTS: &[(&str, Tcp, Script)] = &[
    ("honest", Tcp::Served, |asked| vec![right(asked)]),
    ("lost-first", Tcp::Served, |asked| match asked.nth {
        0 => vec![],
        _ => vec![right(asked)],
    }),
    ("silent", Tcp::Refused, |_| vec![]),
    ("late", Tcp::Served, |asked| match asked.nth {
        0 => vec![wait(1_500), right(asked)],
        _ => vec![],
    }),
    ("id", Tcp::Served, |asked| after(asked, changed(asked, |packet| packet[0] ^= 1))),
    ("name", Tcp::Served, |asked| after(asked, changed(asked, |packet| packet[13] ^= 1))),
    ("type", Tcp::Served, |asked| {
        let at = 12 + asked.name().len() + 1;
        let mut packet = asked.wrong().end();
        packet[at] = 28;
        after(asked, Act::Say(packet))
    }),
    ("class", Tcp::Served, |asked| {
        let at = 12 + asked.name().len() + 3;
        let mut packet = asked.wrong().end();
        packet[at] = 3;
        after(asked, Act::Say(packet))
    }),
    ("no-question", Tcp::Served, |asked| {
        let mut packet = asked.wrong().end();
        packet.drain(12..12 + asked.name().len() + 4);
        packet[5] = 0;
        after(asked, Act::Say(packet))
    }),
    ("query", Tcp::Served, |asked| after(asked, changed(asked, |packet| packet[2] &= 0x7f))),
    ("port", Tcp::Served, |asked| after(asked, Act::SayFromAnotherPort(asked.wrong().end()))),
    ("address", Tcp::Served, |asked| after(asked, Act::SayFromAnotherAddress(asked.wrong().end()))),
    ("spelling", Tcp::Served, |asked| match asked.nth {
        0 => after(asked, Act::Say(lower(asked).wrong().end())),
        _ => vec![],
    }),
    ("empty", Tcp::Served, |asked| after(asked, Act::Say(vec![]))),
    ("garbage", Tcp::Served, |asked| after(asked, Act::Say(vec![0xA5; 700]))),
    ("cut", Tcp::Served, |asked| {
        after(asked, changed(asked, |packet| packet.truncate(packet.len() - 14)))
    }),
    ("pointer-loop", Tcp::Served, |asked| {
        let itself = u16::try_from(asked.response().end().len()).unwrap_or(0) - 11;
        let pointer = (0xC000 | itself).to_be_bytes();
        let packet = asked.response().answer(&pointer, A, 60, &[203, 0, 113, 66]).end();
        after(asked, Act::Say(packet))
    }),
    ("bomb", Tcp::Served, bomb),
    ("two-answers", Tcp::Served, |asked| vec![right(asked), Act::Say(asked.wrong().end())]),
    ("folds", Tcp::Served, |asked| vec![right(&lower(asked))]),
    ("referral-first", Tcp::Served, |asked| vec![referral(asked), wait(150), right(asked)]),
    ("referral", Tcp::Served, |asked| vec![referral(asked)]),
    ("loop-first", Tcp::Served, |asked| vec![aliases(asked, 2, true), wait(150), right(asked)]),
    ("loop", Tcp::Served, |asked| vec![aliases(asked, 2, true)]),
    ("chain-8", Tcp::Served, |asked| vec![aliases(asked, 8, false)]),
    ("chain-20", Tcp::Served, |asked| vec![aliases(asked, 20, false)]),
    ("formerr-first", Tcp::Served, |asked| match asked.nth {
        0 => vec![bare(asked, 1), wait(150), right(asked)],
        _ => vec![],
    }),
    ("no-edns", Tcp::Served, |asked| match asked.has_opt() {
        true => vec![bare(asked, 1)],
        false => vec![right(asked)],
    }),
    ("notimp-edns", Tcp::Served, |asked| match asked.has_opt() {
        true => vec![Act::Say(asked.response().rcode(4).end())],
        false => vec![right(asked)],
    }),
    ("drops-edns", Tcp::Served, |asked| match asked.has_opt() {
        true => vec![],
        false => vec![right(asked)],
    }),
    ("drops-large", Tcp::Served, |asked| match (asked.by_tcp, asked.has_opt()) {
        (true, _) => vec![right(asked)],
        (false, true) => vec![],
        (false, false) => vec![Act::Say(asked.response().truncated().end())],
    }),
    ("false-beside-tc", Tcp::Served, |asked| match asked.by_tcp {
        true => vec![right(asked)],
        false => vec![Act::Say(asked.wrong().truncated().end())],
    }),
    ("large", Tcp::Served, large),
    ("tcp-refused", Tcp::Refused, |asked| vec![Act::Say(asked.response().truncated().end())]),
    ("tcp-closed", Tcp::Served, |asked| match asked.by_tcp {
        true => vec![],
        false => vec![Act::Say(asked.response().truncated().end())],
    }),
    ("tcp-slow", Tcp::Served, tcp_slow),
    ("tcp-length", Tcp::Served, |asked| match asked.by_tcp {
        true => vec![Act::Write([&[0xFF, 0xFF], asked.wrong().end().as_slice()].concat())],
        false => vec![Act::Say(asked.response().truncated().end())],
    }),
    ("tcp-id", Tcp::Served, |asked| match asked.by_tcp {
        true => vec![changed(asked, |packet| packet[0] ^= 1), right(asked)],
        false => vec![Act::Say(asked.response().truncated().end())],
    }),
    ("flood", Tcp::Served, |asked| match asked.by_tcp {
        true => vec![right(asked)],
        false => (0..40u8).map(|id| changed_id(asked, id)).collect(),
    }),
    ("alias", Tcp::Served, |asked| match asked.text().as_str() {
        "www.alias.test" => {
            let bank = asked.beside("bank");
            let answer = asked.response().answer(asked.name(), CNAME, 60, &bank);
            vec![Act::Say(answer.answer(&bank, A, 60, &[192, 0, 2, 7]).end())]
        }
        _ => vec![right(asked)],
    }),
    ("strangers", Tcp::Served, |asked| match asked.text().as_str() {
        "www.strangers.test" => {
            let (bank, false_address) = (asked.beside("bank"), [203, 0, 113, 66]);
            let answer = asked.response().answer(asked.name(), A, 60, &[192, 0, 2, 1]);
            let answer = answer.answer(&bank, A, 60, &false_address);
            let answer = answer.authority(&bank, NS, 60, &bank);
            vec![Act::Say(answer.additional(&bank, A, 60, &false_address).end())]
        }
        _ => vec![right(asked)],
    }),
    ("ttl", Tcp::Served, |asked| {
        let answer = asked.response().answer(asked.name(), A, 1 << 31, &[192, 0, 2, 1]);
        vec![Act::Say(answer.end())]
    }),
    ("servfail", Tcp::Served, |asked| {
        let error = b"\x00\x0f\x00\x0e\x00\x06expired key!";
        vec![Act::Say(asked.response().rcode(2).end_with(error))]
    }),
    ("refuses", Tcp::Served, |asked| vec![Act::Say(asked.response().rcode(5).end())]),
    ("absent", Tcp::Served, |asked| {
        let zone = asked.name()[usize::from(asked.name()[0]) + 1..].to_vec();
        let soa = [&[0, 0], [0u8; 19].as_slice(), &[60]].concat();
        vec![Act::Say(asked.response().rcode(3).authority(&zone, SOA, 60, &soa).end())]
    }),
];

fn right(asked: &Asked) -> Act {
    Act::Say(asked.right(1))
}

fn wait(millis: u64) -> Act {
    Act::Wait(Duration::from_millis(millis))
}

/// Something wrong, and a moment later the right answer.
fn after(asked: &Asked, wrong: Act) -> Vec<Act> {
    vec![wrong, wait(50), right(asked)]
}

/// The same query, had we not drawn its case.
fn lower(asked: &Asked) -> Asked {
    let lower = asked.packet[12..].to_ascii_lowercase();
    Asked { packet: [&asked.packet[..12], &lower].concat(), ..asked.clone() }
}

fn changed(asked: &Asked, change: fn(&mut Vec<u8>)) -> Act {
    let mut packet = asked.wrong().end();
    change(&mut packet);
    Act::Say(packet)
}

fn changed_id(asked: &Asked, by: u8) -> Act {
    let mut packet = asked.wrong().end();
    packet[0] ^= 0x80;
    packet[1] = by;
    Act::Say(packet)
}

/// A code and no question, as from a server that cannot read what it was sent.
fn bare(asked: &Asked, rcode: u8) -> Act {
    let mut packet = asked.response().rcode(rcode).end()[..12].to_vec();
    packet[4..].fill(0);
    Act::Say(packet)
}

fn referral(asked: &Asked) -> Act {
    let (zone, server) = (asked.beside("zone"), asked.beside("ns"));
    let zone = &zone[usize::from(zone[0]) + 1..];
    let message = asked.response().authority(zone, NS, 60, &server);
    Act::Say(message.additional(&server, A, 60, &[203, 0, 113, 66]).end())
}

/// So many aliases, which end in an address or begin anew.
fn aliases(asked: &Asked, steps: usize, in_a_circle: bool) -> Act {
    let name = |step: usize| match step {
        0 => asked.name().to_vec(),
        step if in_a_circle && step == steps => asked.name().to_vec(),
        step => asked.beside(&format!("step-{step}")),
    };
    let alias = |message: crate::message::Response, step| {
        message.answer(&name(step), CNAME, 60, &name(step + 1))
    };
    let message = (0..steps).fold(asked.response(), alias);
    let address = if in_a_circle { [203, 0, 113, 66] } else { [192, 0, 2, 1] };
    Act::Say(message.answer(&name(steps), A, 60, &address).end())
}

/// Names that are each a pointer at the one before, as many as a datagram holds: read without care,
/// the last takes a walk through all of them.
fn bomb(asked: &Asked) -> Vec<Act> {
    let (mut message, mut pointer) = (asked.response(), 0xC00Cu16);
    loop {
        let opt_len = if asked.has_opt() { 11 } else { 0 };
        let owner_at = u16::try_from(message.clone().end().len() - opt_len).unwrap();
        if 4_000 < owner_at {
            return after(asked, Act::Say(message.end()));
        }
        let owner = [&[1, b'a'], pointer.to_be_bytes().as_slice()].concat();
        message = message.answer(&owner, A, 60, &[203, 0, 113, 66]);
        pointer = 0xC000 | owner_at;
    }
}

fn large(asked: &Asked) -> Vec<Act> {
    if !asked.by_tcp {
        return vec![Act::Say(asked.response().truncated().end())];
    }
    let text = |nth: u8| [&[255], [b'a' + nth % 26; 254].as_slice(), &[nth]].concat();
    // 238 records of 268 octets, and the question before them.
    let message = (0..238)
        .fold(asked.response(), |message, nth| message.answer(&[0xC0, 12], TXT, 60, &text(nth)));
    vec![Act::Say(message.end())]
}

fn tcp_slow(asked: &Asked) -> Vec<Act> {
    if !asked.by_tcp {
        return vec![Act::Say(asked.response().truncated().end())];
    }
    let message = asked.right(1);
    let len = u16::try_from(message.len()).unwrap_or(0).to_be_bytes();
    let octets = [&len, message.as_slice()].concat();
    octets.chunks(8).flat_map(|part| [Act::Write(part.to_vec()), wait(100)]).collect()
}
