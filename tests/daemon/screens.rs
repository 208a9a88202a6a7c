//! What a person watches in a terminal, and what packages install beside the program.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    SOON, SQS,
    commands::{Ran, ran},
    recorded, small_hub, source,
    support::{Ec2Double, Hubdns, Process, eventually, hubdns},
};

#[test]
fn top_tells_what_is_asked_while_it_looks_and_of_which_service() {
    let daemon = Hubdns::start(&recorded());
    let asking = |daemon: &Hubdns| {
        for _ in 0..40 {
            daemon.dig(&format!("{SQS} A"));
            daemon.dig("+tcp nothing.corp.example AAAA");
            thread::sleep(Duration::from_millis(25));
        }
    };
    let looked = thread::scope(|scope| {
        let text = scope.spawn(|| ran(&mut daemon.command("top --interval 1")));
        let json = scope.spawn(|| ran(&mut daemon.command("top --interval 1 --format json")));
        asking(&daemon);
        [text, json].map(|command| command.join().unwrap())
    });
    let [text, json] = looked;
    assert_eq!((text.code, json.code), (Some(0), Some(0)), "{}{}", text.err, json.err);
    for shown in ["answers a second", "com.amazonaws.eu-west-1.sqs", "SERVFAIL", "  tcp", "AAAA"] {
        assert!(text.out.contains(shown), "{shown} in\n{}", text.out);
    }
    assert!(!text.out.contains('\u{1b}'), "it is no terminal: {}", text.out);
    let document: Value = serde_json::from_str(&json.out).unwrap();
    assert!(0.0 < document["answers_per_second"].as_f64().unwrap(), "{document}");
    assert_eq!(document["by"]["aws_service"][0]["of"], "com.amazonaws.eu-west-1.sqs");
}

#[test]
fn top_on_a_terminal_outlives_a_restart() {
    let mut daemon = Hubdns::start(&recorded());
    let folder = TempDir::new().unwrap();
    let mut command = at_a_terminal(&daemon.command("top --interval 1"));
    let mut top = Process::spawn("top", &mut command, folder.path());
    let times = |word: &str, top: &Process| top.stdout().matches(word).count();
    let rates = "answers a second";
    eventually("it tells", SOON, || (1 <= times(rates, &top)).then_some(()));
    assert!(daemon.terminate().success());
    let gone = "hubdns is not running";
    eventually("it says that none runs", SOON, || (1 <= times(gone, &top)).then_some(()));
    daemon.start_again();
    let before = times(rates, &top);
    eventually("it is back", SOON, || (before < times(rates, &top)).then_some(()));
    assert!(top.ended().is_none());
}

#[test]
fn status_that_is_watched_is_told_again_and_outlives_a_restart() {
    let mut daemon = Hubdns::start(&recorded());
    let folder = TempDir::new().unwrap();
    let mut watching =
        Process::spawn("watch", &mut daemon.command("status --watch 1"), folder.path());
    let mut as_json = daemon.command("status --watch 1 --format json");
    let as_json = Process::spawn("watch-json", &mut as_json, folder.path());
    let times = |word: &str, watching: &Process| watching.stdout().matches(word).count();
    eventually("it is told twice", SOON, || (2 <= times("ready ", &watching)).then_some(()));
    assert!(daemon.terminate().success());
    let gone = "hubdns is not running";
    eventually("it says that none runs", SOON, || (1 <= times(gone, &watching)).then_some(()));
    eventually("a script hears it", SOON, || (1 <= times(gone, &as_json)).then_some(()));
    daemon.start_again();
    let before = times("ready ", &watching);
    eventually("it is back", SOON, || (before < times("ready ", &watching)).then_some(()));
    assert!(watching.ended().is_none());
    let told = as_json.stdout();
    let documents = serde_json::Deserializer::from_str(&told).into_iter::<Value>();
    // The last one may be on its way.
    let errors = documents.map_while(Result::ok).filter(|it| it["error"].is_string()).count();
    assert!(1 <= errors, "{told}");
}

#[test]
fn status_that_is_watched_ends_with_its_reader() {
    let daemon = Hubdns::start(&recorded());
    let nobody = TempDir::new().unwrap();
    let mut of_none = hubdns(nobody.path());
    of_none.args(["status", "--watch", "1", "--socket", "none.sock"]);
    for mut command in [daemon.command("status --watch 1"), of_none] {
        let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(watching.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let ended = end_of(&mut watching);
        assert!(ended.is_some_and(|status| status.success()), "{ended:?} after {first}");
    }
}

/// How a command ended, soon; one that goes on is ended.
fn end_of(command: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + SOON;
    while Instant::now() < end {
        if let Some(status) = command.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(50));
    }
    command.kill().unwrap();
    command.wait().unwrap();
    None
}

