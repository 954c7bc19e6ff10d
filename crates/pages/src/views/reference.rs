//! The reference of the API: its description for people.

use askama::Template;
use serde_json::Value;

use super::Page;
use crate::Site;

/// The reference of the API, made from its OpenAPI description.
#[derive(Template)]
#[template(path = "reference.html")]
pub struct Reference<'a> {
    site: Site<'a>,
    operations: Vec<Operation>,
    schemas: Vec<Schema>,
}

struct Operation {
    method: String,
    path: String,
    summary: String,
    right: String,
    parameters: Vec<Member>,
    body: String,
    responses: Vec<Response>,
}

struct Response {
    status: String,
    meaning: String,
    schema: String,
}

struct Schema {
    name: String,
    about: String,
    members: Vec<Member>,
}

struct Member {
    name: String,
    kind: String,
    about: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The last segment of a reference.
fn name_of(reference: &Value) -> String {
    text(reference).rsplit('/').next().unwrap_or_default().to_owned()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The type of a value, in a few words.
fn kind(schema: &Value) -> String {
    if schema["$ref"].is_string() {
        return name_of(&schema["$ref"]);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().map(kind).collect::<Vec<_>>().join(" or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words.iter().map(Value::to_string).collect();
        return words.join(" or ");
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).collect::<Vec<_>>().join(" or "),
        kind => text(kind),
    };
    match &schema["items"] {
        Value::Null if kinds.is_empty() => "any".to_owned(),
        Value::Null => kinds,
        items => format!("{kinds} of {}", kind(items)),
    }
}

/// The schema of a JSON body.
fn body(content: &Value) -> String {
    match &content["content"]["application/json"]["schema"] {
        Value::Null => String::new(),
        schema => kind(schema),
    }
}

impl<'a> Reference<'a> {
    /// The reference of an API with this OpenAPI description.
    pub fn new(site: Site<'a>, description: &Value) -> Self {
        let parameters = &description["components"]["parameters"];
        let parameter = |reference: &Value| {
            let of = &parameters[&name_of(&reference["$ref"])];
            Member {
                name: text(&of["name"]),
                kind: format!("{}, in the {}", kind(&of["schema"]), text(&of["in"])),
                about: text(&of["description"]),
            }
        };
        let mut operations = Vec::new();
        for (path, item) in members(&description["paths"]) {
            let common = item["parameters"].as_array().into_iter().flatten();
            let is_method = |method: &str| !matches!(method, "parameters" | "options");
            for (method, of) in members(item).filter(|(method, _)| is_method(method)) {
                let own = of["parameters"].as_array().into_iter().flatten();
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    summary: text(&of["summary"]),
                    right: text(&of["description"]),
                    parameters: common.clone().chain(own).map(parameter).collect(),
                    body: body(&of["requestBody"]),
                    responses: members(&of["responses"])
                        .map(|(status, response)| Response {
                            status: status.clone(),
                            meaning: text(&response["description"]),
                            schema: body(response),
                        })
                        .collect(),
                });
            }
        }
        let schemas = members(&description["components"]["schemas"])
            .map(|(name, of)| Schema {
                name: name.clone(),
                about: text(&of["description"]),
                members: members(&of["properties"])
                    .map(|(name, member)| Member {
                        name: name.clone(),
                        kind: kind(member),
                        about: text(&member["description"]),
                    })
                    .collect(),
            })
            .collect();
        Self { site, operations, schemas }
    }
}

impl Page for Reference<'_> {
    fn title(&self) -> String {
        "API reference".to_owned()
    }
    fn summary(&self) -> String {
        "Every operation and document of the HTTP API".to_owned()
    }
}
