//! `hubdns reload`, `drain` and `status`: what a person or a script asks of a running daemon.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    SOON, SQS, await_metric,
    commands::{Ran, ran},
    nudge, recorded, status,
    support::{Hubdns, Unbound, dig_at, eventually, free_port},
    upstream,
};

/// A drain's end, and the rest of the daemon's.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_reload_says_what_is_in_force_and_it_is() {
    // With an upstream: that there is none is a warning.
    let config = recorded() + "[forward]\nupstreams = [\"127.0.0.9\"]\n";
    let mut daemon = Hubdns::start(&config);
    let Ran { code, out, err } = ran(&mut daemon.command("reload"));
    let nothing = "nothing has changed; the sources are asked again\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), nothing, ""));
    let (old, new) = (daemon.dns(), std::net::SocketAddr::from(([127, 0, 0, 1], free_port())));
    let more = format!(
        "[server]\nlisten = [\"{old}\", \"{new}\"]\n\
         [admin]\nlisten = \"127.0.0.1:{}\"\n\
         [[answers.alias]]\nname = \"queue.example\"\nservice = \"sqs\"\n",
        free_port()
    );
    daemon.write_config(&(config + &more));
    let Ran { code, out, err } = ran(&mut daemon.command("reload"));
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (
            Some(0),
            "in force: [server], [clients], [answers], [[view]] or [zones]\n\
             at the next start: admin.listen\n",
            ""
        )
    );
    // At once, since it has waited for it.
    assert_eq!(dig_at(new, "queue.example A").data("A").len(), 3);
}

/// Compared is what runs, until it is started again.
#[test]
fn what_waits_for_the_next_start_is_told_as_long_as_it_waits_and_no_longer() {
    let config = recorded() + "[forward]\nupstreams = [\"127.0.0.9\"]\n";
    let mut daemon = Hubdns::start(&config);
    let in_force = |daemon: &Hubdns| {
        let (_, document) = daemon.get("/api/v1/config");
        document
    };
    let before = in_force(&daemon);
    let told = |daemon: &mut Hubdns| {
        let reload = ran(&mut daemon.command("reload"));
        let plan = ran(&mut daemon.command("plan"));
        assert_eq!(reload.code, Some(0), "{}", reload.err);
        let waits = |it: &Ran| it.out.contains("at the next start: admin.listen, log.format");
        assert_eq!(waits(&reload), waits(&plan), "{}{}", reload.out, plan.out);
        (waits(&reload), plan.code)
    };
    let more =
        format!("[admin]\nlisten = \"127.0.0.1:{}\"\n[log]\nformat = \"text\"\n", free_port());
    daemon.write_config(&(config.clone() + &more));
    for _ in 0..2 {
        assert_eq!(told(&mut daemon), (true, Some(2)));
        assert_eq!(in_force(&daemon), before);
    }
    daemon.write_config(&config);
    for _ in 0..2 {
        assert_eq!(told(&mut daemon), (false, Some(0)));
    }
    // From a folder above, and so with another spelling of each path in it.
    let above = daemon.dir().parent().unwrap().to_owned();
    let name = daemon.dir().file_name().unwrap().to_str().unwrap().to_owned();
    let words = ["plan", "--config", &format!("{name}/hubdns.toml")];
    let plan = ran(crate::support::hubdns(&above).args(words));
    assert_eq!(plan.code, Some(0), "{}{}", plan.out, plan.err);
}

#[test]
fn a_reload_that_is_refused_shows_every_problem_as_check_does_and_changes_nothing() {
    // With an upstream: of none `check` warns besides.
    let config = recorded() + "[forward]\nupstreams = [\"127.0.0.9\"]\n";
    let mut daemon = Hubdns::start(&config);
    let before = status(&daemon);
    daemon.write_config(&format!("{config}[answers]\nttl_secs = 0\n[cache]\nentries = \"many\"\n"));
    let Ran { code, out, err } = ran(&mut daemon.command("reload"));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    let checked = ran(&mut daemon.command("check"));
    assert_eq!(checked.code, Some(1));
    for line in checked.err.lines().filter(|line| line.contains("error") || line.contains('^')) {
        assert!(err.contains(line.trim()), "{line}\nis not in\n{err}");
    }
    assert!(err.contains("refused; the configuration in force stays"), "{err}");
    // Nothing in it can be read, the socket's place neither: there is another way to the daemon.
    daemon.write_config(&format!("{config}oops\n"));
    let socket = daemon.dir().join("control.sock").display().to_string();
    for words in ["status", "refresh", "coverage", "flush"] {
        let Ran { code, err, .. } = ran(&mut daemon.command(words));
        assert!(code == Some(1) && err.contains("`--socket PATH`"), "{words}: {err}");
        let words = [words, "--socket", &socket];
        let Ran { code, err, .. } = ran(crate::support::hubdns(daemon.dir()).args(words));
        assert_eq!(code, Some(0), "{words:?}: {err}");
    }
    for key in ["generation", "table_hash", "listeners"] {
        assert_eq!(status(&daemon)[key], before[key]);
    }
    fs::remove_file(daemon.dir().join("hubdns.toml")).unwrap();
    let socket = daemon.dir().join("control.sock").display().to_string();
    let reload = ["reload", "--socket", &socket];
    let Ran { code, err, .. } = ran(crate::support::hubdns(daemon.dir()).args(reload));
    assert!(code == Some(1) && err.contains("cannot read"), "{err}");
}