/// Whoever is at a socket, or behind an `endpoint_url`, says what it likes.
#[test]
fn what_others_say_moves_no_cursor() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("control.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        let body = json!({ "error": "no\u{1b}[2J\u{9b}1A\nand more" }).to_string();
        let head = "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n\
                    connection: close\r\ncontent-length:";
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut asked = BufReader::new(&stream).lines().map_while(Result::ok);
            let _ = asked.find(String::is_empty);
            let _ = write!(stream, "{head} {}\r\n\r\n{body}", body.len());
        }
    });
    for command in ["status", "refresh", "flush", "reload"] {
        let mut hubdns = hubdns(folder.path());
        let Ran { code, err, .. } = ran(hubdns.args([command, "--socket"]).arg(&socket));
        assert_eq!(code, Some(1), "{err}");
        assert!(err.contains("\\u{1b}[2J\\u{9b}1A\nand more"), "{err:?}");
        assert!(!err.contains(['\u{1b}', '\u{9b}']), "{err:?}");
    }
}

#[test]
fn every_order_to_a_daemon_can_be_told_as_json() {
    let daemon = Hubdns::start(&recorded());
    for (order, key) in [
        ("status", "ready"),
        ("reload", "done"),
        ("refresh", "sources"),
        ("flush", "answers"),
        ("drain-az eu-west-1a", "zone"),
        ("undrain-az eu-west-1a", "zone"),
        ("drain --for 3000", "ends_in_secs"),
        ("drain --cancel", "ends_in_secs"),
    ] {
        let Ran { code, out, err } = ran(&mut daemon.command(&format!("{order} --format json")));
        assert_eq!(code, Some(0), "{order}: {err}");
        let document: Value = serde_json::from_str(&out).unwrap();
        assert!(document.get(key).is_some(), "{order}: {document}");
    }
}

#[test]
fn a_check_and_what_is_discovered_can_be_told_as_json() {
    let double = Ec2Double::start();
    let hub = small_hub(&double);
    let mut daemon = Hubdns::start(&source(&double));
    let document = |command: &mut Command, status: i32| -> Value {
        let Ran { code, out, err } = ran(command);
        assert_eq!((code, err.as_str()), (Some(status), ""), "{out}");
        serde_json::from_str(&out).unwrap()
    };
    let found = document(&mut daemon.command("discover --format json"), 0);
    let told = &found["sources"][0];
    assert_eq!((&told["name"], &told["region"]), (&"hub".into(), &"eu-west-1".into()));
    let endpoint = &told["endpoints"][0];
    assert_eq!(endpoint["id"], *hub.id);
    assert_eq!(endpoint["private_names"][0], SQS);
    assert_eq!(endpoint["dns_entries"], json!(hub.dns_entries));
    let eni = &hub.enis[1];
    let address = &endpoint["addresses"][1];
    assert_eq!((&address["ip"], &address["az"]), (&"10.0.2.10".into(), &"eu-west-1b".into()));
    assert_eq!((&address["eni"], address["az_id"].is_string()), (&json!(eni.id), true));

    let checked = document(&mut daemon.command("check --online --format json"), 0);
    assert_eq!((&checked["good"], &checked["sources"]), (&true.into(), &1.into()));
    assert_eq!(checked["warnings"][0]["key"], "forward.upstreams");
    let asked = json!([{ "kind": "source", "name": "hub", "answered": true,
        "what": "1 endpoint, 1 service, 2 interfaces" }]);
    assert_eq!(checked["asked"], asked);

    double.fault(json!({ "action": "DescribeVpcEndpoints", "kind": "error", "times": 0,
        "status": 403, "code": "UnauthorizedOperation" }));
    let found = document(&mut daemon.command("discover --format json"), 1);
    let error = found["sources"][0]["error"].as_str().unwrap();
    assert!(error.contains("ec2:DescribeVpcEndpoints"), "{found}");
    let checked = document(&mut daemon.command("check --online --format json"), 1);
    assert_eq!(
        (&checked["good"], &checked["asked"][0]["answered"]),
        (&false.into(), &false.into())
    );

    daemon.write_config(&format!("[log]\nformat = \"loud\"\n{}", source(&double)));
    let checked = document(&mut daemon.command("check --format json"), 1);
    let [problem] = &checked["problems"].as_array().unwrap()[..] else { panic!("{checked}") };
    assert_eq!((&problem["key"], &problem["line"]), (&"log.format".into(), &2.into()));
    assert!(!problem["what"].as_str().unwrap().is_empty(), "{problem}");
    assert!(problem["help"][0].as_str().unwrap().contains("text"), "{problem}");
    fs::remove_file(daemon.dir().join("hubdns.toml")).unwrap();
    let checked = document(&mut daemon.command("check --format json"), 1);
    assert_eq!((&checked["good"], &checked["problems"][0]["line"]), (&false.into(), &Value::Null));
}

