//! One question by every way that it can be answered: for tests and for a fuzz target.
//!
//! What a datagram gets at once has to be what the same question gets on a stream, and what it would
//! get if it had waited for an upstream.

use std::{
    iter,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use tokio::{
    runtime::{self, Runtime},
    sync::watch,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::sender::FORGED_TIMES;
use super::{About, Cookies, Exempt, Responder, Settings, Step};
use crate::{
    base::{Az, Name, Pattern, RecordType, Ttl, TtlBounds, is_private},
    forward::{
        BudgetConfig, CacheConfig, CaseRandomization, ForwardConfig, ForwardZone, Forwarder, Key,
        Trust, ViewForward,
    },
    policy::{
        Address, Claim, ClientZone, CnameClaim, DeclinedList, Origin, Plan, PolicyConfig,
        ViewConfig, ViewPlan, ZoneBy, without,
    },
    table::{Publisher, channel, compile},
    telemetry::{Metrics, Proto},
    wire::{Question, Relay},
};

/// Names that are ours, that the cache has, that lead from one to the other, and that nobody has.
const NAMES: [&str; 17] = [
    "sqs.eu-west-1.amazonaws.com",
    "1234.dkr.ecr.eu-west-1.amazonaws.com",
    "a.example",
    "none.example",
    "alias.example",
    "ours.example",
    "open.example",
    "long.example",
    "nobody.example",
    "id.server",
    "version.bind",
    ".",
    "queue.hub",
    "x.wide.hub",
    "away.hub",
    "gone.hub",
    "back.example",
];
const TYPES: [u16; 8] = [1, 28, 5, 6, 16, 43, 255, 252];
const CLIENTS: [&str; 5] =
    ["10.9.9.9:999", "10.1.0.7:40000", "10.2.0.7:40000", "192.0.2.1:53", "203.0.113.5:40000"];
const LISTENER: &str = "10.0.0.10:53";
/// Has upstreams of its own, and others again for one zone, which have said something else.
const OWN_VIEW: &str = "onprem";
/// Its addresses are left out.
const DRAINED: &str = "eu-west-1c";
/// Options that a client may send: an NSID, a cookie, a keepalive, padding, and one nobody knows.
const OPTIONS: [&[u8]; 5] = [
    b"\x00\x03\x00\x00",
    b"\x00\x0a\x00\x08cookie!!",
    b"\x00\x0b\x00\x00",
    b"\x00\x0c\x00\x04\x00\x00\x00\x00",
    b"\xff\xdc\x00\x02ab",
];

/// A hub with a table and a filled cache, and no upstream.
pub struct Parity {
    responder: Responder,
    runtime: Runtime,
    _publisher: Publisher,
    _settings: watch::Sender<Arc<Settings>>,
}

/// The answers to one question; `None` for silence.
pub struct Replies {
    /// By UDP.
    pub datagram: Option<Vec<u8>>,
    /// By TCP, where nothing needs to be cut.
    pub stream: Option<Vec<u8>>,
    /// By UDP as if an upstream had been waited for; `None` as well if the name is ours, or the
    /// question is none that is forwarded.
    pub waited: Option<Vec<u8>>,
}

/// A packet and its sender that these octets choose: any packet, or one of the questions that there
/// is something to be told to.
pub fn choose(choices: &[u8]) -> (Vec<u8>, SocketAddr) {
    let mut choices = choices.iter().copied();
    let mut next = || choices.next().unwrap_or_default();
    let [name, rtype, class, flags, client, size, case, options] = [(); 8].map(|()| next());
    let client = client_at(client);
    if name == u8::MAX {
        return (choices.collect(), client);
    }
    let has = |bit: u8| u16::from(flags >> bit & 1);
    // RD, AD and CD; one opcode that is none of ours.
    let head = [0x0100 * has(0), 0x0020 * has(1), 0x0010 * has(2), 0x2800 * (has(3) & has(4))];
    let head = head.iter().fold(0, |head, bit| head | bit);
    let mut packet = vec![0xAB, 0xCD];
    packet.extend(head.to_be_bytes());
    packet.extend([0, 1, 0, 0, 0, 0, 0, u8::from(flags & 0x20 != 0)]);
    let name = name_of(NAMES[usize::from(name) % NAMES.len()]);
    packet.extend(name.as_wire().iter().enumerate().map(|(at, octet)| {
        match case >> (at % 8) & 1 {
            1 => octet.to_ascii_uppercase(),
            _ => *octet,
        }
    }));
    packet.extend(TYPES[usize::from(rtype) % TYPES.len()].to_be_bytes());
    packet.extend(if class < 200 { [0, 1] } else { [0, 3] });
    if flags & 0x20 != 0 {
        let mut told: Vec<u8> = (0..OPTIONS.len())
            .filter(|at| options >> at & 1 == 1)
            .flat_map(|at| OPTIONS[at].to_vec())
            .collect();
        told.extend(choices);
        packet.extend([0, 0, 41]);
        packet.extend((u16::from(size) * 16).to_be_bytes());
        packet.extend([0, u8::from(options == u8::MAX), (flags & 0x40) << 1, 0]);
        packet.extend(u16::try_from(told.len()).unwrap_or_default().to_be_bytes());
        packet.extend(told);
    }
    (packet, client)
}

// === impl Replies ===

impl Replies {
    /// What of them is not as it should be, for this packet of this client's: they are one answer,
    /// and a datagram is cut only where it has to be.
    pub fn check(&self, packet: &[u8], client: SocketAddr) -> Result<(), &'static str> {
        let Replies { datagram, stream, waited } = self;
        if datagram.is_some() && waited.is_some() && datagram != waited {
            return Err("after waiting it is another");
        }
        let (Some(datagram), Some(stream)) = (datagram, stream) else { return Ok(()) };
        let is_public = !is_private(client.ip());
        let multiple = FORGED_TIMES * packet.len();
        let least = if is_public { multiple.min(512) } else { 512 };
        match datagram.get(2).is_some_and(|flags| flags & 2 != 0) {
            _ if is_public && multiple < datagram.len() => {
                Err("it is too large for an address that may be forged")
            }
            true if stream.len() <= least => Err("what was cut would have fitted"),
            false if datagram != stream => Err("by TCP it is another"),
            true | false => Ok(()),
        }
    }
}

// === impl Parity ===

impl Parity {
    /// `None` for a mistake of ours in what it knows.
    pub fn new() -> Option<Parity> {
        let metrics = Arc::new(Metrics::new().ok()?);
        let forwarder = Forwarder::new(forward(), Trust::default(), Arc::clone(&metrics));
        for (view, last) in [(PolicyConfig::REST_VIEW, 1), (OWN_VIEW, 101)] {
            for (question, message) in cached(last)? {
                let realm = forwarder.realm(&view.into(), question.name.as_wire());
                let relay = Relay::read(&question, &message).ok()?;
                forwarder.keep(Key { realm, question }, relay);
            }
        }
        let (settings, seen) = watch::channel(Arc::new(Settings {
            forwarder,
            identity: Arc::from(*b"hub-a"),
            cookies: Cookies::random(|| 1_700_000_000),
            exempt: Exempt::default(),
            rates: None,
            about: About { version: None, identity: Some("hub-a".into()) },
            observers: Arc::new(crate::querylog::Observers::nobody()),
        }));
        let (mut publisher, table) = channel();
        let (plan, config) = policy()?;
        let plan = without(plan, &|_| false, &|az| az.is_called(DRAINED));
        publisher.publish(compile(plan, &config));
        Some(Parity {
            responder: Responder::new(table, seen, metrics),
            runtime: runtime::Builder::new_current_thread().enable_time().build().ok()?,
            _publisher: publisher,
            _settings: settings,
        })
    }

    /// Asks by every way. All begin with the same address. `None` where nobody knows the answer, or
    /// a second has passed in between, by which TTLs differ.
    pub fn ask(&self, packet: &[u8], client: SocketAddr, seed: u32) -> Option<Replies> {
        let _entered = self.runtime.enter();
        let listener: SocketAddr = LISTENER.parse().ok()?;
        let came = Instant::now();
        let session = |proto, came| {
            let mut session = self.responder.session(proto, seed);
            let mut out = Vec::new();
            match session.begin(packet, client, listener, came, &mut out) {
                Step::Reply => Some(Some(out)),
                Step::Silence => Some(None),
                // What nobody knows would be asked for, and there is nobody.
                Step::Ask(_) => None,
            }
        };
        let (datagram, stream) = (session(Proto::Udp, came)?, session(Proto::Tcp, came)?);
        let mut waiting = self.responder.session(Proto::Udp, seed);
        let waited = waiting.wait(packet, client, listener, came).map(|pending| {
            let mut out = Vec::new();
            self.runtime.block_on(pending.finish(&CancellationToken::new(), &mut out));
            out
        });
        let is_still_now = session(Proto::Udp, Instant::now())? == datagram;
        is_still_now.then_some(Replies { datagram, stream, waited })
    }
}

fn client_at(choice: u8) -> SocketAddr {
    let client = CLIENTS[usize::from(choice) % CLIENTS.len()].parse();
    client.unwrap_or_else(|_| SocketAddr::from(([10, 9, 9, 9], 999)))
}

fn name_of(text: &str) -> Name {
    text.parse().unwrap_or_else(|_| Name::root())
}

fn forward() -> ForwardConfig {
    let cache = CacheConfig { entries: 1_000, bytes: 1 << 24, ..CacheConfig::NONE };
    // Nobody: what is not in the cache is not asked for here.
    let own = |ip: &str| ip.parse().ok().into_iter().collect();
    ForwardConfig {
        upstreams: Vec::new(),
        zones: Vec::new(),
        views: vec![ViewForward {
            view: OWN_VIEW.into(),
            upstreams: Some(own("192.0.2.53")),
            zones: vec![ForwardZone { name: name_of("example"), upstreams: own("192.0.2.54") }],
        }],
        trusted: Vec::new(),
        case_randomization: CaseRandomization::Off,
        ca_file: None,
        budget: BudgetConfig::DEFAULT,
        cache: CacheConfig { ttls: TtlBounds::WIDEST, ..cache },
    }
}

/// Two views, and a client in a zone.
fn policy() -> Option<(Plan, PolicyConfig)> {
    let ttl = Ttl::from_secs(60).ok()?;
    let claim = |pattern: &str, net: u8| {
        let zones = ["eu-west-1a", "eu-west-1b", DRAINED];
        let address = |(at, ip): (usize, IpAddr)| Address {
            az: Az { name: zones[at % zones.len()].into(), id: None },
            ip,
            eni: "eni-1".into(),
        };
        let v4 = (1..=4).map(|last| IpAddr::from([10, net, 0, last]));
        let v6 = iter::once(IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, net.into()]));
        Some(Claim {
            pattern: Pattern::parse(pattern).ok()?,
            origin: Origin::Published,
            source: "hub".into(),
            endpoint: "vpce-1".into(),
            service: "com.amazonaws.eu-west-1.sqs".into(),
            ttl,
            negative_ttl: ttl,
            addresses: v4.chain(v6).enumerate().map(address).collect(),
            caveats: Vec::new(),
        })
    };
    let claims = |net| {
        Some(vec![
            claim("sqs.eu-west-1.amazonaws.com", net)?,
            claim("*.dkr.ecr.eu-west-1.amazonaws.com", net)?,
        ])
    };
    let view = |name: &str, net| {
        Some(ViewPlan {
            name: name.into(),
            claims: claims(net)?,
            cnames: cnames(ttl)?,
            declined: DeclinedList::default(),
        })
    };
    let plan = Plan {
        views: vec![view(OWN_VIEW, 20)?, view(PolicyConfig::REST_VIEW, 10)?],
        zones: vec![ClientZone {
            network: "10.1.0.0/16".parse().ok()?,
            zone: "eu-west-1b".into(),
            by: ZoneBy::Hand,
        }],
    };
    let config = PolicyConfig {
        allow: vec!["10.0.0.0/8".parse().ok()?, "203.0.113.0/24".parse().ok()?],
        ttl,
        negative_ttl: ttl,
        deny: Vec::new(),
        allow_rules: Vec::new(),
        overrides: false,
        aliases: Vec::new(),
        alias_sets: Vec::new(),
        views: vec![ViewConfig {
            clients: vec!["10.2.0.0/16".parse().ok()?],
            ..ViewConfig::named(OWN_VIEW.into())
        }],
        zones: vec![("10.1.0.0/16".parse().ok()?, "eu-west-1b".into())],
        discover_zones: false,
    };
    Some((plan, config))
}

