//! What the documents claim of the code, compared with it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod readme;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use hubdns::{discover::Action, telemetry::SECTIONS};
use serde_json::Value;

use crate::support::{Hubdns, Pair, Unbound};

/// Every family with its type, and the values of each of its labels; none listed means any.
type Families = BTreeMap<String, (String, BTreeMap<String, BTreeSet<String>>)>;

/// Series that the network interface's driver has to give: most machines' does not.
const ONLY_WITH_A_DRIVER: &[(&str, &str)] =
    &[("hubdns_linklocal_allowance_exceeded_total", "interface")];

/// Labels whose values are the operator's, or AWS's, and of which metrics by their names' beginning.
const OPEN_LABELS: &[(&str, &str)] = &[
    ("", "aws_service"),
    ("", "view"),
    ("", "upstream"),
    ("", "interface"),
    ("", "code"),
    ("", "hash"),
    ("", "version"),
    ("hubdns_discovery_", "source"),
    ("hubdns_table_declined", "reason"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The code spans of a text.
fn spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The labels of each row of the document, each with its values behind it, in the document's order.
fn rows(document: &str) -> BTreeMap<String, Vec<Vec<String>>> {
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let labels = cells.get(2).copied().unwrap_or_default();
        let labels = labels.split(';').map(spans).filter(|label| !label.is_empty()).collect();
        (spans(cells[0]).remove(0), labels)
    };
    rows.map(row).collect()
}

/// What is there now, in the order in which it is known; what is new comes last.
fn in_order(known: impl Iterator<Item = String>, now: impl Iterator<Item = String>) -> Vec<String> {
    let mut now: BTreeSet<String> = now.collect();
    let mut words: Vec<String> = known.filter(|word| now.remove(word)).collect();
    words.extend(now);
    words
}

/// The cell of a metric's labels. Values that are not ours to list are left out.
fn labels_of(
    name: &str,
    labels: &BTreeMap<String, BTreeSet<String>>,
    known: &[Vec<String>],
) -> String {
    let is_open = |label: &str| {
        OPEN_LABELS.iter().any(|(metrics, open)| name.starts_with(metrics) && *open == label)
    };
    let cell = |label: String| {
        let known = known.iter().find(|it| it[0] == label).into_iter().flatten().skip(1).cloned();
        let values = match is_open(&label) {
            true => Vec::new(),
            false => in_order(known, labels[&label].iter().cloned()),
        };
        let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
        match values.as_slice() {
            [] => format!("`{label}`"),
            values => format!("`{label}`: {}", values.join(" ")),
        }
    };
    let known = known.iter().map(|it| it[0].clone());
    let cells: Vec<String> =
        in_order(known, labels.keys().cloned()).into_iter().map(cell).collect();
    cells.join("; ")
}

/// Pages of the documentation as links.
fn linked(meaning: &str) -> String {
    let mut parts = meaning.split("docs/");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (page, rest) = part.split_once(".md").unwrap();
        let (first, others) = page.split_at(1);
        text += &format!("[{first}{}]({page}.md){rest}", others.to_lowercase());
    }
    text
}

/// The document of what is exposed: the head of the one that is there, and a row a metric.
fn document(exposed: &Families, there: &str) -> String {
    let (head, _) = there.split_once("\n## ").unwrap();
    let known = rows(there);
    let mut text = format!("{head}\n");
    for section in SECTIONS {
        text += &format!("## {}\n\n", section.title);
        text += "| name | type | labels | meaning |\n|---|---|---|---|\n";
        for (name, meaning) in section.metrics {
            let (kind, labels) = &exposed[*name];
            let known = known.get(*name).map(Vec::as_slice).unwrap_or_default();
            let labels = match labels_of(name, labels, known) {
                none if none.is_empty() => none,
                labels => format!("{labels} "),
            };
            text += &format!("| `{name}` | {kind} | {labels}| {} |\n", linked(meaning));
        }
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

/// The metrics on a page in the text format.
fn exposed(page: &str) -> Families {
    let mut families = Families::new();
    for line in page.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            families.insert(name.to_owned(), (kind.to_owned(), BTreeMap::new()));
        } else if let Some((name, rest)) = line.split_once('{') {
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix).filter(|f| families.contains_key(*f)))
                .unwrap_or(name);
            let (_, labels) = families.get_mut(family).unwrap();
            let (sample, _value) = rest.rsplit_once('}').unwrap();
            for (label, value) in sample.split("\",").map(|pair| pair.split_once("=\"").unwrap()) {
                if label != "le" {
                    let values = labels.entry(label.to_owned()).or_default();
                    values.insert(value.trim_end_matches('"').to_owned());
                }
            }
        }
    }
    families
}

