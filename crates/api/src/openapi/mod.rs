//! The OpenAPI 3.1 description of the API, generated from the map of URIs.

mod parameters;

use devmason_hypermedia::document::schemas;
use devmason_hypermedia::map::{ANY, OPTIONS, ROWS};
use devmason_hypermedia::operation::{Answer, Description, Right};
use serde_json::{Map, Value, json};

/// The API description for a server at this URL.
pub fn document(version: &str, server: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for row in ROWS {
        let mut item = path_item(row.pattern);
        for (method, operation) in row.methods.iter().zip(row.operations) {
            item[method.as_str().to_lowercase()] = describe(operation);
        }
        paths.insert(row.pattern.to_owned(), item);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "devmason",
            "version": version,
            "summary": "Collects builds and test results from anywhere",
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": server}],
        "security": [{}, {"basic": []}],
        "paths": paths,
        "components": {"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}, "schemas": schemas(), "parameters": parameters::parameters()},
    })
}

fn path_item(path: &str) -> Value {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameters: Vec<Value> = names.map(parameter).collect();
    json!({"parameters": parameters, "options": describe(&OPTIONS)})
}

fn parameter(name: &str) -> Value {
    json!({"$ref": format!("#/components/parameters/{name}")})
}

fn schema(name: &str) -> Value {
    json!({"schema": {"$ref": format!("#/components/schemas/{name}")}})
}

fn describe(operation: &Description) -> Value {
    let is_open = operation.right == Right::Open;
    let implied = operation.implied();
    let any = ANY.iter().filter(|answer| !is_open || !matches!(answer.status, 401 | 429));
    let mut responses: Map<String, Value> = Map::new();
    for Answer { status, schema: name, meaning } in
        operation.answers.iter().chain(&implied).chain(any)
    {
        let mut response = json!({"description": meaning});
        if let Some(name) = name {
            response["content"] = json!({"application/json": schema(name)});
            if matches!(status, 200 | 201) && !is_open {
                response["content"]["text/html"] = json!({"schema": {"type": "string"}});
            }
        }
        responses.insert(status.to_string(), response);
    }
    let answers = |status: u16| operation.answers.iter().find(|answer| answer.status == status);
    let mut names: Vec<&str> = operation.query.to_vec();
    let has_pages = answers(200).is_some_and(|answer| answer.schema.is_some()) && !is_open;
    names.extend(has_pages.then_some("format"));
    names.extend(answers(304).map(|_| "If-None-Match"));
    names.extend(answers(412).map(|_| "If-Match"));
    names.extend(answers(422).map(|_| "Idempotency-Key"));
    let parameters: Vec<Value> = names.into_iter().map(parameter).collect();
    let mut description = json!({
        "summary": operation.summary,
        "description": operation.right.sentence(),
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = operation.body {
        let required = !matches!(body, "Closing" | "NewUser");
        let mut content = json!({"application/json": schema(body)});
        if operation.query.contains(&"report") {
            for media_type in REPORTS {
                content[media_type] =
                    json!({"schema": {"type": "string", "description": "A report file"}});
            }
        }
        description["requestBody"] = json!({"required": required, "content": content});
    }
    description
}

/// The media types of report files.
const REPORTS: [&str; 5] = [
    "application/xml",
    "text/plain",
    "application/x-ndjson",
    "application/x-tar",
    "application/zip",
];
