//! Asks by DNS what was explained, and says whether the two differ: for `hubdns explain`, and for who
//! presses the button of the page.
//!
//! The page asks nothing for strangers: [`Asker`] says who is none.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Mutex,
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout};

use super::{
    guard::Caller,
    json::{ExplainDocument, LiveDocument},
};
use crate::{
    answer::{Trial, TrialError, ask_as_client, here},
    base::{Chain, Name, Rcode, RecordType, shell_word},
    table::{AnswerTable, Reader},
};

/// How long a visitor of the page waits. An upstream that is dead costs a client 3.5 s.
const PAGE_WITHIN: Duration = Duration::from_secs(4);
/// Between two questions of the page, whoever looks at it: four packets a second, of the 1,024 that
/// AWS takes, are the most that it makes us send upstream.
const PAGE_EVERY: Duration = Duration::from_millis(250);
/// How long one waits for his turn: four may be before him.
const PAGE_WAITS_MAX: Duration = Duration::from_secs(1);

/// Asks what was explained, from the client's address if it is this host's; not at a listener where DNS
/// is spoken inside of TLS.
pub async fn ask_live(
    explained: &ExplainDocument,
    name: &Name,
    rtype: RecordType,
    is_encrypted: bool,
) -> LiveDocument {
    let server = here(explained.listener);
    let client = explained.client;
    if client.is_ipv4() != server.is_ipv4() {
        return not_asked(format!("{client} does not reach {server}"));
    }
    if is_encrypted {
        return not_asked(format!("{server} speaks DNS inside of TLS, and this asks by UDP"));
    }
    match ask_as_client(client, server, name, rtype).await {
        Ok(trial) => compared(explained, rtype, &server.to_string(), trial),
        Err(error @ TrialError::NotOurs(_)) => {
            not_asked(format!("{error}{}", there(server, name, rtype)))
        }
        Err(error @ (TrialError::Silent | TrialError::Network(_))) => LiveDocument {
            agrees: Some(false),
            rcode: None,
            addresses: Vec::new(),
            errors: Vec::new(),
            what: format!("DIFFERS: {server}: {}", Chain(&error)),
        },
    }
}

/// What to type on a client, if `server` can be reached from there.
fn there(server: SocketAddr, name: &Name, rtype: RecordType) -> String {
    match server.ip().is_loopback() {
        true => String::new(),
        false => {
            let name = shell_word(&name.to_string());
            format!("; on it: dig @{} -p {} {name} {rtype}", server.ip(), server.port())
        }
    }
}

fn not_asked(why: String) -> LiveDocument {
    let what = format!("not asked: {why}");
    LiveDocument { agrees: None, rcode: None, addresses: Vec::new(), errors: Vec::new(), what }
}

fn compared(
    explained: &ExplainDocument,
    rtype: RecordType,
    server: &str,
    trial: Trial,
) -> LiveDocument {
    let Trial { rcode, addresses, errors, truncated } = trial;
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let why: String = errors.iter().map(|error| format!("; {error}")).collect();
    // The rest of it comes by TCP.
    let cut = if truncated { ", truncated (TC)" } else { "" };
    let answer = format!("{rcode} with {}{cut}{why}", listed(&addresses));
    let has_addresses = [RecordType::A, RecordType::AAAA].contains(&rtype);
    let given: BTreeSet<IpAddr> = explained.given.iter().map(|given| given.ip).collect();
    let agrees = match explained.decision.as_str() {
        "answer" if has_addresses => Some(rcode == Rcode::NOERROR && addresses == given),
        "answer" => Some(rcode == Rcode::NOERROR),
        // Without any, what the CNAMEs lead to is an upstream's.
        "cname" if has_addresses && !given.is_empty() => {
            Some(rcode == Rcode::NOERROR && addresses == given)
        }
        "nodata" => Some(rcode == Rcode::NOERROR && addresses.is_empty()),
        "refuse" => Some(rcode == Rcode::REFUSED),
        _ => None,
    };
    let agrees = agrees.filter(|agrees| *agrees || !truncated);
    let what = match agrees {
        Some(true) => format!("{server} answers that: {answer}"),
        Some(false) => format!("DIFFERS: {server} answers {answer}"),
        None => format!("{server} answers {answer}"),
    };
    let addresses = addresses.into_iter().collect();
    LiveDocument { agrees, rcode: Some(rcode.to_string()), addresses, errors, what }
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    match list.as_slice() {
        [] => "no addresses".to_owned(),
        list => list.join(", "),
    }
}