#[test]
fn the_document_of_metrics_is_made_of_the_page_and_of_what_they_mean() {
    let (upstream, pair) = (Unbound::start(), Pair::new("hub.test"));
    let config = format!(
        "[[source]]\nname = \"hub\"\nkind = \"files\"\npath = \"{}\"\n\
         [forward]\nupstreams = [\"{}\"]\n",
        root().join("src/discover/demo").display(),
        upstream.address()
    );
    let encrypted = ["tls", "https"].map(|it| pair.table(it, &format!("127.0.0.1:{{{it}_port}}")));
    let daemon = Hubdns::start(&(config + &encrypted.concat()));
    // An upstream's figures exist from its first question at the latest.
    daemon.dig("www.corp.example A");
    let (status, page) = daemon.get("/metrics");
    assert_eq!(status, 200);
    let mut exposed = exposed(&page);
    for (name, label) in ONLY_WITH_A_DRIVER {
        let labels = BTreeMap::from([((*label).to_owned(), BTreeSet::new())]);
        exposed.entry((*name).to_owned()).or_insert(("counter".to_owned(), labels));
    }
    let told = SECTIONS.iter().flat_map(|section| section.metrics);
    let told: BTreeSet<&str> = told.map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = exposed.keys().map(String::as_str).collect();
    let only: Vec<_> = told.symmetric_difference(&there).collect();
    assert!(only.is_empty(), "only in src/telemetry/meanings.rs or only on the page: {only:?}");
    let path = "docs/METRICS.md";
    let document = document(&exposed, &read(path));
    if env::var_os("HUBDNS_WRITE_DOCS").is_some() {
        fs::write(root().join(path), &document).unwrap();
    }
    let there = read(path);
    let first = there.lines().zip(document.lines()).find(|(there, wanted)| there != wanted);
    let write =
        "`HUBDNS_WRITE_DOCS=1 cargo nextest run --test docs metrics` writes it as it should be";
    assert!(there == document, "{path} differs, first in {first:#?}: {write}");
}

#[test]
fn the_iam_policy_allows_what_is_called_and_no_more() {
    let policy: Value = serde_json::from_str(&read("config/aws/iam-policy.json")).unwrap();
    let actions = |statement: &Value| match &statement["Action"] {
        Value::Array(actions) => actions.clone(),
        action => vec![action.clone()],
    };
    let allowed: BTreeSet<String> = policy["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .inspect(|statement| assert_eq!(statement["Effect"], "Allow"))
        .flat_map(actions)
        .map(|action| action.as_str().unwrap().to_owned())
        .collect();
    let called: BTreeSet<String> = [
        Action::DescribeVpcEndpoints,
        Action::DescribeVpcEndpointServices,
        Action::DescribeNetworkInterfaces,
        Action::DescribeVpcEndpointAssociations,
        Action::DescribeSubnets,
        Action::AssumeRole,
    ]
    .map(|action| action.permission().to_owned())
    .into();
    assert_eq!(allowed, called);
    let told: BTreeSet<String> = read("docs/IAM.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| spans(line).remove(0))
        .collect();
    assert_eq!(told, called);
    let trust: Value = serde_json::from_str(&read("config/aws/trust-policy.json")).unwrap();
    assert_eq!(trust["Statement"][0]["Action"], "sts:AssumeRole");
}

#[test]
fn the_tests_that_keep_an_invariant_exist() {
    let page = read("docs/ARCHITECTURE.md");
    let (_, section) = page.split_once("## What is always true").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let code: String =
        files(&root().join("src")).chain(files(&root().join("tests"))).map(text).collect();
    let mut named = 0;
    for row in rows {
        let (_, tests) = row.trim_end_matches(" |").rsplit_once('|').unwrap();
        let tests = spans(tests);
        assert!(!tests.is_empty(), "nothing keeps: {row}");
        for test in &tests {
            assert!(code.contains(&format!("fn {test}(")), "there is no test {test}");
            named += 1;
        }
    }
    assert!(0 < named);
}

#[test]
fn the_tests_that_inject_a_fault_exist() {
    let page = read("docs/FAULTS.md");
    let (book, _) = page.split_once("## Everything at once").unwrap();
    let code: String =
        files(&root().join("src")).chain(files(&root().join("tests"))).map(text).collect();
    let is_fault = |line: &&str| {
        line.starts_with("| ") && !line.starts_with("| fault |") && !line.starts_with("|---")
    };
    let rows: Vec<&str> = book.lines().filter(is_fault).collect();
    assert!(25 <= rows.len(), "the book has {} faults", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, happens, client, operator, tests] = cells[..] else { panic!("{row}") };
        assert!([happens, client, operator].iter().all(|cell| !cell.is_empty()), "{row}");
        let tests = spans(tests);
        assert!(!tests.is_empty(), "nothing injects: {row}");
        for test in tests {
            assert!(code.contains(&format!("fn {test}(")), "there is no test {test}");
        }
    }
}

#[test]
fn the_rooms_in_the_document_are_the_rooms_there_are() {
    let page = read("docs/ARCHITECTURE.md");
    let (_, section) = page.split_once("## Rooms").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let told = section.lines().filter(|line| line.starts_with("| `"));
    let told: BTreeSet<String> = told.map(|line| spans(line).remove(0)).collect();
    let folders = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap());
    let rooms: BTreeSet<String> = folders
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(told, rooms);
}