/// CNAMEs of ours, to names of ours and of others.
fn cnames(ttl: Ttl) -> Option<Vec<CnameClaim>> {
    let cnames = [
        ("away.hub", "alias.example"),
        ("gone.hub", "none.example"),
        ("queue.hub", "sqs.eu-west-1.amazonaws.com"),
        ("*.wide.hub", "queue.hub"),
    ];
    let claim = |(pattern, target)| {
        let pattern = Pattern::parse(pattern).ok()?;
        Some(CnameClaim { pattern, target: name_of(target), ttl, lender: None })
    };
    cnames.into_iter().map(claim).collect()
}

/// What upstreams have said, whose first address ends in `first`.
fn cached(first: u8) -> Option<Vec<(Question, Vec<u8>)>> {
    let name = |text| name_of(text).as_wire().to_vec();
    let soa = [name("ns.example"), name("who.example"), vec![0; 16], vec![0, 0, 42, 48]].concat();
    let soa = || (name("example"), 6, soa.clone());
    let a = |owner, more: u8| (name(owner), 1, vec![192, 0, 2, first.saturating_add(more)]);
    let alias = |owner, target| (name(owner), 5, name(target));
    let text = || [vec![250], vec![b'x'; 250]].concat().repeat(6);
    let said = [
        ("a.example", 1, 0, vec![a("a.example", 0), a("a.example", 1)], vec![]),
        ("a.example", 28, 0, vec![], vec![soa()]),
        ("none.example", 1, 3, vec![], vec![soa()]),
        (
            "alias.example",
            1,
            0,
            vec![alias("alias.example", "b.example"), a("b.example", 2)],
            vec![],
        ),
        (
            "ours.example",
            1,
            0,
            vec![
                alias("ours.example", "sqs.eu-west-1.amazonaws.com"),
                a("sqs.eu-west-1.amazonaws.com", 3),
            ],
            vec![],
        ),
        ("open.example", 1, 0, vec![alias("open.example", "a.example")], vec![]),
        ("back.example", 1, 0, vec![alias("back.example", "x.wide.hub")], vec![]),
        ("long.example", 16, 0, vec![(name("long.example"), 16, text())], vec![]),
    ];
    let mut all = Vec::new();
    for (asked, rtype, rcode, answer, authority) in said {
        for (dnssec_ok, checking_disabled) in [(false, false), (true, false), (true, true)] {
            let name = asked.parse().ok()?;
            let rtype = RecordType(rtype);
            let question = Question { name, rtype, dnssec_ok, checking_disabled };
            let counts = [1, answer.len(), authority.len(), 0];
            let mut message = vec![0, 0, 0x81, 0x80 | rcode];
            for count in counts {
                message.extend(u16::try_from(count).ok()?.to_be_bytes());
            }
            message.extend_from_slice(question.name.as_wire());
            message.extend(rtype.0.to_be_bytes());
            message.extend([0, 1]);
            for (owner, rtype, data) in answer.iter().chain(&authority) {
                message.extend_from_slice(owner);
                message.extend(u16::to_be_bytes(*rtype));
                // A day.
                message.extend([0, 1, 0, 1, 0x51, 0x80]);
                message.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
                message.extend_from_slice(data);
            }
            all.push((question, message));
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use domain::{base::Message, rdata::A};
    use proptest::prelude::*;

    use super::{CLIENTS, NAMES, Parity, choose};

    thread_local! {
        static PARITY: Parity = Parity::new().unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn a_question_has_one_answer_by_whatever_way(
            choices in prop::collection::vec(any::<u8>(), 8..24),
            seed in any::<u32>(),
        ) {
            let (packet, client) = choose(&choices);
            let replies = PARITY.with(|parity| parity.ask(&packet, client, seed));
            let Some(replies) = replies else { return Ok(()) };
            prop_assert_eq!(replies.check(&packet, client), Ok(()), "{:02x?}", replies.datagram);
            if let Some(datagram) = &replies.datagram {
                let decoded = Message::from_slice(datagram).unwrap();
                prop_assert!(decoded.iter().all(|record| record.is_ok()), "{datagram:02x?}");
            }
        }
    }

    #[test]
    fn views_are_told_by_upstreams_of_their_own_and_drained_zones_are_left_out() {
        let parity = Parity::new().unwrap();
        let last_octets = |name: &str, client: &str| {
            let at = NAMES.iter().position(|it| *it == name).unwrap();
            let client = CLIENTS.iter().position(|it| *it == client).unwrap();
            let [at, client] = [at, client].map(|it| u8::try_from(it).unwrap());
            let (packet, client) = choose(&[at, 0, 0, 0x21, client, 255, 0, 0]);
            let reply = parity.ask(&packet, client, 0).unwrap().datagram.unwrap();
            let answers = Message::from_slice(&reply).unwrap().answer().unwrap();
            let mut last: Vec<u8> =
                answers.limit_to::<A>().map(|it| it.unwrap().data().addr().octets()[3]).collect();
            last.sort_unstable();
            last
        };
        for (client, own) in [("10.9.9.9:999", 0), ("10.2.0.7:40000", 100)] {
            assert_eq!(last_octets("a.example", client), [1 + own, 2 + own]);
            assert_eq!(last_octets("away.hub", client), [3 + own]);
            assert_eq!(last_octets("sqs.eu-west-1.amazonaws.com", client), [1, 2, 4]);
        }
    }

    #[test]
    fn there_is_something_to_compare() {
        let parity = Parity::new().unwrap();
        let mut ways = [0; 4];
        let names = 0..u8::try_from(NAMES.len()).unwrap();
        for (name, rtype) in names.flat_map(|name| (0..8).map(move |rtype| (name, rtype))) {
            let (packet, client) = choose(&[name, rtype, 0, 0x21, 0, 255, 0, 0]);
            let Some(replies) = parity.ask(&packet, client, 7) else { continue };
            let is_cut = |reply: &Vec<u8>| reply[2] & 2 != 0;
            ways[0] += u32::from(replies.datagram.is_some());
            ways[1] += u32::from(replies.stream.is_some());
            ways[2] += u32::from(replies.waited.is_some());
            ways[3] += u32::from(replies.datagram.is_some_and(|it| is_cut(&it)));
        }
        assert!(ways[0] > 30 && ways[1] > 30 && ways[2] == 10 && ways[3] == 1, "{ways:?}");
    }
}
