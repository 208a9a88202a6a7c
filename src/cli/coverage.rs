//! `hubdns coverage`: which names of AWS leak, and what an endpoint could do about it.

use std::process::ExitCode;

use super::{
    args::{DaemonArgs, Format},
    ask,
    fold::folded,
    run, say, small_runtime,
};
use crate::{
    admin::json::{CoverageDocument, LeakDocument, from_text, to_text},
    base::{age, printable},
};

/// Names told of one line; all are in the JSON.
const ASKED_MAX: usize = 10;

/// Prints what the daemon has counted.
pub(super) fn coverage(args: &DaemonArgs) -> anyhow::Result<ExitCode> {
    let socket = match ask::socket(args) {
        Ok(socket) => socket,
        Err(text) => return run::refuse(&text),
    };
    let text = small_runtime()?.block_on(ask::look(&socket, "/api/v1/coverage"))?;
    let document: CoverageDocument = from_text(&text)?;
    say(&match args.format {
        Format::Text => folded(&screen(&document)),
        Format::Json => to_text(&document),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn screen(document: &CoverageDocument) -> String {
    let (since, botocore) = (age(document.secs), &document.botocore);
    let mut lines = Vec::new();
    if !document.enabled {
        lines.push("coverage.enabled is false: nothing is counted".to_owned());
    }
    lines.push(match document.leaks.is_empty() {
        true => format!("no name of AWS was answered with a public address in {since}"),
        false => format!("names of AWS that were answered with public addresses in {since}"),
    });
    for leak in &document.leaks {
        lines.push(String::new());
        lines.extend(told(leak));
    }
    if !document.leaks.is_empty() {
        lines.push(String::new());
        lines.push(format!("names that SDKs call are those of botocore {}", printable(botocore)));
    }
    lines.join("\n") + "\n"
}

fn told(leak: &LeakDocument) -> Vec<String> {
    let region = leak.region.as_deref().map(|region| format!(" of {region}")).unwrap_or_default();
    let name = leak.name.clone().unwrap_or_else(|| format!("other names{region}"));
    let mut lines = vec![
        format!("{:>8}  {}", leak.times, printable(&name)),
        format!("          {}: {}", printable(&leak.standing), printable(&leak.why)),
    ];
    for objection in leak.objections.iter().filter(|_| 1 < leak.objections.len()) {
        let endpoint = printable(objection.endpoint.as_deref().unwrap_or("alias"));
        lines.push(format!("          {endpoint}: {}", printable(&objection.why)));
    }
    if 0 < leak.more {
        lines.push(format!("          and {} more", leak.more));
    }
    if !leak.endpoints.is_empty() {
        lines.push(format!("          endpoints: {}", printable(&leak.endpoints.join(", "))));
    }
    // Below a name that no wildcard stands for it would only be said again.
    let asked: Vec<_> =
        leak.asked.iter().filter(|it| Some(&it.name) != leak.name.as_ref()).collect();
    for asked in asked.iter().take(ASKED_MAX) {
        lines.push(format!("{:>16}  {}", asked.times, printable(&asked.name)));
    }
    if ASKED_MAX < asked.len() {
        lines.push(format!("{:>16}  more names", asked.len() - ASKED_MAX));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::screen;
    use crate::{
        admin::json::CoverageDocument,
        coverage::{Coverage, CoverageConfig},
        policy::{self, ServiceRule, facts},
        table::compile,
    };

    /// A hub with an endpoint of SQS, and one of S3 that is denied.
    fn document(coverage: &Coverage) -> CoverageDocument {
        let hub = facts::inventory(
            "vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 names=sqs.eu-west-1.amazonaws.com
             vpce-2 com.amazonaws.eu-west-1.s3 eu-west-1a=10.0.1.6 names=*.s3.eu-west-1.amazonaws.com",
        );
        let config = policy::PolicyConfig { deny: vec![ServiceRule::new("s3")], ..facts::config() };
        CoverageDocument::new(coverage, &compile(policy::plan(&hub, &config), &config), 3_600)
    }

    #[test]
    fn each_leak_is_told_with_what_could_be_done() {
        let coverage = Coverage::default();
        coverage.configure(CoverageConfig { enabled: true, names: true });
        insta::assert_snapshot!(screen(&document(&coverage)), @"no name of AWS was answered with a public address in 60 min");
        for (at, name) in [
            "sts.eu-west-1.amazonaws.com",
            "sqs.eu-west-1.amazonaws.com",
            "eu-west-1.queue.amazonaws.com",
            "a-bucket.s3.eu-west-1.amazonaws.com",
            "sts.amazonaws.com",
            "budgets.amazonaws.com",
            "bedrock-agent.eu-west-1.amazonaws.com",
            "db.abc.eu-west-1.rds.amazonaws.com",
        ]
        .into_iter()
        .enumerate()
        {
            let address = ["192.0.2.1".parse().unwrap()];
            let mark = coverage.mark(&name.parse().unwrap(), address.into_iter()).unwrap();
            coverage.count(mark, 10 - u64::try_from(at).unwrap());
        }
        insta::assert_snapshot!(screen(&document(&coverage)), @r"
        names of AWS that were answered with public addresses in 60 min

              10  sts.eu-west-1.amazonaws.com
                  missing: no source has an endpoint of com.amazonaws.eu-west-1.sts

               9  sqs.eu-west-1.amazonaws.com
                  answered: every view answers it by now

               8  eu-west-1.queue.amazonaws.com
                  unpublished: the service's endpoint answers other names: give it this one by [[answers.alias]]
                  endpoints: vpce-1

               7  *.s3.eu-west-1.amazonaws.com
                  declined: vpce-2: answers.deny has s3
                       7  a-bucket.s3.eu-west-1.amazonaws.com

               6  sts.amazonaws.com
                  missing: no source has an endpoint of sts, which would have it by an alias

               5  budgets.amazonaws.com
                  no_service: no endpoint service is known to have it

               4  bedrock-agent.eu-west-1.amazonaws.com
                  missing: no source has an endpoint of com.amazonaws.eu-west-1.bedrock-agent, which most likely would have it

               3  other names of eu-west-1
                  other: no SDK calls these; coverage.names keeps which they are
                       3  db.abc.eu-west-1.rds.amazonaws.com

        names that SDKs call are those of botocore 1.44.5
        ");
    }
}