/// What a terminal of so many columns shows.
fn shown_at(columns: u16, command: &Command) -> String {
    let mut terminal = at_a_terminal(command);
    let words: Vec<String> =
        terminal.get_args().map(|word| word.to_str().unwrap().to_owned()).collect();
    let [flags, line, file] = &words[..] else { panic!("{words:?}") };
    let mut narrow = Command::new(terminal.get_program());
    narrow.arg(flags).arg(format!("stty cols {columns}; {line}")).arg(file);
    narrow.current_dir(terminal.get_current_dir().unwrap()).env_clear();
    narrow.envs(terminal.get_envs().filter_map(|(name, value)| Some((name, value?))));
    terminal = narrow;
    ran(&mut terminal).out
}

#[test]
fn what_a_person_reads_fits_the_terminal_and_no_word_is_broken() {
    let daemon = Hubdns::start(&recorded());
    for words in ["names", "status", "coverage", "doctor", &format!("explain {SQS}")] {
        let whole = ran(&mut daemon.command(words)).out;
        for columns in [60, 80] {
            let shown = shown_at(columns, &daemon.command(words));
            // A name alone may be longer, and the terminal breaks it.
            let is_broken = |line: &&str| usize::from(columns) < line.chars().count();
            let broken = shown.lines().filter(is_broken);
            let of_words = broken.filter(|line| line.trim().contains(' ')).collect::<Vec<_>>();
            assert_eq!(of_words, [""; 0], "{words} at {columns}");
            let name = "com.amazonaws.eu-west-1.sqs";
            assert_eq!(shown.contains(name), whole.contains(name), "{words}:\n{shown}");
        }
    }
}

/// A command as a person runs it at a terminal, which shows both streams.
fn at_a_terminal(command: &Command) -> Command {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let words: Vec<&str> = words.flat_map(OsStr::to_str).collect();
    let mut terminal = Command::new("script");
    terminal.args(["-qefc", &words.join(" "), "/dev/null"]);
    terminal.current_dir(command.get_current_dir().unwrap()).env_clear();
    terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    terminal
}

#[test]
fn what_takes_longer_than_a_second_is_told_on_a_terminal_and_nowhere_else() {
    let double = Ec2Double::start();
    small_hub(&double);
    let daemon = Hubdns::start(&source(&double));
    double.fault(json!({ "action": "DescribeVpcEndpoints", "kind": "delay", "delay_ms": 2_500,
        "times": 0 }));
    let shown = ran(&mut at_a_terminal(&daemon.command("discover"))).out;
    let (before, after) = shown.split_once("asking source hub: 1 s").expect(&shown);
    // It is gone before the answer comes.
    assert!(before.ends_with("\r\u{1b}[2K") && after.contains("\u{1b}[2Ksource hub"), "{shown:?}");
    let Ran { out, err, .. } = ran(&mut daemon.command("discover"));
    assert!(!out.contains('\u{1b}') && err.is_empty(), "{err}");
    double.clear();
    let shown = ran(&mut at_a_terminal(&daemon.command("discover"))).out;
    assert!(shown.starts_with("source hub"), "{shown:?}");
}

#[test]
fn an_address_that_is_drained_is_listed_as_left_out() {
    let daemon = Hubdns::start(&recorded());
    assert_eq!(ran(&mut daemon.command("drain-az eu-west-1a")).code, Some(0));
    let Ran { out, .. } = ran(&mut daemon.command("names"));
    let line = out.lines().find(|line| line.starts_with(SQS)).unwrap();
    assert!(line.contains("eu-west-1b ") && line.contains(" (left out: drained)"), "{out}");
}

#[test]
fn the_manual_has_a_page_for_each_command_that_man_can_show() {
    let folder = TempDir::new().unwrap();
    let mut to_folder = hubdns(folder.path());
    let Ran { code, out, err } = ran(to_folder.args(["man", "--dir", "."]));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));
    let page = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(page("hubdns.1").contains("hubdns\\-explain(1)"), "{}", page("hubdns.1"));
    assert!(page("hubdns-top.1").contains("\\-\\-interval"), "{}", page("hubdns-top.1"));
    let Ran { out, .. } = ran(hubdns(folder.path()).arg("man"));
    assert_eq!(out, page("hubdns.1"));
}

#[test]
fn completions_are_what_their_shells_can_read() {
    let folder = TempDir::new().unwrap();
    for (shell, words) in [("bash", "explain"), ("zsh", "explain"), ("fish", "explain")] {
        let Ran { code, out, err } = ran(hubdns(folder.path()).args(["completions", shell]));
        assert_eq!((code, err.as_str()), (Some(0), ""), "{shell}");
        assert!(out.contains(words), "{shell}");
        fs::write(folder.path().join(shell), out).unwrap();
    }
    // What bash makes of it when a person has typed `hubdns expl` and asks.
    let script = "source ./bash; COMP_WORDS=(hubdns expl); COMP_CWORD=1; \
                  _hubdns hubdns expl hubdns; echo \"${COMPREPLY[*]}\"";
    let Ran { code, out, err } =
        ran(Command::new("bash").args(["-c", script]).current_dir(folder.path()));
    assert_eq!((code, out.trim()), (Some(0), "explain"), "{err}");
}
