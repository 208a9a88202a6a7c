//! The JSON API described for programs, as OpenAPI 3.1: `/api/v1/openapi.json`, `docs/openapi.json`.
//!
//! Schemas are made from the structs that are sent. What is listed here by hand are the paths, and a
//! test asks each of them.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::json::{
    ChangesDocument, ConfigDocument, CoverageDocument, ErrorDocument, ExplainDocument,
    NamesDocument, Only, ROWS_MAX, SourcesDocument, StatusDocument, TrafficDocument,
    UpstreamsDocument, ViewsDocument,
};
use crate::base::RecordType;

/// Where its schemas are, as references name it.
const SCHEMAS: &str = "/components/schemas";

/// One path, which is asked by GET.
struct Operation {
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    answer: fn(&mut SchemaGenerator) -> Schema,
    /// Besides 400 and 421, which each has.
    refusals: &'static [(&'static str, &'static str)],
}

const NO_TABLE: (&str, &str) = ("503", "No table is in force yet, and why.");
const NO_SUCH_VIEW: (&str, &str) = ("404", "There is no view of that name; which there are.");
const NO_SUCH_LISTENER: (&str, &str) =
    ("404", "Nobody can ask that address of ours; which there are.");
const TOO_MANY: (&str, &str) = ("413", "More rows than are told at once, and how to ask for them.");

/// The whole description.
pub(super) fn description() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.definitions_path = SCHEMAS.into())
        .into_generator();
    let error = generator.subschema_for::<ErrorDocument>();
    let paths: Map<String, Value> = operations()
        .iter()
        .map(|operation| (operation.path.to_owned(), operation.describe(&mut generator, &error)))
        .collect();
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hubdns",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "What a hub answers, from what, and why.",
            "description": "Looks and never changes anything: only GET is answered, by an address \
                or by localhost. New versions add keys and take none away; ignore those that you do \
                not know.",
            "license": { "name": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "http://127.0.0.1:9153", "description": "`admin.listen`" }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operations() -> Vec<Operation> {
    let look = |path, id, summary, answer| Operation {
        path,
        id,
        summary,
        parameters: Vec::new(),
        answer,
        refusals: &[],
    };
    vec![
        look("/api/v1/status", "status", "How the daemon stands.", schema::<StatusDocument>),
        Operation {
            parameters: names_parameters(),
            refusals: &[NO_SUCH_VIEW, TOO_MANY, NO_TABLE],
            ..look(
                "/api/v1/names",
                "names",
                "What is answered, and what is not and why.",
                schema::<NamesDocument>,
            )
        },
        Operation {
            parameters: explain_parameters(),
            refusals: &[NO_SUCH_LISTENER, NO_TABLE],
            ..look(
                "/api/v1/explain",
                "explain",
                "Why a client gets its answer.",
                schema::<ExplainDocument>,
            )
        },
        look("/api/v1/sources", "sources", "How each source stands.", schema::<SourcesDocument>),
        Operation {
            refusals: &[NO_TABLE],
            ..look("/api/v1/views", "views", "Who is in which view.", schema::<ViewsDocument>)
        },
        look(
            "/api/v1/upstreams",
            "upstreams",
            "Who is asked for what is not ours, and how they do.",
            schema::<UpstreamsDocument>,
        ),
        look(
            "/api/v1/traffic",
            "traffic",
            "Questions and answers of the last quarter of an hour.",
            schema::<TrafficDocument>,
        ),
        Operation {
            refusals: &[NO_TABLE],
            ..look(
                "/api/v1/coverage",
                "coverage",
                "Names of AWS that upstreams answered with public addresses, and why.",
                schema::<CoverageDocument>,
            )
        },
        look(
            "/api/v1/changes",
            "changes",
            "The last tables that went into force.",
            schema::<ChangesDocument>,
        ),
        look("/api/v1/config", "config", "The configuration in force.", schema::<ConfigDocument>),
        look("/api/v1/openapi.json", "openapi", "This description.", any_object),
    ]
}