/// Asks for visitors of the page.
///
/// A GET must not make us send packets for whoever can have a browser follow a link: a page elsewhere,
/// a preview of a link in a chat, a browser that loads ahead. So an explanation's address asks nothing.
/// The page's own button does, by a word that stands in the page alone, which no page elsewhere can read.
pub(super) struct Asker {
    word: String,
    next_at: Mutex<Instant>,
}

/// One visitor, and what he wants asked.
#[derive(Clone, Copy)]
pub(super) struct Wish<'v> {
    /// Where he comes from.
    pub(super) caller: Caller,
    /// The word that he gives.
    pub(super) word: &'v str,
    /// Whether it is his browser that asks, and not he.
    pub(super) is_ahead: bool,
    /// What was explained to him.
    pub(super) explained: &'v ExplainDocument,
    /// Whether DNS is spoken inside of TLS there.
    pub(super) is_encrypted: bool,
}

// === impl Asker ===

impl Asker {
    /// With a word by chance: it is good until the daemon ends.
    pub(super) fn new(now: Instant) -> Self {
        let word = format!("{:032x}", rand::random::<u128>());
        Self { word, next_at: Mutex::new(now) }
    }

    /// What the page's own forms give.
    pub(super) fn word(&self) -> &str {
        &self.word
    }

