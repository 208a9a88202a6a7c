//! Which threads come first when they all want the same core.

use std::{fs, time::Duration};

use crate::{
    recorded,
    support::{Hubdns, eventually},
};

/// Of each thread its name, niceness and policy as /proc/PID/task/TID/stat has them (proc(5)).
fn threads(daemon: &mut Hubdns) -> Vec<(String, i64, u32)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.process().id())).unwrap();
    // One that ends meanwhile has no file any more.
    let stats = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("stat")).ok());
    let thread = |stat: String| {
        let (head, rest) = stat.rsplit_once(") ").unwrap();
        let name = head.split_once('(').unwrap().1.to_owned();
        let fields: Vec<&str> = rest.split(' ').collect();
        (name, fields[19 - 3].parse().unwrap(), fields[41 - 3].parse().unwrap())
    };
    stats.map(thread).collect()
}

#[test]
fn what_compiles_stands_back_for_what_answers() {
    const OTHER: u32 = 0;
    const IDLE: u32 = 5;
    let mut daemon = Hubdns::start(&recorded());
    // A thread is as the one that started it until it has spoken.
    eventually("every thread has its place", Duration::from_secs(10), || {
        let threads = threads(&mut daemon);
        // As we were started ourselves.
        let (_, usual, _) = threads[0];
        let of = |name: &str| -> Vec<(i64, u32)> {
            threads.iter().filter(|it| it.0 == name).map(|it| (it.1, it.2)).collect()
        };
        let as_usual =
            |name| !of(name).is_empty() && of(name).iter().all(|it| *it == (usual, OTHER));
        let (worker, rest): (Vec<_>, Vec<_>) =
            of("hubdns-control").into_iter().partition(|it| it.1 == OTHER);
        let placed = as_usual("hubdns-udp")
            && as_usual("tokio-rt-worker")
            && worker == [(9.max(usual), OTHER)]
            && !rest.is_empty()
            && rest.iter().all(|it| it.1 == IDLE);
        placed.then_some(())
    });
}