// === impl Operation ===

impl Operation {
    fn describe(&self, generator: &mut SchemaGenerator, error: &Schema) -> Value {
        let always = [
            ("400", "A parameter that there is not, or a value that is not allowed."),
            ("421", "Asked by a name, as a page elsewhere would."),
        ];
        let body = |schema: &Schema| json!({ "application/json": { "schema": schema } });
        let answer = (self.answer)(generator);
        let mut responses = Map::new();
        let good = json!({ "description": "The document.", "content": body(&answer) });
        responses.insert("200".to_owned(), good);
        for (status, why) in always.iter().chain(self.refusals) {
            let refused = json!({ "description": why, "content": body(error) });
            responses.insert((*status).to_owned(), refused);
        }
        json!({ "get": {
            "operationId": self.id,
            "summary": self.summary,
            "parameters": self.parameters,
            "responses": responses,
        }})
    }
}

fn schema<D: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<D>()
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({ "type": "object" })
}

fn names_parameters() -> Vec<Value> {
    let only: Vec<&str> = [Only::Answered, Only::Declined].map(Only::word).to_vec();
    let rows = json!({ "type": "integer", "minimum": 1, "maximum": ROWS_MAX });
    let first = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX, "default": 0 });
    vec![
        parameter("view", false, "One view alone.", text()),
        parameter(
            "only",
            false,
            "One kind of row alone.",
            json!({ "type": "string", "enum": only }),
        ),
        parameter("rows", false, "A page of at most so many rows.", rows),
        parameter("first", false, "How many rows are before the page.", first),
    ]
}

fn explain_parameters() -> Vec<Value> {
    // Printable ASCII but the dot and the backslash, in labels of at most 63 octets.
    let label = r"[!-\-/-\[\]-~]{1,63}";
    let name = format!(r"^(\.|({label}\.)*{label}\.?)$");
    let name = json!({ "type": "string", "pattern": name, "maxLength": 253 });
    let types: Vec<String> = RecordType::named().map(|it| it.to_string()).collect();
    let number =
        r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}|0)";
    let rtype = json!({
        "type": "string",
        "anyOf": [{ "enum": types }, { "pattern": format!("^TYPE{number}$") }],
        "default": "A",
    });
    let ip = [json!({ "format": "ipv4" }), json!({ "format": "ipv6" })];
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let group = "[0-9a-f]{1,4}";
    let v4 = format!(r"^({octet}\.){{3}}{octet}:{number}$");
    let v6 = format!(r"^\[({group}:){{7}}{group}\]:{number}$");
    let [v4_address, v6_address] = ip.clone();
    let listener = [v4_address, v6_address, json!({ "pattern": v4 }), json!({ "pattern": v6 })];
    vec![
        parameter("name", true, "The name that a client asks for.", name),
        parameter("type", false, "The type that it asks for.", rtype),
        parameter(
            "from",
            false,
            "The client's address; without it, whoever asks this.",
            json!({ "type": "string", "anyOf": ip }),
        ),
        parameter(
            "listener",
            false,
            "The address of ours that it asks, with a port or at 53; without it, the first.",
            json!({ "type": "string", "anyOf": listener }),
        ),
    ]
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn parameter(name: &str, required: bool, description: &str, schema: Value) -> Value {
    json!({
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": schema,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::description;
    use crate::admin::json::to_text;

    #[test]
    fn the_committed_description_is_the_one_of_the_code() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
        let told = to_text(&description());
        let committed = fs::read_to_string(&path).unwrap_or_default();
        if committed != told && std::env::var_os("INSTA_UPDATE").is_some() {
            fs::write(&path, &told).unwrap();
            return;
        }
        assert!(committed == told, "write it anew: INSTA_UPDATE=always cargo nextest run openapi");
    }
}
