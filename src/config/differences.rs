//! What one configuration says otherwise than another, key by key. Pure, and without secrets.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::Effective;

/// The key by which the tables of a list are told apart.
const NAME: &str = "name";

// === impl Effective ===

impl Effective {
    /// A line a key that says something else than in `old`, by the keys' names: `answers.ttl_secs:
    /// 60 -> 30`, `view "lab".deny: + "s3"`. Empty where both are equal.
    pub fn differences(&self, old: &Effective) -> Vec<String> {
        // Both are texts that were made of tables.
        let table = |it: &Effective| toml::from_str::<Table>(&it.toml).unwrap_or_default();
        let mut lines = Vec::new();
        of_tables("", &table(old), &table(self), &mut lines);
        lines
    }
}

/// `path` ends with a dot, or is empty.
fn of_tables(path: &str, old: &Table, new: &Table, lines: &mut Vec<String>) {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let path = format!("{path}{}", written(key));
        of_values(&path, old.get(key), new.get(key), lines);
    }
}

fn of_values(path: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut Vec<String>) {
    let none = Table::new();
    match (old, new) {
        (Some(Value::Table(old)), Some(Value::Table(new))) => {
            of_tables(&format!("{path}."), old, new, lines);
        }
        (Some(Value::Table(old)), None) => of_tables(&format!("{path}."), old, &none, lines),
        (None, Some(Value::Table(new))) => of_tables(&format!("{path}."), &none, new, lines),
        (old, new) if old == new => (),
        (old, new) => match (named(old), named(new)) {
            // No list and an empty one are not the same: that of a view's upstreams means nobody.
            (Some(old), Some(new)) if !old.is_empty() || !new.is_empty() => {
                of_named(path, &old, &new, lines);
            }
            (_, _) => match (old, new) {
                (Some(Value::Array(old)), Some(Value::Array(new))) => {
                    lines.push(format!("{path}: {}", of_lists(old, new)));
                }
                (_, _) => lines.push(format!("{path}: {} -> {}", told(old), told(new))),
            },
        },
    }
}

/// The tables of a list of tables that have names; of no list it is as of an empty one.
fn named(value: Option<&Value>) -> Option<Vec<(&str, &Table)>> {
    let elements = match value {
        None => &[][..],
        Some(Value::Array(elements)) => elements,
        Some(_) => return None,
    };
    elements.iter().map(|it| Some((it.get(NAME)?.as_str()?, it.as_table()?))).collect()
}

/// By their names; which of them comes first may count, too.
fn of_named(path: &str, old: &[(&str, &Table)], new: &[(&str, &Table)], lines: &mut Vec<String>) {
    let has = |list: &[(&str, &Table)], name: &str| list.iter().any(|(other, _)| *other == name);
    for (name, table) in new {
        match old.iter().find(|(other, _)| other == name) {
            Some((_, before)) => of_tables(&format!("{path} {name:?}."), before, table, lines),
            None => lines.push(format!("{path} {name:?}: new")),
        }
    }
    let gone = old.iter().filter(|(name, _)| !has(new, name));
    lines.extend(gone.map(|(name, _)| format!("{path} {name:?}: gone")));
    let order = |list: &[(&str, &Table)], other: &[(&str, &Table)]| -> Vec<String> {
        let names = list.iter().map(|(name, _)| *name);
        names.filter(|name| has(other, name)).map(str::to_owned).collect()
    };
    if order(old, new) != order(new, old) {
        lines.push(format!("{path}: in another order"));
    }
}

/// What comes and goes, or that the order is another.
fn of_lists(old: &[Value], new: &[Value]) -> String {
    let come = new.iter().filter(|it| !old.contains(it)).map(|it| format!("+ {it}"));
    let gone = old.iter().filter(|it| !new.contains(it)).map(|it| format!("- {it}"));
    let all: Vec<String> = come.chain(gone).collect();
    match all.is_empty() {
        true => "in another order".to_owned(),
        false => all.join(", "),
    }
}

fn told(value: Option<&Value>) -> String {
    value.map_or("nothing".to_owned(), Value::to_string)
}

/// A key as it is written in the file.
fn written(key: &str) -> String {
    let is_bare = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    match !key.is_empty() && key.chars().all(is_bare) {
        true => key.to_owned(),
        false => format!("{key:?}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Effective, parse};

    const SOURCE: &str = "[[source]]\nname = \"hub\"\nkind = \"ec2\"\n";

    fn effective(text: &str) -> Effective {
        parse(&format!("{text}\n{SOURCE}"), "hubdns.toml").unwrap().effective
    }

    fn told(old: &str, new: &str) -> String {
        effective(new).differences(&effective(old)).join("\n")
    }

    #[test]
    fn what_is_equal_says_nothing_however_it_is_written() {
        assert_eq!(told("", "[answers]\nttl_secs = 60"), "");
    }

    #[test]
    fn values_and_lists_are_told_by_what_becomes_of_them() {
        let old = "[answers]\ndeny = [\"s3\", \"sqs\"]\n[zones]\n\"10.1.0.0/24\" = \"eu-west-1a\"\n\
                   [forward]\nupstreams = [\"192.0.2.1\", \"192.0.2.2\"]\n";
        let new = "[answers]\ndeny = [\"s3\", \"kms\"]\nttl_secs = 30\n[zones]\n\
                   \"10.1.0.0/24\" = \"eu-west-1b\"\n\"10.2.0.0/24\" = \"eu-west-1a\"\n\
                   [forward]\nupstreams = [\"192.0.2.2\", \"192.0.2.1\"]\n";
        insta::assert_snapshot!(told(old, new), @r#"
        answers.deny: + "kms", - "sqs"
        answers.ttl_secs: 60 -> 30
        forward.upstreams: in another order
        zones."10.1.0.0/24": "eu-west-1a" -> "eu-west-1b"
        zones."10.2.0.0/24": nothing -> "eu-west-1a"
        "#);
    }

    #[test]
    fn a_list_that_comes_or_goes_empty_is_told() {
        let lab = "[[view]]\nname = \"lab\"\nclients = [\"10.7.0.0/16\"]\n";
        let nobody = format!("{lab}[view.forward]\nupstreams = []\n");
        assert_eq!(told(lab, &nobody), "view \"lab\".forward.upstreams: nothing -> []");
        assert_eq!(told(&nobody, lab), "view \"lab\".forward.upstreams: [] -> nothing");
    }

    #[test]
    fn a_view_is_told_by_its_name_and_all_that_is_in_it() {
        let lab = "[[view]]\nname = \"lab\"\nclients = [\"10.7.0.0/16\"]\n";
        let own = "ttl_secs = 5\n[view.forward]\nupstreams = [\"192.0.2.9\"]\n\
                   [[view.forward.zone]]\nname = \"corp.example\"\nupstreams = [\"192.0.2.8\"]\n";
        let other = "[[view]]\nname = \"other\"\nclients = [\"10.8.0.0/16\"]\n";
        insta::assert_snapshot!(told(lab, &format!("{lab}{own}")), @r#"
        view "lab".forward.upstreams: nothing -> ["192.0.2.9"]
        view "lab".forward.zone "corp.example": new
        view "lab".ttl_secs: nothing -> 5
        "#);
        insta::assert_snapshot!(told(&format!("{lab}{other}"), &format!("{other}{lab}")), @"view: in another order");
        insta::assert_snapshot!(told(other, lab), @r#"
        view "lab": new
        view "other": gone
        "#);
    }
}
