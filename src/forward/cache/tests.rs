//! What is kept, for how long, and what it takes.

use super::*;
use crate::{base::RecordType, forward::CacheConfig, wire::RelayError};

const MIB: u64 = 1024 * 1024;

fn question(name: &str) -> Question {
    Question {
        name: name.parse().unwrap(),
        rtype: RecordType::TXT,
        dnssec_ok: false,
        checking_disabled: false,
    }
}

/// A response to `question` with a TXT record of `len` octets.
fn response(question: &Question, ttl_secs: u32, len: u16) -> Result<Arc<Relay>, RelayError> {
    let mut message = vec![0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    message.extend_from_slice(question.name.as_wire());
    message.extend([0, 16, 0, 1, 0xC0, 12, 0, 16, 0, 1]);
    message.extend(ttl_secs.to_be_bytes());
    message.extend(len.to_be_bytes());
    message.resize(message.len() + usize::from(len), 0);
    Relay::read(question, &message).map(Arc::new)
}

fn cache(entries: u64, bytes: u64) -> Cache {
    let serve_stale = Duration::from_secs(3_600);
    let config = CacheConfig { entries, bytes, serve_stale, ..CacheConfig::NONE };
    Cache::new(&config, Arc::new(Metrics::new().unwrap()))
}

fn kept(ttl_secs: u32, received: Instant) -> Kept {
    Kept::new(response(&question("a.example"), ttl_secs, 10).unwrap(), received)
}

/// Octets of memory that this process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Fills a cache with 80,000 answers of `len` octets and looks at what the process has then. One
/// call a process: memory that was given back before would hide what is taken.
fn fill(len: u16) {
    let bytes = 24 * MIB;
    let cache = cache(10_000_000, bytes);
    let before = resident();
    for at in 0..80_000 {
        let question = question(&format!("host-{at:06}.eu-west-1.compute.corp.example"));
        let relay = response(&question, 600, len).unwrap();
        cache.note(&question.into(), Ok(&relay), Instant::now());
    }
    let (entries, counted) = (cache.answers.len(), cache.answers.weight());
    let taken = resident().saturating_sub(before);
    eprintln!("{len} octets each: {entries} entries, counted as {counted}, take {taken} octets");
    assert!(counted <= bytes);
    assert!(taken < bytes, "{taken} is above {bytes}");
    assert!(bytes / 2 < taken, "{taken} is far below {bytes}: the overhead is set too high");
}

#[test]
fn the_limit_of_memory_holds_for_common_answers() {
    fill(40);
}

#[test]
fn the_limit_of_memory_holds_for_long_answers() {
    fill(2_000);
}

#[test]
fn the_limit_of_entries_holds() {
    let cache = cache(100, MIB);
    for at in 0..1_000 {
        let question = question(&format!("{at}.example"));
        cache.note(
            &question.clone().into(),
            response(&question, 600, 10).as_ref().map_err(|_| panic!()),
            Instant::now(),
        );
    }
    assert!(cache.answers.len() <= 100, "{}", cache.answers.len());
    assert!(90 <= cache.answers.len(), "{}", cache.answers.len());
}

#[test]
fn what_is_asked_for_often_is_due_once_when_a_tenth_is_left() {
    let start = Instant::now();
    let hit = |kept: &Kept| kept.hits.fetch_add(1, Ordering::Relaxed);
    let at = |secs: f64| start + Duration::from_secs_f64(secs);
    let rare = kept(60, start);
    hit(&rare);
    assert!(!rare.is_due(at(59.0)), "asked for once");
    let hot = kept(60, start);
    hit(&hot);
    hit(&hot);
    assert!(!hot.is_due(at(53.9)), "there is time");
    assert!(hot.is_due(at(54.0)));
    hot.renews();
    assert!(!hot.is_due(at(55.0)), "once");
    let brief = kept(4, start);
    hit(&brief);
    hit(&brief);
    assert!(!brief.is_due(at(3.9)), "it would be asked for all the time");
}

#[test]
fn who_waits_for_an_expired_answer_is_decided_by_what_failed_before() {
    let failed_at = Instant::now();
    let renewal = |failed: bool, after: Duration, all_silent: bool| {
        let kept = kept(60, failed_at);
        *kept.failed() = failed.then_some(failed_at);
        kept.renewal(failed_at + after, all_silent)
    };
    let secs = Duration::from_secs;
    assert_eq!(renewal(false, secs(0), false), Renewal::Awaited);
    assert_eq!(renewal(false, secs(0), true), Renewal::Behind, "nobody answers anyhow");
    assert_eq!(renewal(true, secs(1), false), Renewal::Later);
    assert_eq!(renewal(true, secs(3), false), Renewal::Behind, "upstreams answer others");
    assert_eq!(renewal(true, secs(3), true), Renewal::Later);
    assert_eq!(renewal(true, secs(31), true), Renewal::Behind);
    assert_eq!(renewal(true, secs(31), false), Renewal::Awaited, "that was long ago");
}

#[test]
fn a_flush_takes_a_name_and_what_is_below_it_and_leaves_the_rest() {
    let cache = cache(100, MIB);
    let now = Instant::now();
    for name in ["corp.example", "www.corp.example", "xcorp.example", "example"] {
        let question = question(name);
        let relay = response(&question, 600, 10);
        cache.note(&question.into(), relay.as_ref().map_err(|_| panic!()), now);
    }
    let failing = Key::from(question("new.corp.example"));
    cache.note(&failing, Err(ForwardError::Unusable), now);
    let is_kept = |name: &str| cache.fresh(&Key::from(question(name)).sought(), now).is_some();
    assert_eq!(cache.flush(Some(&"corp.example".parse().unwrap())), 2);
    assert!(!is_kept("corp.example") && !is_kept("www.corp.example"));
    assert!(is_kept("xcorp.example") && is_kept("example"));
    assert!(cache.failure(&failing, now).is_none(), "a failure is forgotten as well");
    assert_eq!(cache.flush(None), 2);
    assert!(!is_kept("example"));
}

#[test]
fn what_is_remembered_is_told_to_people_without_a_hit() {
    let cache = cache(10, MIB);
    let (asked, began) = (question("a.example"), Instant::now());
    let told = |secs: u64| {
        let now = began + Duration::from_secs(secs);
        cache.remembered(&asked.clone().into(), now).to_string()
    };
    assert_eq!(told(0), "has nothing: an upstream is asked");
    cache.note(&asked.clone().into(), Err(ForwardError::NoUpstream), began);
    assert_eq!(
        told(1),
        "has a failure, not tried again for 1000 ms: no upstream is configured, so only our own names \
         are answered"
    );
    assert_eq!(told(3), "has nothing: an upstream is asked");
    cache.note(&asked.clone().into(), Ok(&response(&asked, 60, 10).unwrap()), began);
    assert_eq!(told(12), "has NOERROR, which came 12 s ago and is told for 48 s more");
    assert_eq!(
        told(70),
        "has NOERROR, over for 10 s: told if no upstream answers in time, for 3590 s more"
    );
    assert_eq!(told(3_660), "has nothing: an upstream is asked");
    let kept = cache.answers.get(&Key::from(asked)).unwrap();
    assert_eq!(kept.hits.load(Ordering::Relaxed), 0);
}