#[test]
fn reloads_that_come_together_are_few_and_each_is_answered() {
    let unbound = Unbound::start();
    let daemon = Hubdns::start(&(recorded() + &upstream(&unbound)));
    thread::scope(|scope| {
        let reloads = [(); 24].map(|()| scope.spawn(|| ran(&mut daemon.command("reload")).code));
        for reload in reloads {
            assert_eq!(reload.join().unwrap(), Some(0));
        }
    });
    let done = daemon.metric("hubdns_config_reloads_total{outcome=\"done\"}").unwrap();
    assert!((1.0..=24.0).contains(&done), "{done}");
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 3);
}

#[test]
fn a_drain_takes_readiness_and_leaves_answers_until_the_daemon_ends() {
    let mut daemon = Hubdns::start(&recorded());
    let started = Instant::now();
    let Ran { code, out, err } = ran(&mut daemon.command("drain --for 3"));
    let told = "not ready; answers go on for 3 s, and then hubdns ends\n";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), told, ""));
    let (ready, reasons) = daemon.get("/readyz");
    assert!(ready == 503 && reasons.starts_with("draining: answers go on"), "{reasons}");
    assert_eq!(daemon.get("/livez").0, 200);
    assert_eq!(daemon.dig(&format!("{SQS} A")).data("A").len(), 3);
    let ended = daemon.process().wait(ENDS_WITHIN);
    assert_eq!(ended.code(), Some(0), "{ended}");
    assert!(Duration::from_secs(3) <= started.elapsed(), "{:?}", started.elapsed());
}

#[test]
fn a_drain_can_be_undone_and_a_reload_does_not_undo_it() {
    let mut daemon = Hubdns::start(&recorded());
    assert_eq!(ran(&mut daemon.command("drain --for 3600")).code, Some(0));
    nudge(&mut daemon);
    await_metric(&daemon, "hubdns_config_reloads_total{outcome=\"done\"}", 1.0);
    assert_eq!(daemon.get("/readyz").0, 503);
    // The last word counts.
    assert_eq!(ran(&mut daemon.command("drain --for 2")).code, Some(0));
    let Ran { code, out, .. } = ran(&mut daemon.command("drain --cancel"));
    assert_eq!((code, out.as_str()), (Some(0), "not draining\n"));
    assert_eq!(daemon.get("/readyz").0, 200);
    thread::sleep(Duration::from_millis(2_500));
    assert_eq!(daemon.get("/readyz").0, 200);
    assert_eq!(ran(&mut daemon.command("drain --for 60 --cancel")).code, Some(2));
    assert_eq!(ran(&mut daemon.command("drain --for -1")).code, Some(2));
}

#[test]
fn status_tells_of_a_ready_daemon_and_of_one_that_is_not() {
    let daemon = Hubdns::start(&recorded());
    let Ran { code, out, err } = ran(&mut daemon.command("status"));
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let hash = status(&daemon)["table_hash"].as_str().unwrap().to_owned();
    assert!(out.starts_with("ready ") && out.contains(&hash), "{out}");
    assert!(out.contains(&daemon.dns().to_string()), "{out}");
    ran(&mut daemon.command("drain --for 3600"));
    let Ran { code, out, .. } = ran(&mut daemon.command("status"));
    assert!(code == Some(1) && out.starts_with("NOT READY"), "{out}");
    assert!(out.contains("draining"), "{out}");
    let Ran { code, out, .. } = ran(&mut daemon.command("status --format json"));
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["ready"]), (Some(1), &json!(false)));
    assert_eq!(document["table_hash"], json!(hash));
}

#[test]
fn orders_are_taken_from_the_control_socket_alone_and_need_a_daemon() {
    let mut daemon = Hubdns::start(&recorded());
    for path in ["/api/v1/reload", "/api/v1/drain?secs=0", "/api/v1/undrain"] {
        assert_eq!(daemon.get(path).0, 404, "the admin listener knows no {path}");
        let (code, _) = crate::support::http_post(daemon.admin(), path, "").unwrap();
        assert_eq!(code, 405, "{path}");
    }
    daemon.terminate();
    for command in ["reload", "drain", "status"] {
        let Ran { code, err, .. } = ran(&mut daemon.command(command));
        assert!(code == Some(1) && err.contains("hubdns is not running"), "{command}: {err}");
    }
}

/// Orders wait for the first table no longer than reloads by a signal do.
#[test]
fn before_the_first_table_orders_are_carried_out_as_well() {
    let nobody = ([127, 0, 0, 1], free_port()).into();
    let mut daemon = Hubdns::spawn(&crate::source_at(nobody), &[]);
    let status = |daemon: &Hubdns| ran(&mut daemon.command("status"));
    let out = eventually("it tells its status", SOON, || {
        let Ran { out, .. } = status(&daemon);
        out.starts_with("NOT READY").then_some(out)
    });
    assert!(out.contains("no table is in force yet"), "{out}");
    daemon.write_config(&recorded());
    assert_eq!(ran(&mut daemon.command("reload")).code, Some(0));
    daemon.wait_ready();
    assert_eq!(status(&daemon).code, Some(0));
}
