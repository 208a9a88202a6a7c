//! `hubdns doctor`: a check-list, each line with what to do next. It changes nothing.

mod aliases;
mod aws;
mod daemon;
mod endpoints;
mod host;
mod outside;
mod views;

use std::{fmt::Write as _, process::ExitCode};

use super::{
    args::{DoctorArgs, Format},
    fold::folded,
    peers::look_at_peers,
    printable_lines,
    progress::waiting,
    run, say, small_runtime,
};
use crate::{
    admin::json::{CheckDocument, CheckResult, DoctorDocument, to_text},
    app::{ask_sources, host_lookup, now_secs},
    base::printable,
};

/// The lines, in the order in which they are told.
#[derive(Default)]
pub(super) struct CheckList(Vec<CheckDocument>);

pub(super) fn doctor(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let config = match run::load(&args.config.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    let mut list = CheckList::default();
    list.passed("configuration", format!("{} is good", args.config.config.display()));
    for warning in &config.warnings {
        let what = warning.to_string();
        list.warned("configuration", what, "`hubdns check` shows the place");
    }
    small_runtime()?.block_on(async {
        let running = daemon::look(&mut list, &config).await;
        daemon::look_at_ports(&mut list, &config, running.as_ref()).await;
        daemon::look_at_certificates(&mut list, &config, now_secs());
        host::look(&mut list, &config, running.as_ref()).await;
        let lookup = host_lookup(&config);
        let asked = waiting("asking the sources", ask_sources(&config, &lookup)).await;
        outside::look_at_sources(&mut list, &asked);
        let names = endpoints::names(&config, &asked).await;
        let names = names.as_ref();
        let of_aws = aws::look(&mut list, &config, &asked, names, &now_secs);
        waiting("trying what AWS allows", of_aws).await;
        waiting("looking AWS's hosts up", outside::look_at_aws_hosts(&mut list, &config)).await;
        waiting("asking the upstreams", outside::look_at_upstreams(&mut list, &config)).await;
        let of_endpoints = endpoints::look(&mut list, &config, names);
        waiting("connecting to the endpoints", of_endpoints).await;
        waiting("looking at the views", views::look(&mut list, &config, &asked)).await;
        let of_peers = look_at_peers(&mut list, &config, &args.peers);
        waiting("asking the other hubs", of_peers).await;
    });
    let document = DoctorDocument { checks: list.0 };
    say(&match args.format {
        Format::Text => folded(&render(&document)),
        Format::Json => to_text(&document),
    })?;
    let failed = document.checks.iter().any(|check| check.result == CheckResult::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A line a check, and below one that did not pass what to do.
fn render(document: &DoctorDocument) -> String {
    let mut text = String::new();
    for CheckDocument { about, result, what, next } in &document.checks {
        let result = match result {
            CheckResult::Passed => "passed",
            CheckResult::Warned => "warned",
            CheckResult::Failed => "failed",
            CheckResult::Skipped => "skipped",
        };
        // Writing to a text does not fail.
        let _ = writeln!(text, "{result:<7} {}: {}", printable(about), printable_lines(what));
        if let Some(next) = next {
            let _ = writeln!(text, "        next: {}", printable_lines(next));
        }
    }
    text
}

// === impl CheckList ===

impl CheckList {
    pub(super) fn passed(&mut self, about: &str, what: String) {
        self.add(CheckResult::Passed, about, what, None);
    }

    pub(super) fn warned(&mut self, about: &str, what: String, next: &str) {
        self.add(CheckResult::Warned, about, what, Some(next));
    }

    pub(super) fn failed(&mut self, about: &str, what: String, next: &str) {
        self.add(CheckResult::Failed, about, what, Some(next));
    }

    /// What could not be looked at, with what it would take.
    pub(super) fn skipped(&mut self, about: &str, what: String, next: &str) {
        self.add(CheckResult::Skipped, about, what, Some(next));
    }

    fn add(&mut self, result: CheckResult, about: &str, what: String, next: Option<&str>) {
        let about = about.to_owned();
        self.0.push(CheckDocument { about, result, what, next: next.map(str::to_owned) });
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckList, DoctorDocument, render};

    #[test]
    fn what_others_say_moves_no_cursor() {
        let mut list = CheckList::default();
        list.warned("source \u{1b}[2J", "EC2 says \u{9b}2J\r".to_owned(), "type\nthis \u{1b}c");
        let told = render(&DoctorDocument { checks: list.0 });
        assert_eq!(
            told,
            "warned  source \\u{1b}[2J: EC2 says \\u{9b}2J\\r\n        next: type\nthis \\u{1b}c\n"
        );
    }
}
