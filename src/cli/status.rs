//! `hubdns status`: how a running daemon stands, on one screen.

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    thread,
    time::Duration,
};

use super::{
    Reader,
    args::{Format, StatusArgs},
    ask,
    fold::folded,
    printable_lines, repaint, run, say_on, small_runtime,
};
use crate::{
    admin::json::{
        ErrorDocument, RoundDocument, SourceDocument, StatusDocument, UnkeptDocument, from_text,
        to_text,
    },
    base::{age, count, printable},
};

/// Prints it; the exit status tells whether the daemon is ready. To watch goes on until it is
/// interrupted or nobody reads any more.
pub(super) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let socket = match ask::socket(&args.daemon) {
        Ok(socket) => socket,
        Err(text) => return run::refuse(&text),
    };
    let runtime = small_runtime()?;
    let look = || -> anyhow::Result<StatusDocument> {
        Ok(from_text(&runtime.block_on(ask::look(&socket, "/api/v1/status"))?)?)
    };
    let on_terminal = io::stdout().is_terminal();
    loop {
        let looked = look();
        let text = match (&looked, args.daemon.format) {
            (Ok(status), Format::Text) => folded(&screen(status)),
            (Ok(status), Format::Json) => to_text(status),
            // Who watches a restart wants to see it come back, and silence is no news.
            (Err(error), Format::Text) if args.watch.is_some() => {
                folded(&(printable_lines(&format!("{error:#}")) + "\n"))
            }
            (Err(error), Format::Json) if args.watch.is_some() => {
                to_text(&ErrorDocument { error: format!("{error:#}") })
            }
            (Err(_), _) => String::new(),
        };
        let reader = match (args.watch, args.daemon.format) {
            (Some(_), Format::Text) if on_terminal => repaint(&text)?,
            (_, _) => say_on(&text)?,
        };
        let Some(secs) = args.watch else {
            return Ok(if looked?.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        };
        if reader == Reader::Gone {
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(Duration::from_secs(secs.into()));
    }
}

fn screen(status: &StatusDocument) -> String {
    let mut lines = vec![match status.ready {
        true => format!("ready      hubdns {}", status.version),
        false => format!("NOT READY  hubdns {}", status.version),
    }];
    let mut line = |head: &str, text: String| lines.push(format!("{head:<11}{text}"));
    for reason in &status.reasons {
        line("", printable(reason));
    }
    let hash = status.table_hash.as_deref().unwrap_or("none yet");
    line("table", format!("generation {}, hash {hash}", status.generation));
    for view in &status.views {
        let (name, declined) = (printable(&view.name), view.declined);
        let names = count(view.names, "name", "names");
        line("view", format!("{name}: {names}, {declined} not answered"));
    }
    for it in &status.sources {
        line("source", source(it));
        if let Some(why) = &it.held_back {
            line("held back", format!("{}: {}", printable(&it.name), printable(why)));
        }
    }
    for drained in &status.drained_zones {
        line("drained", format!("zone {} since {}", printable(&drained.zone), drained.since));
    }
    for flapping in &status.flapping {
        let changes = count(flapping.changes.into(), "change", "changes");
        line("flapping", format!("{}: {changes}", flapping.ip));
    }
    if let Some(it) = &status.last_round {
        line("round", round(it));
    }
    if let Some(UnkeptDocument { error, age_secs }) = &status.unkept {
        line("disk", format!("{}, first {} ago", printable(error), age(*age_secs)));
        line("", "a restart without AWS would serve what it held before, if anything".to_owned());
    }
    for failing in &status.failing_upstreams {
        let (address, zones) = (printable(&failing.address), printable(&failing.asked_for()));
        line("upstream", format!("{address} does not answer; it is asked for {zones}"));
    }
    if let Some(budget) = &status.budget {
        let (packets, peak, hard) = (budget.packets, budget.peak, budget.hard);
        let upstreams = budget.upstreams.join(", ");
        line("upstreams", format!("{upstreams}: {packets} packets/s, peak {peak} of {hard}"));
    }
    let listeners: Vec<String> = status.listeners.iter().map(ToString::to_string).collect();
    line("listeners", if listeners.is_empty() { "none".to_owned() } else { listeners.join(", ") });
    lines.join("\n") + "\n"
}

fn source(source: &SourceDocument) -> String {
    let endpoints = count(source.endpoints, "endpoint", "endpoints");
    let told = match (source.age_secs, source.from_state_file) {
        (None, _) => "nothing told yet, so its names are not answered".to_owned(),
        (Some(secs), false) => format!("{endpoints}, told {} ago", age(secs)),
        (Some(secs), true) => {
            format!("{endpoints}, from the state file, {} old", age(secs))
        }
    };
    let error = source.error.as_deref().map(|error| format!("; FAILS: {}", printable(error)));
    let lack = source.lack.as_deref().map(|lack| format!("; without {}", printable(lack)));
    let ills: String = error.into_iter().chain(lack).collect();
    format!("{}: {told}{ills}", printable(&source.name))
}

fn round(round: &RoundDocument) -> String {
    let why = round.reason.as_deref().map(|reason| format!(": {}", printable(reason)));
    format!("{} {} ago{}", round.outcome, age(round.age_secs), why.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::screen;
    use crate::admin::json::{
        DrainedZoneDocument, FlappingDocument, RoundDocument, SourceDocument, StatusDocument,
        UnkeptDocument, UpstreamDocument, ViewSummary,
    };

    fn hub() -> SourceDocument {
        SourceDocument {
            name: "hub".to_owned(),
            age_secs: Some(12),
            from_state_file: false,
            endpoints: 31,
            error: None,
            lack: None,
            missing_permissions: vec![],
            held_back: None,
        }
    }

    fn document() -> StatusDocument {
        StatusDocument {
            version: "0.1.0".to_owned(),
            ready: true,
            reasons: vec![],
            generation: 7,
            table_hash: Some("0123456789abcdef".to_owned()),
            config_hash: None,
            listeners: vec!["10.0.0.10:53".parse().unwrap(), "[fd00::10]:53".parse().unwrap()],
            views: vec![ViewSummary { name: "default".to_owned(), names: 120, declined: 4 }],
            loops: vec![],
            budget: None,
            aws_hosts: None,
            failing_upstreams: vec![],
            unkept: None,
            sources: vec![hub()],
            drained_zones: vec![],
            flapping: vec![],
            last_round: Some(RoundDocument {
                age_secs: 12,
                outcome: "unchanged".to_owned(),
                reason: None,
            }),
        }
    }

    fn failing() -> UpstreamDocument {
        UpstreamDocument {
            address: "10.0.0.3:53".to_owned(),
            zones: [".", "corp.example", "onprem: ."].map(str::to_owned).to_vec(),
            state: "failing".to_owned(),
            rtt_micros: None,
            asked_without: vec![],
            limited: false,
            trusted: false,
        }
    }

    #[test]
    fn a_daemon_in_order_is_a_line_a_thing() {
        insta::assert_snapshot!(screen(&document()), @r"
        ready      hubdns 0.1.0
        table      generation 7, hash 0123456789abcdef
        view       default: 120 names, 4 not answered
        source     hub: 31 endpoints, told 12 s ago
        round      unchanged 12 s ago
        listeners  10.0.0.10:53, [fd00::10]:53
        ");
    }

    #[test]
    fn what_is_wrong_stands_where_it_is_seen_and_reaches_no_terminal() {
        let mut status = document();
        status.ready = false;
        status.reasons = vec!["draining: answers go on".to_owned()];
        status.table_hash = None;
        status.listeners = vec![];
        status.sources[0].from_state_file = true;
        status.sources[0].error = Some("EC2 refused \u{1b}[31m".to_owned());
        status.sources[0].lack = Some("zones: no ec2:DescribeSubnets".to_owned());
        status.drained_zones = vec![DrainedZoneDocument::new("euw1-az1", 1_700_000_000)];
        status.flapping = vec![FlappingDocument { ip: "10.0.1.5".parse().unwrap(), changes: 6 }];
        let late = SourceDocument { name: "late".to_owned(), age_secs: None, ..hub() };
        status.sources.push(late);
        status.failing_upstreams = vec![failing()];
        let error = "cannot write the state file /s: no\u{7} room".to_owned();
        status.unkept = Some(UnkeptDocument { error, age_secs: 5_000 });
        insta::assert_snapshot!(screen(&status), @r"
        NOT READY  hubdns 0.1.0
                   draining: answers go on
        table      generation 7, hash none yet
        view       default: 120 names, 4 not answered
        source     hub: 31 endpoints, from the state file, 12 s old; FAILS: EC2 refused \u{1b}[31m; without zones: no ec2:DescribeSubnets
        source     late: nothing told yet, so its names are not answered
        drained    zone euw1-az1 since 2023-11-14T22:13:20Z
        flapping   10.0.1.5: 6 changes
        round      unchanged 12 s ago
        disk       cannot write the state file /s: no\u{7} room, first 83 min ago
                   a restart without AWS would serve what it held before, if anything
        upstream   10.0.0.3:53 does not answer; it is asked for all that is in no zone, corp.example, onprem: all that is in no zone
        listeners  none
        ");
    }
}