    /// Asks, or says why not. `bound` are our sockets.
    pub(super) async fn ask(
        &self,
        wish: Wish<'_>,
        table: &Reader,
        bound: &[SocketAddr],
    ) -> LiveDocument {
        let Wish { explained, is_encrypted, .. } = wish;
        let parsed = explained.name.parse::<Name>().ok().zip(explained.r#type.parse().ok());
        let Some((name, rtype)) = parsed else { return not_asked("no such question".to_owned()) };
        let at = self.may(wish, table.load().table(), bound, Instant::now());
        match at {
            Ok(at) => sleep_until(at).await,
            Err(why) => return not_asked(why),
        }
        let asked = timeout(PAGE_WITHIN, ask_live(explained, &name, rtype, is_encrypted)).await;
        asked.unwrap_or_else(|_| LiveDocument {
            agrees: Some(false),
            rcode: None,
            addresses: Vec::new(),
            errors: Vec::new(),
            what: format!(
                "DIFFERS: {} did not answer within {} s",
                here(explained.listener),
                PAGE_WITHIN.as_secs()
            ),
        })
    }

    /// When the visitor may have that asked, or why not.
    fn may(
        &self,
        wish: Wish<'_>,
        table: &AnswerTable,
        bound: &[SocketAddr],
        now: Instant,
    ) -> Result<Instant, String> {
        let Wish { caller, word, is_ahead, explained, .. } = wish;
        let ExplainDocument { client, listener, .. } = *explained;
        if word != self.word {
            return Err("the link is none of this page's; press “Ask now”".to_owned());
        }
        if is_ahead {
            return Err("the browser has loaded this ahead; press “Ask now”".to_owned());
        }
        if !is_own(listener, bound) {
            return Err(format!("{listener} is no socket of this hubdns"));
        }
        // Who comes from elsewhere has nothing asked that he could not ask by himself.
        if let Caller::Tcp(visitor) = caller
            && let ip = visitor.ip().to_canonical()
            && !ip.is_loopback()
        {
            if !table.admits(ip) {
                return Err(format!("{ip}, where you are, may not ask: clients.allow"));
            }
            if table.view_for(ip, listener).0 != table.view_for(client, listener).0 {
                return Err(format!("{ip}, where you are, is in another view than {client}"));
            }
        }
        let Ok(mut next_at) = self.next_at.lock() else {
            return Err("a question before it has failed".to_owned());
        };
        let at = now.max(*next_at);
        if now + PAGE_WAITS_MAX < at {
            return Err("too many ask at this moment; press “Ask now”".to_owned());
        }
        *next_at = at + PAGE_EVERY;
        Ok(at)
    }
}

/// What is told of a listener that is none of these.
pub fn no_listener(listener: SocketAddr, listens: &[String]) -> String {
    format!(
        "listener: {listener} is no address of ours that can be asked; hubdns listens on {}",
        listens.join(", ")
    )
}

/// Whether a listener is one of our sockets, or an address of this host for one that listens on all.
pub(super) fn is_own(listener: SocketAddr, bound: &[SocketAddr]) -> bool {
    let on_all = |it: &SocketAddr| it.ip().is_unspecified() && it.port() == listener.port();
    bound.contains(&listener)
        || (bound.iter().any(on_all)
            && !listener.ip().is_multicast()
            && UdpSocket::bind((listener.ip(), 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{
        admin::json::GivenDocument,
        policy::{self, PolicyConfig, facts},
        table::compile,
    };

    fn explained(client: &str, listener: &str) -> ExplainDocument {
        ExplainDocument {
            name: "sqs.eu-west-1.amazonaws.com.".to_owned(),
            r#type: "A".to_owned(),
            client: client.parse().unwrap(),
            listener: listener.parse().unwrap(),
            view: "default".to_owned(),
            decision: "forward".to_owned(),
            given: Vec::new(),
            steps: Vec::new(),
            live: None,
        }
    }

    #[test]
    fn nothing_is_asked_for_strangers() {
        let config = PolicyConfig {
            views: vec![facts::view("onprem", "10.9.0.0/16")],
            allow: vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.0/8".parse().unwrap()],
            ..facts::config()
        };
        let table = compile(policy::plan(&facts::inventory(""), &config), &config);
        let now = Cell::new(Instant::now());
        let asker = Asker::new(now.get());
        let bound = ["127.0.0.1:5300".parse().unwrap(), "0.0.0.0:53".parse().unwrap()];
        let may = |word: &str, is_ahead: bool, visitor: &str, explained: &ExplainDocument| {
            let caller = Caller::Tcp(visitor.parse().unwrap());
            let wish = Wish { caller, word, is_ahead, explained, is_encrypted: false };
            asker.may(wish, &table, &bound, now.get())
        };
        let refused = |visitor: &str, client: &str, listener: &str| {
            may(asker.word(), false, visitor, &explained(client, listener)).unwrap_err()
        };
        let here = explained("127.0.0.1", "127.0.0.1:5300");
        let local = "127.0.0.1:40000";
        for word in ["", "1", &"0".repeat(32)] {
            assert!(may(word, false, local, &here).unwrap_err().starts_with("the link is none"));
        }
        assert!(may(asker.word(), true, local, &here).unwrap_err().contains("loaded this ahead"));
        for listener in ["127.0.0.1:5301", "192.0.2.1:53", "224.0.0.1:53", "[::1]:5300"] {
            let why = refused(local, "127.0.0.1", listener);
            assert_eq!(why, format!("{listener} is no socket of this hubdns"));
        }
        assert_eq!(
            refused("192.0.2.9:40000", "127.0.0.1", "127.0.0.1:53"),
            "192.0.2.9, where you are, may not ask: clients.allow"
        );
        assert_eq!(
            refused("[::ffff:10.9.0.1]:40000", "127.0.0.1", "127.0.0.1:53"),
            "10.9.0.1, where you are, is in another view than 127.0.0.1"
        );
        // A person of the machine, and one from elsewhere in the view that he asks about; in turns.
        let start = now.get();
        for turn in 0..=4 {
            let at = start + turn * PAGE_EVERY;
            assert_eq!(may(asker.word(), false, local, &here), Ok(at));
        }
        assert!(may(asker.word(), false, local, &here).unwrap_err().starts_with("too many ask"));
        now.set(start + PAGE_EVERY);
        let mapped = "[::ffff:10.1.0.1]:40000";
        let at = may(asker.word(), false, mapped, &explained("10.2.0.1", "127.0.0.1:53"));
        assert_eq!(at, Ok(start + 5 * PAGE_EVERY));
    }

    #[test]
    fn an_answer_that_was_cut_says_so_and_differs_from_nothing() {
        let mut explained = explained("203.0.113.5", "203.0.113.10:53");
        explained.decision = "answer".to_owned();
        let ip = "10.0.1.5".parse().unwrap();
        explained.given = vec![GivenDocument { ip, az: "a".into(), eni: "eni-1".into() }];
        let told = |truncated: bool| {
            let (addresses, errors) = (BTreeSet::new(), Box::default());
            let trial = Trial { rcode: Rcode::NOERROR, addresses, errors, truncated };
            let live = compared(&explained, RecordType::A, "203.0.113.10:53", trial);
            (live.agrees, live.what)
        };
        assert_eq!(
            told(true),
            (None, "203.0.113.10:53 answers NOERROR with no addresses, truncated (TC)".to_owned())
        );
        assert_eq!(
            told(false),
            (Some(false), "DIFFERS: 203.0.113.10:53 answers NOERROR with no addresses".to_owned())
        );
    }

    #[test]
    fn who_cannot_be_asked_for_is_told_what_to_type() {
        let name = "sqs.eu-west-1.amazonaws.com".parse().unwrap();
        let told = |server: &str| there(server.parse().unwrap(), &name, RecordType::A);
        assert_eq!(
            told("10.0.0.10:53"),
            "; on it: dig @10.0.0.10 -p 53 sqs.eu-west-1.amazonaws.com A"
        );
        assert_eq!(told("127.0.0.1:53"), "");
    }
}
