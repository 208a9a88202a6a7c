//! The configuration in force as one text: what the file says and every default, without secrets.
//!
//! Defaults are the schema's, which are those of the structs that read the file. Comments, order and
//! defaults that are written out make no difference to it, so its hash tells whether two hubs are
//! configured alike.

use ring::digest::{SHA256, digest};
use serde_json::Value as Json;
use toml::{Table, Value};

/// Octets of the hash that are told: two configurations of one site never have them in common.
const HASH_OCTETS: usize = 8;
/// In place of a secret.
const LEFT_OUT: &str = "(left out)";
/// What a key that holds a secret ends with. A key that names a file of secrets does not.
const SECRET_KEYS: [&str; 5] = ["secret", "password", "token", "external_id", "passphrase"];

/// The configuration in force, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// As TOML, tables and keys sorted.
    pub toml: String,
    /// The first octets of its SHA-256, in hexadecimal digits.
    pub hash: String,
}

// === impl Effective ===

impl Effective {
    /// Of a file that was found to be right, by the schema that it was held against.
    pub(super) fn new(text: &str, schema: &Json) -> Self {
        // It was read before, so both work; what cannot be told is told as empty.
        let mut table: Table = toml::from_str(text).unwrap_or_default();
        fill(&mut table, schema);
        // One in which nothing stands means what its absence does.
        table.retain(|_, value| value.as_table().is_none_or(|below| !below.is_empty()));
        leave_secrets_out(&mut table);
        Self::of(&table)
    }

    /// This one, with these keys of tables as they are in `other`.
    pub(super) fn keeping(&self, other: &Effective, keys: &[(&str, &str)]) -> Self {
        // Both are texts that were made of tables.
        let read = |it: &Effective| toml::from_str::<Table>(&it.toml).unwrap_or_default();
        let (mut table, other) = (read(self), read(other));
        for (name, key) in keys {
            let kept = other.get(*name).and_then(|below| below.get(key));
            if let (Some(Value::Table(below)), Some(kept)) = (table.get_mut(*name), kept) {
                below.insert((*key).to_owned(), kept.clone());
            }
        }
        Self::of(&table)
    }

    fn of(table: &Table) -> Self {
        let toml = toml::to_string(table).unwrap_or_default();
        let octets = digest(&SHA256, toml.as_bytes());
        let hash = octets.as_ref().iter().take(HASH_OCTETS).map(|it| format!("{it:02x}")).collect();
        Self { toml, hash }
    }
}

/// Adds the defaults that a table does not write, and those of all tables below it.
fn fill(table: &mut Table, schema: &Json) {
    let Some(keys) = schema["properties"].as_object() else { return };
    for (key, below) in keys {
        let is_table = below["properties"].is_object();
        if is_table && below["required"].is_array() && !table.contains_key(key) {
            // Nothing stands for it when it is left out.
            continue;
        }
        match (table.get_mut(key), is_table) {
            (Some(Value::Table(written)), true) => fill(written, below),
            (Some(Value::Array(written)), false) if below["items"]["properties"].is_object() => {
                written
                    .iter_mut()
                    .filter_map(Value::as_table_mut)
                    .for_each(|element| fill(element, &below["items"]));
            }
            (Some(_), _) => (),
            (None, true) => {
                let mut defaults = Table::new();
                fill(&mut defaults, below);
                table.insert(key.clone(), Value::Table(defaults));
            }
            (None, false) => {
                if let Some(default) = below.get("default")
                    && let Ok(default) = Value::try_from(default)
                {
                    table.insert(key.clone(), default);
                }
            }
        }
    }
}

fn leave_secrets_out(table: &mut Table) {
    for (key, value) in table.iter_mut() {
        match SECRET_KEYS.iter().any(|end| key.ends_with(end)) {
            true => *value = Value::String(LEFT_OUT.to_owned()),
            false => leave_out_of(value),
        }
    }
}

fn leave_out_of(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(without) = without_user(text) {
                *text = without;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(leave_out_of),
        Value::Table(table) => leave_secrets_out(table),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => (),
    }
}

/// A URL that names a user, or a user's password, without them.
fn without_user(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(format!("{scheme}://{LEFT_OUT}{}", rest.get(user.len()..)?))
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    const SOURCE: &str = "[[source]]\nname = \"hub\"\nkind = \"ec2\"\n";

    fn effective(text: &str) -> super::Effective {
        parse(text, "hubdns.toml").unwrap().effective
    }

    #[test]
    fn every_default_stands_in_it_and_how_the_file_is_written_does_not_count() {
        let short = effective(SOURCE);
        for line in ["interval_secs = 30", "ttl_secs = 60", "upstreams = [\"169.254.169.253\"]"] {
            assert!(short.toml.contains(line), "{line} in\n{}", short.toml);
        }
        assert!(!short.toml.contains("certificate"), "{}", short.toml);
        let long = format!("# A comment.\n[answers]\nttl_secs = 60\n{SOURCE}");
        assert_eq!(effective(&long), short);
        let other = format!("[answers]\nttl_secs = 61\n{SOURCE}");
        assert_ne!(effective(&other).hash, short.hash);
        assert_eq!(short.hash.len(), 16);
    }

    #[test]
    fn it_is_a_configuration_that_means_the_same() {
        let text = format!(
            "[[view]]\nname = \"v\"\nclients = [\"10.0.0.0/8\"]\n[zones]\n\"10.1.0.0/24\" = \"eu-west-1a\"\n\
             [server.https]\nlisten = [\"127.0.0.1:443\"]\ncertificate = \"c\"\nkey = \"k\"\n{SOURCE}"
        );
        let told = effective(&text);
        assert!(told.toml.contains("path = \"/dns-query\""), "{}", told.toml);
        assert_eq!(effective(&told.toml), told);
    }

    #[test]
    fn secrets_are_left_out() {
        let url = "endpoint_url = \"https://me:pass@ec2.example:8443/a?b=c@d\"\n";
        let told = effective(&format!("{SOURCE}{url}")).toml;
        assert!(told.contains("\"https://(left out)@ec2.example:8443/a?b=c@d\""), "{told}");
        assert!(!told.contains("pass"), "{told}");
        let mut table = toml::toml! {
            cookie_secret_file = "/etc/hubdns/cookies"
            [[source]]
            external_id = "shared"
        };
        super::leave_secrets_out(&mut table);
        let told = table.to_string();
        assert!(!told.contains("shared") && told.contains("/etc/hubdns/cookies"), "{told}");
    }
}
