//! The example files, the schema and the defaults that people read.

use super::*;

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    let path = root().join("config/hubdns.schema.json");
    let committed = fs::read_to_string(path).unwrap();
    assert!(committed == schema(), "write it anew: hubdns schema > config/hubdns.schema.json");
}

#[test]
fn the_schema_lets_no_unknown_key_pass_and_describes_every_key() {
    fn check(schema: &Value, path: &str) {
        assert!(schema["description"].is_string(), "{path} has no description");
        if let Some(keys) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], false, "{path}");
            keys.iter().for_each(|(key, below)| check(below, &format!("{path}.{key}")));
        }
        if schema["items"]["type"] == "object" {
            check(&schema["items"], path);
        }
    }
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    check(&schema, "");
}

#[test]
fn the_commented_example_as_it_is_means_the_defaults() {
    let text = fs::read_to_string(root().join("config/hubdns.toml")).unwrap();
    let (example, minimal) = (good(&text), good(MINIMAL));
    // They are different files that mean the same.
    let places = minimal.places.clone();
    assert_eq!(Config { places, ..example }, minimal);
}

#[test]
fn the_commented_example_lists_every_key_with_its_default() {
    /// `written` is every table of this name: those of `[[...]]` share one description.
    fn check(schema: &Value, written: &[&Value], path: &str) {
        for (key, below) in schema["properties"].as_object().unwrap() {
            let path = format!("{path}.{key}");
            let values: Vec<&Value> = written.iter().filter_map(|table| table.get(key)).collect();
            assert!(!values.is_empty(), "{path} is not listed");
            if let Some(default) = below.get("default") {
                values.iter().for_each(|value| assert_eq!(*value, default, "{path}"));
            }
            if below["items"]["type"] == "object" {
                let elements = values.iter().filter_map(|value| value.as_array()).flatten();
                check(&below["items"], &elements.collect::<Vec<_>>(), &path);
            } else if below.get("properties").is_some() {
                check(below, &values, &path);
            }
        }
    }
    let text = fs::read_to_string(root().join("config/hubdns.toml")).unwrap();
    let written: toml::Table = toml::from_str(&uncommented(&text)).unwrap();
    let written = serde_json::to_value(written).unwrap();
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    check(&schema, &[&written], "");
}

#[test]
fn an_unknown_key_in_any_table_of_any_example_is_told_with_its_line() {
    let mut headers = BTreeSet::new();
    for (path, text) in examples() {
        for text in [text.clone(), uncommented(&text)] {
            let lines: Vec<&str> = text.lines().collect();
            let tables = lines.iter().enumerate().filter(|(_, line)| line.starts_with('['));
            // A key of `[zones]` is a network, so there it is an impossible one.
            for (at, header) in
                [(0, "")].into_iter().chain(tables.map(|(at, line)| (at + 1, *line)))
            {
                headers.insert(header.to_owned());
                let mut mutated = lines.clone();
                mutated.insert(at, "surprise = \"eu-west-1a\"");
                let errors = parse(&mutated.join("\n"), &path).unwrap_err();
                let named = errors.problems().iter().any(|problem| {
                    problem.line() == at + 1
                        && problem.render(false).contains("surprise")
                        && (problem.what().starts_with("unknown key `surprise`")
                            || header == "[zones]")
                });
                assert!(named, "{path}: below {header}\n{}", errors.render(false));
            }
        }
    }
    assert_eq!(headers.len(), 28, "every table has its turn: {headers:?}");
}
