//! A start without AWS is an ordinary start.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use crate::{
    SOON, SQS, await_answer, lines_with, measured, recorded, small_hub, source, source_at, status,
    support::{Ec2Double, Hubdns, eventually, free_port},
};

/// Generous: a debug build beside other tests. The figure itself is printed.
const FIRST_ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Asks over UDP until `address` is among the answers, from the moment of the start.
#[track_caller]
fn until_first_answer(daemon: &Hubdns, start: Instant, address: Ipv4Addr) -> Duration {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(daemon.dns()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in SQS.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    while start.elapsed() < FIRST_ANSWER_LIMIT {
        let mut answer = [0; 512];
        // Refused by ICMP until the socket is open.
        match socket.send(&query).and_then(|_| socket.recv(&mut answer)) {
            Ok(len) => {
                assert_eq!(answer[3] & 0x0f, 0, "the first answer is an error");
                let given = answer[..len].windows(4).any(|bytes| bytes == address.octets());
                assert!(given, "the first answer is not the endpoint's");
                return start.elapsed();
            }
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("no answer within {FIRST_ANSWER_LIMIT:?}: {}", daemon.log());
}

/// Accepts connections and says nothing.
fn silent_listener() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let open: Vec<_> = listener.incoming().collect();
        drop(open);
    });
    address
}

const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 10);

#[test]
fn with_a_last_good_file_aws_is_not_waited_for() {
    let mut double = Ec2Double::start();
    small_hub(&double);
    let mut daemon = Hubdns::start(&source(&double));
    let hash = status(&daemon)["table_hash"].clone();
    assert!(daemon.terminate().success());
    double.stop();

    let start = Instant::now();
    daemon.spawn_again();
    let took = until_first_answer(&daemon, start, FIRST);
    measured("start to first answer, connections to AWS refused", took);
    daemon.wait_ready();
    assert_eq!(status(&daemon)["table_hash"], hash);
    eventually("the failed round is told", SOON, || {
        lines_with(&daemon, "\"code\":\"connect\"").pop()
    });
    let status = status(&daemon);
    assert_eq!(status["sources"][0]["from_state_file"], true, "{status}");
    assert!(daemon.dig(&format!("{SQS} A")).data("A").contains(&"10.0.1.10"));
}

#[test]
fn a_silent_aws_delays_no_answer() {
    let silent = silent_listener();
    let (mut daemon, double) = daemon_with_file();
    daemon.write_config(&source_at(silent));
    let start = Instant::now();
    daemon.spawn_again();
    let took = until_first_answer(&daemon, start, FIRST);
    measured("start to first answer, AWS silent", took);
    // The end does not wait for AWS either.
    let start = Instant::now();
    assert!(daemon.terminate().success());
    measured("SIGTERM to the end, AWS silent", start.elapsed());
    assert!(start.elapsed() < FIRST_ANSWER_LIMIT);
    drop(double);
}

#[test]
fn a_silent_metadata_service_delays_no_answer() {
    let metadata = format!("http://{}", silent_listener());
    let (files, double) = daemon_with_file();
    let state = files.dir().join("inventory.json").display().to_string();
    let config =
        source(&double) + &format!("[refresh]\ninterval_secs = 5\nstate_file = \"{state}\"\n");
    let start = Instant::now();
    let daemon = Hubdns::spawn(
        &config,
        &[
            ("AWS_ACCESS_KEY_ID", ""),
            ("AWS_SECRET_ACCESS_KEY", ""),
            ("AWS_REGION", ""),
            ("AWS_DEFAULT_REGION", ""),
            ("AWS_EC2_METADATA_DISABLED", ""),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata),
        ],
    );
    let took = until_first_answer(&daemon, start, FIRST);
    measured("start to first answer, metadata service silent", took);
    eventually("what is missing is told", Duration::from_secs(40), || {
        lines_with(&daemon, "no AWS region: set `region`").pop()
    });
    assert_eq!(daemon.get("/readyz").0, 200);
}

/// A daemon that has ended and left its last good file.
fn daemon_with_file() -> (Hubdns, Ec2Double) {
    let double = Ec2Double::start();
    small_hub(&double);
    let mut daemon = Hubdns::start(&source(&double));
    assert!(daemon.terminate().success());
    (daemon, double)
}

#[test]
fn without_a_file_it_is_not_there_until_aws_is() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut daemon = Hubdns::spawn(&source_at(address), &[]);
    let reasons = eventually("a round has failed", SOON, || {
        let (code, text) = crate::support::http_get(daemon.admin(), "/readyz").ok()?;
        assert_eq!(code, 503);
        text.contains("source hub").then_some(text)
    });
    assert!(reasons.contains("no table is in force yet"), "{reasons}");
    assert!(reasons.contains("cannot reach AWS for DescribeVpcEndpoints"), "{reasons}");
    assert!(reasons.contains("no DNS socket is bound yet"), "{reasons}");
    assert_eq!(daemon.get("/livez").0, 200);
    assert_eq!(daemon.get("/api/v1/names").0, 503);

    // A client learns at once that nobody is there, and goes to the next hub.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(daemon.dns()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket.send(&[0; 12]).unwrap();
    let error = socket.recv(&mut [0; 512]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

    let double = Ec2Double::start_at(address);
    small_hub(&double);
    daemon.wait_ready();
    await_answer(&daemon, SQS, &["10.0.1.10", "10.0.2.10"], SOON);
}

#[test]
fn no_table_is_in_force_before_every_source_has_told_something() {
    let double = Ec2Double::start();
    small_hub(&double);
    double.fault(serde_json::json!({ "action": "DescribeVpcEndpoints", "kind": "delay",
        "delay_ms": 2_000 }));
    let start = Instant::now();
    let daemon = Hubdns::start(&(recorded() + &source(&double)));
    // With the files alone, names of the other source would have been forwarded until now.
    assert!(Duration::from_secs(2) <= start.elapsed());
    assert_eq!(status(&daemon)["sources"][1]["endpoints"], 1);
}
