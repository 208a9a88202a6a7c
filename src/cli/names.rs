//! How `hubdns names` lists what is answered and what is not.
//!
//! Takes the document, from a running daemon or made from a configuration. Never colours, leaves
//! nothing out, and breaks no word: where a terminal is too narrow for a table, each name stands by
//! itself.

use anyhow::Context;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::fold::fitted;
use crate::{
    admin::json::{
        AddressDocument, CnameDocument, DeclinedDocument, NameDocument, NamesDocument, to_text,
    },
    base::printable,
};

/// `--format` of `hubdns names`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// The document of `/api/v1/names`.
    Json,
    /// A line an address, CNAME or declined name, with a head; also of addresses that are left out.
    Csv,
}

/// The head of [`Format::Csv`].
const CSV_HEAD: [&str; 14] = [
    "view",
    "name",
    "answered",
    "type",
    "address",
    "zone",
    "interface",
    "endpoint",
    "service",
    "source",
    "origin",
    "ttl_secs",
    "reason",
    "why",
];

/// Columns between two cells of a table.
const GAP: usize = 2;

/// The head of the column that stands only where there is more than one view.
const VIEW: &str = "VIEW";

/// In place of what does not exist.
const NONE: &str = "-";

/// The list, whole. `width` is the terminal's; without one, each name stands on one line.
pub(super) fn render(
    document: &NamesDocument,
    format: Format,
    width: Option<usize>,
) -> anyhow::Result<String> {
    match format {
        Format::Table => Ok(tables(document, width)),
        Format::Json => Ok(to_text(document)),
        Format::Csv => csv_lines(document).context("cannot write the names as CSV"),
    }
}

fn tables(document: &NamesDocument, width: Option<usize>) -> String {
    // On a terminal a zone a line is narrower; elsewhere a name a line is easier to search.
    let between_zones = if width.is_some() { "\n" } else { ", " };
    let has_views = 1 < document.views.len();
    let in_view = |view: &str, cells: Vec<String>| match has_views {
        true => [vec![printable(view)], cells].concat(),
        false => cells,
    };
    let mut answered = Vec::new();
    let mut declined = Vec::new();
    for view in &document.views {
        let names = view.names.iter().map(|name| name_row(name, between_zones));
        let cnames = view.cnames.iter().map(cname_row);
        answered.extend(names.chain(cnames).map(|row| in_view(&view.name, row)));
        declined.extend(view.declined.iter().map(|no| in_view(&view.name, declined_row(no))));
    }
    let head = |columns: &[&str]| {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        in_view(VIEW, columns)
    };
    let answered =
        [vec![head(&["NAME", "TYPE", "ADDRESSES", "ENDPOINT", "SERVICE", "FROM"])], answered];
    let declined = [vec![head(&["NAME", "ENDPOINT", "REASON", "WHY"])], declined];
    let [answered, declined] = [answered.concat(), declined.concat()];
    let fits = |width| [&answered, &declined].iter().all(|rows| least_width(rows) <= width);
    let shown = |rows: &[Vec<String>]| match width {
        Some(width) if !fits(width) => fitted(&blocks(rows, has_views), width),
        _ => table(rows, width),
    };
    let mut text = match answered.len() {
        1 => "No name is answered.\n".to_owned(),
        _ => shown(&answered),
    };
    if 1 < declined.len() {
        text.push_str("\nNot answered:\n");
        text.push_str(&shown(&declined));
    }
    text
}

fn name_row(name: &NameDocument, between_zones: &str) -> Vec<String> {
    vec![
        printable(&name.name),
        name.types.join(" "),
        zones(name).join(between_zones),
        printable(&name.endpoint),
        printable(&name.service),
        name.origin.clone(),
    ]
}

fn cname_row(cname: &CnameDocument) -> Vec<String> {
    let [name, target] = [&cname.name, &cname.target].map(|text| printable(text));
    let or_none = |text: &Option<String>| printable(text.as_deref().unwrap_or(NONE));
    let (endpoint, service) = (or_none(&cname.endpoint), or_none(&cname.service));
    vec![name, "CNAME".to_owned(), target, endpoint, service, cname.origin().to_owned()]
}

fn declined_row(declined: &DeclinedDocument) -> Vec<String> {
    let or_none = |text: &Option<String>| printable(text.as_deref().unwrap_or(NONE));
    vec![
        or_none(&declined.name),
        or_none(&declined.endpoint),
        declined.reason.clone(),
        printable(&declined.why),
    ]
}

/// `ZONE ADDRESS...`, a text a zone, in the order of the addresses: first those that are given, then
/// those that are left out and why.
fn zones(name: &NameDocument) -> Vec<String> {
    let same_zone = |a: &AddressDocument, b: &AddressDocument| a.az == b.az;
    let text = |zone: &[AddressDocument]| {
        let ips: Vec<String> = zone
            .iter()
            .map(|address| match standing(&address.state) {
                Some(word) => format!("{} ({word})", address.ip),
                None => address.ip.to_string(),
            })
            .collect();
        let az = zone.first().map_or(NONE, |address| &address.az);
        format!("{} {}", printable(az), ips.join(" "))
    };
    let lists = [&name.addresses, &name.left_out];
    lists.into_iter().flat_map(|list| list.chunk_by(same_zone)).map(text).collect()
}

