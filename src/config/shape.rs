//! Finds every key that does not belong, every value of the wrong type and every key that lacks.
//!
//! Serde stops at its first error. So we hold the file against the schema that serde's own
//! structs give, record what is wrong, and take it out; what remains always deserializes.

use std::{mem, ops::Range};

use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{near::nearest, problem::Findings};

/// A place in the file as its keys tell it.
#[derive(Clone)]
struct Path {
    /// `answers.alias.name`; empty at the top.
    key: String,
    /// Whether it is an element of `[[...]]`.
    element: bool,
}

/// Checks a whole file and leaves in `table` what is right.
pub(super) fn check(
    found: &mut Findings,
    schema: &Value,
    table: &mut DeTable<'_>,
    span: &Range<usize>,
) {
    check_table(found, (schema, schema), table, span, &Path::top());
}

/// `schema` is the root and this table's part of it: the root tells where a stray key belongs.
fn check_table(
    found: &mut Findings,
    schema: (&Value, &Value),
    table: &mut DeTable<'_>,
    span: &Range<usize>,
    path: &Path,
) {
    let (root, here) = schema;
    let none = Map::new();
    let known = here["properties"].as_object().unwrap_or(&none);
    let any = here["additionalProperties"].as_object().map(|_| &here["additionalProperties"]);
    let missing = required(here).filter(|key| !table.contains_key(*key));
    let missing: Vec<String> = missing.map(str::to_owned).collect();
    *table = mem::take(table)
        .into_iter()
        .filter_map(|(key, mut value)| {
            let name = key.get_ref();
            let stays = match known.get(name.as_ref()).or(any) {
                Some(below) => check_value(found, (root, below), &mut value, &path.join(name)),
                None => {
                    unknown(found, (root, known), name, &key.span(), path);
                    false
                }
            };
            stays.then_some((key, value))
        })
        .collect();
    for key in missing {
        let what = format!("{} lacks `{key}`", path.table());
        let shape = expected(&known[&key]);
        found
            .problem(path.join(&key).key, span, what)
            .label(format!("`{key}` is required here"))
            .help(format!("add `{key} = ...`: {shape}"));
    }
}

/// Whether the value may stay.
fn check_value(
    found: &mut Findings,
    schema: (&Value, &Value),
    value: &mut Spanned<DeValue<'_>>,
    path: &Path,
) -> bool {
    let span = value.span();
    let (root, here) = schema;
    match (here["type"].as_str(), value.get_mut()) {
        (Some("object"), DeValue::Table(table)) => {
            check_table(found, schema, table, &span, path);
            true
        }
        (Some("array"), DeValue::Array(array)) => {
            let path = Path { element: here["items"]["type"] == "object", ..path.clone() };
            *array = mem::replace(array, DeArray::new())
                .into_iter()
                .filter_map(|mut item| {
                    check_value(found, (root, &here["items"]), &mut item, &path).then_some(item)
                })
                .collect();
            true
        }
        (Some("string"), DeValue::String(text)) => {
            let allowed = here["enum"].as_array();
            let right = allowed.is_none_or(|words| words.iter().any(|word| *word == **text));
            if !right {
                found
                    .problem(&path.key, &span, format!("`{}` cannot be {text:?}", path.key))
                    .label("not one of its values")
                    .help(format!("allowed: {}", expected(here)));
            }
            right
        }
        (Some("integer"), DeValue::Integer(number))
            if i64::from_str_radix(number.as_str(), number.radix()).is_ok() =>
        {
            true
        }
        (Some("boolean"), DeValue::Boolean(_)) => true,
        (_, other) => {
            let is = other.type_str();
            wrong_type(found, here, is, &span, path);
            false
        }
    }
}

fn wrong_type(found: &mut Findings, schema: &Value, is: &str, span: &Range<usize>, path: &Path) {
    let what = match schema["type"].as_str() {
        Some("integer") if is == "integer" => format!("`{}` is out of all range", path.key),
        _ => format!("`{}` has the wrong type", path.key),
    };
    let array_of_tables = schema["items"]["type"] == "object";
    let problem = found.problem(&path.key, span, what);
    problem
        .label(format!("this is {}", article(is)))
        .help(format!("allowed: {}", expected(schema)));
    match (schema["type"].as_str(), is) {
        (Some("array"), "table") if array_of_tables => {
            problem.help(format!("write [[{}]], with two brackets each", path.key));
        }
        (Some("object"), "array") => {
            problem.help(format!(
                "write it as [{}], once and with one bracket each, and its keys below",
                path.key
            ));
        }
        _ => (),
    }
}

fn unknown(
    found: &mut Findings,
    schema: (&Value, &Map<String, Value>),
    key: &str,
    span: &Range<usize>,
    path: &Path,
) {
    let (root, known) = schema;
    let table = path.inside();
    let problem = found.problem(path.join(key).key, span, format!("unknown key `{key}` {table}"));
    let nearest = nearest(key, known.keys().map(String::as_str));
    let mut homes = Vec::new();
    homes_of(root, key, &Path::top(), &mut homes);
    match (nearest, homes.as_slice()) {
        (Some((distance, name)), homes) if distance <= 2 || homes.is_empty() => {
            problem.label(format!("did you mean `{name}`?"))
        }
        (_, []) => problem.label("no key of this name"),
        (_, homes) => problem.label(format!("it belongs in {}", homes.join(" or "))),
    };
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    problem.help(format!("allowed {table}: {}", names.join(", ")));
}

/// The tables that know a key of this name.
fn homes_of(schema: &Value, key: &str, path: &Path, homes: &mut Vec<String>) {
    let Some(known) = schema["properties"].as_object() else {
        return;
    };
    if known.contains_key(key) {
        homes.push(path.table());
    }
    for (name, below) in known {
        let element = below["items"]["type"] == "object";
        let table = if element { &below["items"] } else { below };
        let path = Path { element, ..path.join(name) };
        homes_of(table, key, &path, homes);
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    let names = schema["required"].as_array();
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// What a key takes, in words.
fn expected(schema: &Value) -> String {
    match schema["type"].as_str() {
        Some("integer") => match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
            (Some(min), Some(max)) => format!("a whole number from {min} to {max}"),
            _ => "a whole number".to_owned(),
        },
        Some("string") => match schema["enum"].as_array() {
            Some(words) => {
                let words: Vec<String> = words.iter().map(Value::to_string).collect();
                words.join(" or ")
            }
            None => "a text in quotes".to_owned(),
        },
        Some("boolean") => "true or false".to_owned(),
        Some("array") => match schema["items"]["type"].as_str() {
            Some("object") => "an array of tables".to_owned(),
            _ => "a list of texts: [\"...\", \"...\"]".to_owned(),
        },
        _ => "a table".to_owned(),
    }
}

fn article(kind: &str) -> String {
    match kind {
        "array" | "integer" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

// === impl Path ===

impl Path {
    fn top() -> Self {
        Self { key: String::new(), element: false }
    }

    fn join(&self, key: &str) -> Self {
        let key = match self.key.as_str() {
            "" => key.to_owned(),
            above => format!("{above}.{key}"),
        };
        Self { key, element: false }
    }

    /// Where the table's keys stand.
    fn inside(&self) -> String {
        match self.key.as_str() {
            "" => "at the top level".to_owned(),
            _ => format!("in {}", self.table()),
        }
    }

    /// The table's header as it is written.
    fn table(&self) -> String {
        match (self.key.as_str(), self.element) {
            ("", _) => "the top level".to_owned(),
            (key, true) => format!("[[{key}]]"),
            (key, false) => format!("[{key}]"),
        }
    }
}
