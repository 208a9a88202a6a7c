//! `hubdns explain` asks a running daemon by DNS as well, and says whether the two differ.

use std::{collections::BTreeSet, io, net::IpAddr};

use crate::{
    admin::json::{ExplainDocument, LiveDocument},
    app::{PeerError, Trial, ask_as_client, here},
    base::{Chain, Name, Rcode, RecordType},
    serve::Service,
};

/// Asks what was explained, from the client's address if it is this host's, where `spoken` is plain.
pub(super) async fn ask(
    explained: &ExplainDocument,
    name: &Name,
    rtype: RecordType,
    spoken: Option<Service>,
) -> LiveDocument {
    let server = here(explained.listener);
    let not_asked = |what: String| LiveDocument {
        agrees: None,
        rcode: None,
        addresses: Vec::new(),
        what: format!("not asked: {what}"),
    };
    if explained.client.is_ipv4() != server.is_ipv4() {
        return not_asked(format!("{} does not reach {server}", explained.client));
    }
    if let Some(Service::Encrypted(_)) = spoken {
        return not_asked(format!("{server} speaks DNS inside of TLS, and this asks by UDP"));
    }
    match ask_as_client(explained.client, server, name, rtype).await {
        Ok(trial) => compared(explained, rtype, &server.to_string(), trial),
        Err(PeerError::Network(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => {
            not_asked(format!("{} is not an address of this host", explained.client))
        }
        Err(error) => LiveDocument {
            agrees: Some(false),
            rcode: None,
            addresses: Vec::new(),
            what: format!("DIFFERS: {server}: {}", Chain(&error)),
        },
    }
}

fn compared(
    explained: &ExplainDocument,
    rtype: RecordType,
    server: &str,
    trial: Trial,
) -> LiveDocument {
    let Trial { rcode, addresses, truncated } = trial;
    let answer = format!("{rcode} with {}", listed(&addresses));
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
    // The rest of it comes by TCP.
    let agrees = agrees.filter(|agrees| *agrees || !truncated);
    let what = match agrees {
        Some(true) => format!("{server} answers that: {answer}"),
        Some(false) => format!("DIFFERS: {server} answers {answer}"),
        None => format!("{server} answers {answer}"),
    };
    let addresses = addresses.into_iter().collect();
    LiveDocument { agrees, rcode: Some(rcode.to_string()), addresses, what }
}

fn listed(addresses: &BTreeSet<IpAddr>) -> String {
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    match list.as_slice() {
        [] => "no addresses".to_owned(),
        list => list.join(", "),
    }
}
