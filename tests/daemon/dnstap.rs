//! dnstap to the receiver of its own makers, read by BIND's reader.

use std::process::Command;

use crate::{
    SOON, SQS, await_metric, recorded,
    support::{Hubdns, Process, Unbound, eventually},
    upstream,
};

const CONNECTED: &str = "hubdns_dnstap_connected";
const SENT: &str = "hubdns_query_log_records_total{output=\"dnstap\"}";
const UNSENT: &str = "hubdns_query_log_dropped_total{output=\"dnstap\",reason=\"write\"}";

fn receiver(daemon: &Hubdns, file: &str) -> Process {
    let mut command = Command::new("fstrm_capture");
    let socket = daemon.dir().join("dnstap.sock");
    command.args(["-t", "protobuf:dnstap.Dnstap", "-u"]).arg(socket);
    command.arg("-w").arg(daemon.dir().join(file));
    Process::spawn("fstrm_capture", &mut command, daemon.dir())
}

/// The messages in a file, a document of YAML each.
fn messages(daemon: &Hubdns, file: &str) -> Vec<String> {
    let output = Command::new("dnstap-read").arg("-y").arg(daemon.dir().join(file)).output();
    let output = output.expect("dnstap-read of bind9-utils");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.split("---\n").filter(|it| it.contains("message:")).map(str::to_owned).collect()
}

#[track_caller]
fn has(message: &str, lines: &[&str]) {
    for line in lines {
        assert!(message.lines().any(|it| it.trim() == *line), "{line} lacks:\n{message}");
    }
}

#[test]
fn a_receiver_that_comes_goes_and_comes_back_gets_each_question_and_answer_while_it_is_there() {
    let unbound = Unbound::start();
    let config = recorded()
        + &upstream(&unbound)
        + "[dnstap]\nsocket = \"{dir}/dnstap.sock\"\n"
        + "[server]\nlisten = [\"127.0.0.1:{dns_port}\"]\nidentity = \"hub-a\"\n";
    let daemon = Hubdns::start(&config);
    // Nobody is there: the answer comes, and is told to nobody.
    assert_eq!(daemon.dig(&format!("{SQS} A")).status, "NOERROR");
    await_metric(&daemon, UNSENT, 2.0);

    let mut first = receiver(&daemon, "first");
    await_metric(&daemon, CONNECTED, 1.0);
    daemon.dig(&format!("{SQS} A"));
    daemon.dig("+tcp nothing.corp.example AAAA");
    await_metric(&daemon, SENT, 4.0);
    first.terminate(SOON);
    let messages_of_first = messages(&daemon, "first");
    let [asked, answered, forwarded, denied] = &messages_of_first[..] else {
        panic!("{messages_of_first:?}")
    };
    let port = format!("response_port: {}", daemon.dns_port());
    let common =
        ["identity: hub-a", "socket_family: INET", "response_address: \"127.0.0.1\"", &port];
    for message in &messages_of_first {
        has(message, &common);
    }
    has(asked, &["type: CLIENT_QUERY", "socket_protocol: UDP", &format!("- '{SQS}. IN A'")]);
    has(answered, &["type: CLIENT_RESPONSE", "status: NOERROR", "ANSWER: 3"]);
    has(forwarded, &["type: CLIENT_QUERY", "socket_protocol: TCP"]);
    has(denied, &["type: CLIENT_RESPONSE", "status: NXDOMAIN", "AUTHORITY: 1"]);

    // It is gone, which is found out by the next question; the one after that is told again.
    let mut second = receiver(&daemon, "second");
    eventually("messages to the receiver that came back", SOON, || {
        assert_eq!(daemon.dig(&format!("{SQS} MX")).status, "NOERROR");
        (daemon.metric(CONNECTED) == Some(1.0) && Some(4.0) < daemon.metric(SENT)).then_some(())
    });
    second.terminate(SOON);
    assert!(!messages(&daemon, "second").is_empty());
}
