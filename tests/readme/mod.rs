//! README against the pages that have more: its figures are theirs, its links lead somewhere, and its
//! commands are those that are tried. It measures nothing.

use crate::{read, root};

/// The cells of a line of a table.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// The cells of a row of a page, found by the first of them below a heading.
fn row<'p>(page: &'p str, heading: &str, first: &str) -> Vec<&'p str> {
    let (_, rest) = page.split_once(heading).unwrap_or_else(|| panic!("no {heading}"));
    let mut rows = rest.lines().filter(|line| line.starts_with('|')).map(cells);
    rows.find(|cells| cells[0] == first).unwrap_or_else(|| panic!("no {first} below {heading}"))
}

/// The number that a cell begins with, without what it has in brackets.
fn number(cell: &str) -> f64 {
    cell.split(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{cell}"))
}

/// The most milliseconds that the cells of a row tell.
fn most_ms(cells: &[&str]) -> u32 {
    let times = cells.iter().map(|cell| cell.split_once(" ms").unwrap().0);
    let bounds = times.flat_map(|times| times.split(" to "));
    bounds.map(|bound| bound.parse().unwrap_or_else(|_| panic!("{cells:?}"))).max().unwrap()
}

/// The next ten above a number: what is said to be below it has been.
fn next_ten(most: u32) -> u32 {
    (most / 10 + 1) * 10
}

fn assert_readme_says(wanted: &str) {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let readme = words(&read("README.md"));
    assert!(readme.contains(&words(wanted)), "README.md has to say, as its sources do:\n{wanted}");
}

#[test]
fn the_figures_beside_unbound_are_those_of_the_last_report() {
    let report = read("docs/PERFORMANCE.md");
    let costs = "### What an answer costs";
    let head = row(&report, costs, "CPU of an answer, in echoes");
    let of = |cells: &[&str], server: &str| {
        number(cells[head.iter().position(|it| *it == server).unwrap()])
    };
    let cost = |first: &str| {
        let cells = row(&report, costs, first);
        format!("{:.2} | {:.2}", of(&cells, "hubdns"), of(&cells, "unbound"))
    };
    let start = "### Start and memory with 5,000 names";
    let [ours, theirs] = ["hubdns", "unbound"].map(|server| row(&report, start, server));
    assert_readme_says(&format!(
        "| | hubdns | unbound |
         |---|---|---|
         | CPU of an answer of our own by UDP, where an echo takes 1 | {} |
         | the same of one from the cache | {} |
         | the same of one that is asked upstream | {} |
         | the same over 20 connections of DNS over TLS | {} |
         | from its start to the first right answer | {} ms | {} ms |
         | resident memory with 5,000 names | {:.0} MB | {:.0} MB |

         One hub takes",
        cost("our names, UDP"),
        cost("cached names, UDP"),
        cost("misses, UDP"),
        cost("our names, 20 DoT connections"),
        number(ours[1]),
        number(theirs[1]),
        number(ours[2]),
        number(theirs[2]),
    ));
    // Without the column of rows' names, hubdns, and unbound, which stands beside it.
    let rivals = ["five", "six", "seven", "eight"][head.len() - 3 - 5];
    assert!(report.contains(", 2 cores ("), "the machine of the report");
    assert_readme_says(&format!(
        "On two cores of a development machine, beside unbound in the same run ([all of it, {rivals} more \
         rivals and the goals"
    ));
}

#[test]
fn the_figures_of_a_large_hub_are_those_of_the_report_and_of_awss_limits() {
    let report = read("docs/PERFORMANCE.md");
    let hub = "100 accounts, 5,000 endpoints, 200 views";
    let cells = row(&report, "`python3 benches/scale.py` makes", hub);
    let seconds = |cell: &str| cell.strip_suffix(" s").map(number).unwrap();
    let (start, change) = (seconds(cells[1]), seconds(cells[2]));
    assert_readme_says(&format!(
        "One hub takes 100 accounts with 5,000 endpoints and 200 views: {} MB, a start without a state file \
         in {start:.1} s, for the first looks begin one after the other, and a change is answered \
         {change:.1} s after it was read.",
        number(cells[3])
    ));
    let limits = read("docs/SCALING.md");
    let limit = |first: &str, unit: &str| {
        let cells = row(&limits, "# ", first);
        cells[1].split_once(unit).unwrap_or_else(|| panic!("{cells:?}")).0.to_owned()
    };
    assert_readme_says(&format!(
        "What AWS lets through comes long before: {} queries a second for an address of an outbound endpoint, \
         {} packets a second to the VPC's resolver.",
        limit("an address of an outbound endpoint", " queries a second"),
        limit("a hub's interface to the VPC's resolver", " packets a second"),
    ));
}

#[test]
fn the_figures_of_restarts_and_kills_are_those_that_were_measured() {
    let page = read("docs/OPERATIONS.md");
    let measured = |first: &str| row(&page, "Worst wait, and lost queries", first);
    let [restarts, upgrade] = ["`systemctl restart`, three times", "the same with another binary"]
        .map(|first| measured(first).split_off(1));
    assert!(restarts.iter().chain(&upgrade).all(|cell| !cell.contains("lost")), "{restarts:?}");
    let below = next_ten(most_ms(&restarts).max(most_ms(&upgrade)));
    assert_readme_says(&format!(
        "| hubdns is restarted or upgraded below systemd | no query is lost; where it was measured none \
         waited {below} ms: [how](docs/OPERATIONS.md) |"
    ));
    let (_, batch) = page.split_once("at most a batch of ").unwrap();
    let (batch, _) = batch.split_once(" queries a").unwrap();
    let below = next_ten(most_ms(&measured("SIGKILL, three times").split_off(1)));
    assert_readme_says(&format!(
        "| it is killed | what was in its hands is lost, at most {} queries a core and the connections it \
         had; all else waits until systemd has started it again: below {below} ms \
         [where it was measured](docs/OPERATIONS.md) |",
        batch
    ));
}

#[test]
fn the_readme_has_two_commands_and_ci_runs_the_second() {
    let readme = read("README.md");
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let commands: Vec<&str> = blocks.map(str::trim).collect();
    assert_eq!(commands, ["cargo run --no-default-features -- demo", "./tests/run"]);
    let ci = read(".ci/run");
    let runs: Vec<&str> = ci.lines().filter(|line| line.contains("tests/run")).collect();
    assert_eq!(runs, [r#"exec "$(dirname "${BASH_SOURCE[0]}")/../tests/run" "$@""#]);
}

#[test]
fn the_readmes_links_lead_somewhere() {
    for target in read("README.md").split("](").skip(1).map(|rest| rest.split(')').next().unwrap())
    {
        let (page, heading) = target.split_once('#').unwrap_or((target, ""));
        assert!(root().join(page).exists(), "{target}");
        // As GitHub makes an anchor of a heading without signs.
        let anchor =
            |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        let is_there =
            || read(page).lines().any(|line| line.starts_with('#') && anchor(line) == heading);
        assert!(heading.is_empty() || is_there(), "{target}");
    }
}
