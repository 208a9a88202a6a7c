//! `hubdns demo`: a recorded hub from inside the binary.

use std::{net::SocketAddr, process::ExitCode};

use super::{args::DemoArgs, color, complain, run, say, show};
use crate::{
    app::{Held, Inheritance, try_places},
    config::{self, Config, render_all},
    discover::{SourceConfig, SourceKind},
    telemetry::init_log,
};

pub(super) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let config = match demo_config(args) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    let problems = try_places(&config, &Held::default());
    if !problems.is_empty() {
        show(&render_all(&problems, color()));
        complain("hubdns demo takes other addresses with --listen and --admin");
        return Ok(ExitCode::FAILURE);
    }
    init_log(config.log, Some("warn"), color());
    let reloaded = config.clone();
    let (admin, upstream) = (args.admin, args.upstream);
    run::serve(
        config,
        Box::new(move || Ok(reloaded.clone())),
        Inheritance::default(),
        move |listening| {
            let welcome = listening.first().map(|address| welcome(*address, admin, upstream));
            // A terminal that has gone away does not end the demo.
            let _ = say(&welcome.unwrap_or_default());
        },
    )
}

/// The daemon's own configuration, with the recording for its source.
fn demo_config(args: &DemoArgs) -> Result<Config, String> {
    let upstreams = args.upstream.map(|upstream| format!("\"{upstream}\"")).unwrap_or_default();
    let text = format!(
        r#"[server]
listen = ["{}"]
identity = "hubdns-demo"
[[source]]
name = "demo"
kind = "files"
path = "."
[refresh]
state_file = ""
[forward]
upstreams = [{upstreams}]
[health]
probe = "off"
[admin]
listen = "{}"
[control]
socket = ""
[log]
format = "text"
"#,
        args.listen, args.admin
    );
    let mut config = config::parse(&text, "the demo's configuration")
        .map_err(|errors| errors.render(color()))?;
    config.sources = vec![SourceConfig {
        name: "demo".into(),
        kind: SourceKind::Demo,
        vpc_ids: Vec::new(),
        subnets: false,
        interval: None,
        tags: Default::default(),
    }];
    Ok(config)
}

/// What to try, one line each.
fn welcome(dns: SocketAddr, admin: SocketAddr, upstream: Option<SocketAddr>) -> String {
    let dig = format!("dig @{} -p {}", dns.ip(), dns.port());
    let others = match upstream {
        Some(upstream) => format!("forwarded to {upstream}"),
        None => "not ours, and the demo forwards nowhere: SERVFAIL, and EDE says why".to_owned(),
    };
    format!(
        "hubdns demo: a recorded hub of 27 endpoints in three zones, answering on {dns}

  {dig} sqs.eu-west-1.amazonaws.com
      the endpoint's address in each zone, another one first each time
  {dig} 111122223333.dkr.ecr.eu-west-1.amazonaws.com AAAA
      ours by a wildcard; IPv4 only, so an empty answer and never a public address
  {dig} example.com
      {others}

  http://{admin}/      the page: what is answered, from what, and why; with a browser
  curl http://{admin}/api/v1/names      the same for programs
  Ctrl-C ends it.
"
    )
}

#[cfg(test)]
mod tests {
    use super::{demo_config, welcome};
    use crate::cli::args::DemoArgs;

    #[test]
    fn the_demo_has_no_doubts_about_itself_but_its_missing_upstream() {
        let address = |text: &str| text.parse().unwrap();
        let mut args = DemoArgs {
            listen: address("127.0.0.1:0"),
            admin: address("127.0.0.1:0"),
            upstream: None,
        };
        let warnings = demo_config(&args).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        args.upstream = Some(address("127.0.0.2:53"));
        assert!(demo_config(&args).unwrap().warnings.is_empty());
    }

    #[test]
    fn three_lines_are_to_try_and_the_number_of_endpoints_is_true() {
        let text = welcome("127.0.0.1:5300".parse().unwrap(), "127.0.0.1:1".parse().unwrap(), None);
        assert_eq!(text.lines().filter(|line| line.starts_with("  dig ")).count(), 3);
        let endpoints = crate::discover::demo().endpoints.len();
        assert!(text.contains(&format!("{endpoints} endpoints")));
    }
}