#[test]
fn links_lead_somewhere() {
    let pages = files(root()).filter(|path| path.extension().is_some_and(|ext| ext == "md"));
    let mut links = 0;
    for page in pages {
        for link in text(page.clone()).split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            if !link.is_empty() && !link.contains("://") {
                links += 1;
                assert!(page.parent().unwrap().join(link).exists(), "{}: {link}", page.display());
            }
        }
    }
    assert!(0 < links);
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(&path).unwrap_or_default()
}

/// Every file of the project below a folder, without what is built or hidden.
fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            match path.is_dir() {
                true if name == "target" || name.starts_with('.') => (),
                true => pending.push(path),
                false => found.push(path),
            }
        }
    }
    found.into_iter()
}

/// The commands of a page's transcripts, each with what it printed there.
fn transcripts(page: &str) -> Vec<(String, String)> {
    let blocks = page.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    let parts = commands.map(|command| command.split_once('\n').unwrap());
    parts.map(|(command, printed)| (command.to_owned(), printed.to_owned())).collect()
}

#[test]
fn transcripts_are_what_the_commands_print() {
    let daemon = Hubdns::start(&format!(
        "[[source]]\nname = \"demo\"\nkind = \"files\"\npath = \"{}\"\n",
        root().join("src/discover/demo").display()
    ));
    // Addresses take turns, and columns are as wide as what stands in them.
    let sorted = |text: &str| {
        let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut lines: Vec<String> = text.lines().map(line).collect();
        lines.sort();
        lines
    };
    let mut compared = 0;
    // docs/MIGRATION.md has a test of its own, with the zones that it is about.
    for page in ["README.md", "docs/OBSERVING.md"] {
        for (command, printed) in transcripts(&read(page)) {
            let (program, words) = command.split_once(' ').unwrap();
            let output = match program {
                "hubdns" => daemon.command(words).output(),
                "dig" => {
                    let port = daemon.dns_port().to_string();
                    let words = words
                        .split(' ')
                        .map(|word| if word == "5300" { port.as_str() } else { word });
                    Command::new("dig").arg("-r").args(words).output()
                }
                _ => panic!("{page}: {program} is not known here"),
            };
            let text = String::from_utf8(output.unwrap().stdout).unwrap();
            let text = text.replace(&daemon.dns().to_string(), "127.0.0.1:53");
            assert_eq!(sorted(&text), sorted(&printed), "{page}: {command}");
            compared += 1;
        }
    }
    assert!(2 <= compared, "{compared} transcripts");
}
