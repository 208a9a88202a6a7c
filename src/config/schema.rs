//! The JSON Schema of the configuration file, made from the structs that read it.

use schemars::{
    Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::{Value, json};

use super::file::File;

/// The JSON Schema (draft 2020-12) of the configuration file, as `hubdns schema` prints it and
/// as it stands in `config/hubdns.schema.json`.
pub fn schema() -> String {
    let mut tree = tree();
    // `sources` itself tells, in better words than `shape`, that there is none.
    tree["required"] = json!(["source"]);
    // `zones = "discover"` is put in the form of the table before it is held against the tree.
    let table = tree["properties"]["zones"].take();
    tree["properties"]["zones"] = json!({
        "description": table["description"],
        "anyOf": [table, { "const": "discover" }],
    });
    format!("{tree:#}\n")
}

/// The same as a value, without references: what `shape` walks.
pub(super) fn tree() -> Value {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(WithoutNull)
        .into_generator()
        .into_root_schema_for::<File>()
        .to_value()
}

/// TOML has no null, so a key that may be absent must not say that it may be null, nor that nothing
/// is its default; and the widths
/// of our integers are nobody's business outside.
#[derive(Clone)]
struct WithoutNull;

// === impl WithoutNull ===

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        let is_nothing = |value: &Value| value.is_null() || *value == json!({});
        if schema.get("default").is_some_and(is_nothing) {
            schema.remove("default");
        }
        schema.remove("format");
        transform_subschemas(self, schema);
    }
}