/// What a person should know of an address in this state; nothing of one that is as it should be.
fn standing(state: &str) -> Option<&'static str> {
    match state {
        "down" => Some("left out: down"),
        "drained" => Some("left out: drained"),
        "down_given" => Some("down"),
        "drained_given" => Some("drained"),
        "unheard" => Some("never answered"),
        _ => None,
    }
}

/// The rows below their head, each column as wide as its longest word at least.
fn table(rows: &[Vec<String>], width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    let mut all = rows.iter();
    table.set_header(all.next().into_iter().flatten()).add_rows(all);
    if let Some(width) = width {
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let gap = u16::try_from(GAP).unwrap_or_default();
    for (column, least) in table.column_iter_mut().zip(least_widths(rows)) {
        column.set_padding((0, gap));
        let least = u16::try_from(least).unwrap_or(u16::MAX);
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// What each column has to have so that no word is broken, with the gap behind it.
fn least_widths(rows: &[Vec<String>]) -> Vec<usize> {
    let longest = |cell: &String| {
        cell.split_whitespace().map(|word| word.chars().count()).max().unwrap_or_default()
    };
    let mut widths = Vec::new();
    for row in rows {
        widths.resize(row.len(), GAP);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(longest(cell) + GAP);
        }
    }
    widths
}

fn least_width(rows: &[Vec<String>]) -> usize {
    least_widths(rows).iter().sum()
}

/// The same without columns: what a row is about, and below it the rest of what it tells.
fn blocks(rows: &[Vec<String>], has_views: bool) -> String {
    let mut text = String::new();
    let mut in_view = "";
    for row in rows.iter().skip(1) {
        let (view, row) = row.split_at(usize::from(has_views));
        if let [view] = view
            && view != in_view
        {
            in_view = view;
            text += &format!("\nIn view {view}:\n");
        }
        text += &match row {
            [name, types, zones, endpoint, service, from] => {
                let zones: String = zones.lines().map(|zone| format!("  {zone}\n")).collect();
                let whose = match endpoint.as_str() {
                    NONE => String::new(),
                    _ => format!("  {endpoint} {service}\n"),
                };
                format!("{name} {types} ({from})\n{zones}{whose}")
            }
            [name, endpoint, reason, why] => {
                let about = [name, endpoint].into_iter().find(|it| *it != NONE);
                let of = match about == Some(name) && endpoint != NONE {
                    true => format!("{endpoint}: "),
                    false => String::new(),
                };
                format!("{} ({reason})\n  {of}{why}\n", about.map_or(NONE, String::as_str))
            }
            // No other tables are made.
            _ => String::new(),
        };
    }
    text.trim_start().to_owned()
}

fn csv_lines(document: &NamesDocument) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(CSV_HEAD)?;
    for view in &document.views {
        for name in &view.names {
            for address in name.addresses.iter().chain(&name.left_out) {
                writer.write_record(csv_address(&view.name, name, address))?;
            }
        }
        for cname in &view.cnames {
            let ttl = cname.ttl_secs.to_string();
            let CnameDocument { name, target, endpoint, service, source, .. } = cname;
            let [endpoint, service, source] =
                [endpoint, service, source].map(|text| text.as_deref().unwrap_or_default());
            let origin = cname.origin();
            writer.write_record([
                &view.name, name, "yes", "CNAME", target, "", "", endpoint, service, source,
                origin, &ttl, "", "",
            ])?;
        }
        for no in &view.declined {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            writer.write_record([
                &view.name,
                &text(&no.name),
                "no",
                "",
                "",
                "",
                "",
                &text(&no.endpoint),
                &text(&no.service),
                &text(&no.source),
                "",
                "",
                &no.reason,
                &no.why,
            ])?;
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// The line of an address, be it given or left out.
fn csv_address(view: &str, name: &NameDocument, address: &AddressDocument) -> [String; 14] {
    let is_left_out = name.left_out.contains(address);
    let (answered, ttl) = match is_left_out {
        true => ("no", String::new()),
        false => ("yes", name.ttl_secs.to_string()),
    };
    let (reason, why) = match is_left_out {
        true => (address.state.as_str(), format!("the address is {}", address.state)),
        false => ("", String::new()),
    };
    let ip = address.ip.to_string();
    let rtype = if address.ip.is_ipv6() { "AAAA" } else { "A" };
    [
        view,
        &name.name,
        answered,
        rtype,
        &ip,
        &address.az,
        &address.eni,
        &name.endpoint,
        &name.service,
        &name.source,
        &name.origin,
        &ttl,
        reason,
        &why,
    ]
    .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{CSV_HEAD, Format, NONE, render};
    use crate::{
        admin::json::{NameDocument, NamesDocument, from_text},
        policy::{self, PolicyConfig, ViewConfig, facts},
        table::compile,
    };

    const HUB: &str = "
        vpce-0aaaaaaaaaaaaaaa1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 eu-west-1a=fd00::5 \
            eu-west-1b=10.0.2.5 created=1 names=sqs.eu-west-1.amazonaws.com,\u{1b}[31m.example
        vpce-0aaaaaaaaaaaaaaa2 com.amazonaws.eu-west-1.execute-api eu-west-1a=10.0.1.7 \
            names=*.execute-api.eu-west-1.amazonaws.com
        vpce-0aaaaaaaaaaaaaaa3 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.8 created=2
        vpce-0aaaaaaaaaaaaaaa4 com.amazonaws.eu-west-1.mystery eu-west-1a=10.0.1.9
    ";

    fn document(lines: &str, views: Vec<ViewConfig>) -> NamesDocument {
        let deny = vec![policy::ServiceRule::new("execute-api")];
        let aliases = match lines.is_empty() {
            true => vec![],
            false => vec![facts::cname("files.example", "sqs.eu-west-1.amazonaws.com")],
        };
        let config = PolicyConfig { deny, views, aliases, ..facts::config() };
        let table = compile(policy::plan(&facts::inventory(lines), &config), &config);
        NamesDocument::new(&table, None, None)
    }

    fn shown(document: &NamesDocument, format: Format, width: Option<usize>) -> String {
        render(document, format, width).unwrap()
    }

    #[test]
    fn without_a_terminal_each_name_is_one_line() {
        let text = shown(&document(HUB, vec![]), Format::Table, None);
        assert!(!text.contains('\u{1b}'), "a name's escape sequence reaches the terminal");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_terminal_gets_a_table_of_its_width_with_nothing_left_out() {
        let document = document(HUB, vec![]);
        let whole = shown(&document, Format::Table, None);
        for width in [60, 80, 100, 140, 160, 200] {
            let text = shown(&document, Format::Table, Some(width));
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width, "{longest} columns at {width}:\n{text}");
            assert!(!text.contains('…'), "{text}");
            let is_broken = |word: &&str| !text.contains(word.trim_end_matches(','));
            let heads =
                ["NAME", "TYPE", "ADDRESSES", "ENDPOINT", "SERVICE", "FROM", "REASON", "WHY"];
            let words =
                whole.split_whitespace().filter(|word| !heads.contains(word) && *word != NONE);
            assert_eq!(words.filter(is_broken).collect::<Vec<_>>(), [""; 0], "{text}");
        }
        insta::assert_snapshot!(shown(&document, Format::Table, Some(60)));
        insta::assert_snapshot!(shown(&document, Format::Table, Some(160)));
    }

    #[test]
    fn the_view_is_a_column_where_there_is_more_than_one() {
        let views = vec![facts::view("onprem", "192.168.0.0/16")];
        insta::assert_snapshot!(shown(&document(HUB, views), Format::Table, None));
    }

    #[test]
    fn a_hub_without_a_name_says_so() {
        assert_eq!(shown(&document("", vec![]), Format::Table, Some(80)), "No name is answered.\n");
    }

    #[test]
    fn csv_has_a_line_an_address_and_a_line_a_declined() {
        let text = shown(&document(HUB, vec![]), Format::Csv, None);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), CSV_HEAD.as_slice());
        let lines: Vec<_> = reader.records().map(Result::unwrap).collect();
        let answered = lines.iter().filter(|line| line.get(2) == Some("yes"));
        assert_eq!(answered.count(), 4);
        insta::assert_snapshot!(text.replace('\u{1b}', "<ESC>"));
    }

    #[test]
    fn an_address_that_is_left_out_or_given_for_want_of_others_is_told_in_a_word() {
        let mut document = document(HUB, vec![]);
        let view = document.views.first_mut().unwrap();
        let is_sqs = |name: &&mut NameDocument| name.name == "sqs.eu-west-1.amazonaws.com";
        let name = view.names.iter_mut().find(is_sqs).unwrap();
        let mut out = name.addresses.pop().unwrap();
        out.state = "drained".to_owned();
        name.left_out = vec![out];
        name.addresses.first_mut().unwrap().state = "down_given".to_owned();
        let told = "eu-west-1a 10.0.1.5 (down) fd00::5, eu-west-1b 10.0.2.5 (left out: drained)";
        let text = shown(&document, Format::Table, None);
        assert!(text.contains(told), "{text}");
        let csv = shown(&document, Format::Csv, None);
        let lines: Vec<&str> = csv.lines().filter(|line| line.contains(",10.0.2.5,")).collect();
        let line = "default,sqs.eu-west-1.amazonaws.com,no,A,10.0.2.5,eu-west-1b,";
        assert!(lines.iter().any(|it| it.starts_with(line)), "{csv}");
        assert!(lines.iter().any(|it| it.ends_with(",,drained,the address is drained")), "{csv}");
    }

    #[test]
    fn json_is_the_document() {
        let document = document(HUB, vec![]);
        let text = shown(&document, Format::Json, Some(80));
        assert_eq!(from_text::<NamesDocument>(&text).unwrap(), document);
    }
}
