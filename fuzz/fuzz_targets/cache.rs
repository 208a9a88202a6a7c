//! Any sequence of what is noted, looked up, flushed and waited: the cache says what a map would.
#![no_main]

use std::{collections::HashMap, sync::Arc, time::Duration};

use hubdns::{
    base::{Name, Rcode, RecordType},
    forward::fuzzing::Cache,
    wire::{Question, Relay},
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

const STALE: Duration = Duration::from_secs(3_600);
const NAMES: [&str; 4] = ["example", "a.example", "b.a.example", "xexample"];

#[derive(Arbitrary, Debug)]
enum Step {
    /// An answer, or a denial, of this TTL.
    Note {
        name: u8,
        dnssec_ok: bool,
        ttl_secs: u16,
        denied: bool,
    },
    Decline {
        name: u8,
    },
    Fail {
        name: u8,
    },
    Look {
        name: u8,
        dnssec_ok: bool,
    },
    Flush {
        name: u8,
    },
    FlushAll,
    Wait {
        secs: u16,
    },
}

fn name(index: u8) -> Name {
    NAMES[usize::from(index) % NAMES.len()].parse().expect("a name")
}

fn question(index: u8, dnssec_ok: bool) -> Question {
    Question { name: name(index), rtype: RecordType::A, dnssec_ok, checking_disabled: false }
}

/// A response with an address, or an NXDOMAIN with an SOA, or a bare code.
fn relay(question: &Question, ttl_secs: u16, rcode: Rcode) -> Arc<Relay> {
    let (answers, authorities) = match rcode {
        Rcode::NOERROR => (1, 0),
        Rcode::NXDOMAIN => (0, 1),
        _ => (0, 0),
    };
    let mut message =
        vec![0, 0, 0x81, 0x80 | rcode.0 as u8, 0, 1, 0, answers, 0, authorities, 0, 0];
    message.extend_from_slice(question.name.as_wire());
    message.extend([0, 1, 0, 1]);
    let ttl = u32::from(ttl_secs).to_be_bytes();
    if answers == 1 {
        message.extend([0xC0, 12, 0, 1, 0, 1]);
        message.extend(ttl);
        message.extend([0, 4, 192, 0, 2, 1]);
    }
    if authorities == 1 {
        message.extend([0, 0, 6, 0, 1]);
        message.extend(ttl);
        message.extend([0, 22, 0, 0]);
        (0..5).for_each(|_| message.extend(ttl));
    }
    Arc::new(Relay::read(question, &message).expect("a response"))
}

fuzz_target!(|steps: Vec<Step>| {
    let cache = Cache::new(STALE).expect("a cache");
    let mut known: HashMap<(Name, bool), (Arc<Relay>, Duration)> = HashMap::new();
    let mut now = Duration::ZERO;
    for step in steps {
        match step {
            Step::Note { name, dnssec_ok, ttl_secs, denied } => {
                let question = question(name, dnssec_ok);
                let rcode = if denied { Rcode::NXDOMAIN } else { Rcode::NOERROR };
                let relay = relay(&question, ttl_secs, rcode);
                cache.note(&question, Some(&relay), now);
                let key = (question.name, dnssec_ok);
                // An answer for one client alone still stands in.
                match relay.lifetime().as_secs() == 0 && !relay.is_positive() {
                    true => known.remove(&key),
                    false => known.insert(key, (relay, now)),
                };
            }
            Step::Decline { name } => {
                let question = question(name, false);
                cache.note(&question, Some(&relay(&question, 0, Rcode::SERVFAIL)), now);
            }
            Step::Fail { name } => cache.note(&question(name, false), None, now),
            Step::Look { name, dnssec_ok } => {
                let question = question(name, dnssec_ok);
                let kept = known.get(&(question.name.clone(), dnssec_ok));
                let age = kept.map_or(Duration::ZERO, |(_, since)| now - *since);
                let within = |limit: fn(&Relay) -> Duration| {
                    kept.filter(|(relay, _)| age < limit(relay)).map(|(relay, _)| relay.clone())
                };
                let fresh = within(|relay| relay.lifetime().as_duration());
                let stale = within(|relay| {
                    let is_denial = relay.rcode() == Rcode::NXDOMAIN;
                    relay.lifetime().as_duration() + if is_denial { Duration::ZERO } else { STALE }
                });
                assert_eq!(cache.fresh(&question, now), fresh.map(|relay| (relay, age)));
                assert_eq!(cache.stale(&question, now), stale);
            }
            Step::Flush { name: index } => {
                let flushed = name(index);
                let before = known.len();
                known.retain(|(name, _), _| !name.is_within(&flushed));
                assert_eq!(cache.flush(Some(&flushed)), (before - known.len()) as u64);
            }
            Step::FlushAll => {
                let before = known.len() as u64;
                known.clear();
                assert_eq!(cache.flush(None), before);
            }
            Step::Wait { secs } => now += Duration::from_secs(u64::from(secs)),
        }
    }
});
