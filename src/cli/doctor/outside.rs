//! What of the outside a hub needs: sources, the hosts that AWS's API has, upstreams.

use super::CheckList;
use crate::{
    app::{Asked, accepts_tcp, ask_upstreams, host_lookup},
    base::{Chain, count},
    config::Config,
    discover::{Action, DiscoverError},
};

/// A host of AWS's that every partition's resolvers know, by which look-ups are tried.
const AWS_HOST: &str = "sts.amazonaws.com";
const NEXT_AWS: &str = "name resolvers that know AWS's hosts in [discovery_dns]";

/// What every source told; an action that the role lacks is in the error, and told again with all the
/// others where each is tried.
pub(super) fn look_at_sources(list: &mut CheckList, asked: &[Asked]) {
    for asked in asked {
        match &asked.facts {
            Ok(facts) => {
                let endpoints = count(facts.endpoints.len(), "endpoint", "endpoints");
                list.passed("source", format!("{}: {endpoints}", asked.source));
                for lack in &asked.lacks {
                    list.warned(
                        "source",
                        format!("{} goes without {lack}", asked.source),
                        "docs/IAM.md has the role's permissions; all else of it is as ever",
                    );
                }
            }
            Err(error) => {
                list.failed("source", format!("{}: {}", asked.source, Chain(error)), next_of(error))
            }
        }
    }
}

/// Who is asked for AWS's hosts, which must not be ourselves, and whether it answers.
pub(super) async fn look_at_aws_hosts(list: &mut CheckList, config: &Config) {
    let lookup = &config.lookup;
    let asked: Vec<String> = lookup.upstreams.iter().map(ToString::to_string).collect();
    let who = format!("{} ({})", asked.join(", "), lookup.from.key());
    match host_lookup(config)(AWS_HOST.to_owned()).await {
        Ok(found) if !found.is_empty() => {
            list.passed("aws hosts", format!("{who} finds {AWS_HOST}"));
        }
        Ok(_) => list.warned("aws hosts", format!("{who} has no address of {AWS_HOST}"), NEXT_AWS),
        Err(error) => {
            let what = format!("{who} does not find {AWS_HOST}: {}", Chain(&error));
            list.warned("aws hosts", what, NEXT_AWS);
        }
    }
}

/// Every upstream by itself, as questions go and by TCP.
pub(super) async fn look_at_upstreams(list: &mut CheckList, config: &Config) {
    for (upstream, answered) in ask_upstreams(config).await {
        let address = upstream.socket();
        match answered {
            Ok(rcode) => list.passed("upstream", format!("{upstream} answers ({rcode})")),
            Err(error) => {
                let over = if upstream.is_tls() { "kdig +tls" } else { "dig" };
                let (ip, port) = (address.ip(), address.port());
                let next = format!("ask it yourself: `{over} @{ip} -p {port} . NS`");
                list.failed("upstream", format!("{upstream}: {error}"), &next);
            }
        }
        match accepts_tcp(address).await {
            Ok(()) => list.passed("upstream", format!("{upstream} accepts TCP")),
            Err(error) => {
                let next = format!("open TCP {} to it: long answers need it", address.port());
                list.failed("upstream", format!("{upstream} by TCP: {error}"), &next);
            }
        }
    }
}

/// What to do about a source that tells nothing. Files have no part in a role.
fn next_of(error: &DiscoverError) -> &'static str {
    match error.action() == Action::Files.as_str() {
        true => "`hubdns discover --save DIR` writes such files anew",
        false => "docs/IAM.md has the role's permissions; `hubdns discover` asks again",
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, DiscoverError, next_of};

    #[test]
    fn who_reads_files_is_not_sent_to_a_role() {
        let path = "hub/vpc-endpoints.json".into();
        let missing = DiscoverError::FileMissing { path, command: "aws" };
        let action = Action::Files;
        let holed = DiscoverError::Garbage {
            action,
            what: "an endpoint without an id".into(),
            source: None,
        };
        for error in [missing, holed] {
            assert!(next_of(&error).contains("discover --save"), "{error}");
        }
        assert!(next_of(&DiscoverError::NoRegion).contains("docs/IAM.md"));
    }
}
