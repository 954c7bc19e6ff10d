//! The API's description, OpenAPI 3.1, made from one table of operations.

mod operations;
mod schemas;

use serde_json::{Map, Value, json};

use operations::{ANY, OPERATIONS, Operation};

/// The description of the API of a server at this URL.
pub fn document(server: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS.iter().filter(|operation| operation.path != "*") {
        let item = paths.entry(operation.path).or_insert_with(|| path_item(operation.path));
        item[operation.method] = describe(operation);
    }
    let mut schemas = schemas::documents();
    if let (Value::Object(all), Value::Object(objects)) = (&mut schemas, schemas::objects()) {
        all.extend(objects);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "devmason",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Builds and test runs report here from anywhere",
            "license": {"name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT"},
        },
        "servers": [{"url": server}],
        "security": [{}, {"basic": []}],
        "paths": paths,
        "components": {"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}, "schemas": schemas, "parameters": schemas::parameters()},
    })
}

fn path_item(path: &str) -> Value {
    let names = path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> =
        names.map(|name| json!({"$ref": format!("#/components/parameters/{name}")})).collect();
    let mut item = json!({"parameters": parameters});
    if let Some(options) = OPERATIONS.iter().find(|operation| operation.method == "options") {
        item["options"] = describe(options);
    }
    item
}

fn describe(operation: &Operation) -> Value {
    let mut responses: Map<String, Value> = Map::new();
    // Health is told to anybody, whatever the credentials.
    let is_open = matches!(operation.path, "/healthz" | "/readyz");
    let any = ANY.iter().filter(|(status, ..)| !is_open || !matches!(status, 401 | 429));
    for (status, schema, meaning) in operation.answers.iter().chain(any) {
        let mut response = json!({"description": meaning});
        if !schema.is_empty() {
            let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
            response["content"] = json!({"application/json": {"schema": schema}});
            if matches!(status, 200 | 201) && !is_open {
                response["content"]["text/html"] = json!({"schema": {"type": "string"}});
            }
        }
        responses.insert(status.to_string(), response);
    }
    let answers = |status: u16| operation.answers.iter().any(|(known, ..)| *known == status);
    let mut names: Vec<&str> = operation.query.to_vec();
    if operation.answers.iter().any(|(status, schema, _)| *status == 200 && !schema.is_empty())
        && !is_open
    {
        names.push("format");
    }
    if answers(413) {
        let meaning = "The body did not arrive in time";
        let schema = json!({"$ref": "#/components/schemas/Error"});
        responses.insert(
            "408".to_owned(),
            json!({"description": meaning, "content": {"application/json": {"schema": schema}}}),
        );
    }
    names.extend(answers(304).then_some("If-None-Match"));
    names.extend(answers(412).then_some("If-Match"));
    names.extend(answers(422).then_some("Idempotency-Key"));
    let parameters: Vec<Value> = names
        .iter()
        .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}))
        .collect();
    let mut description =
        json!({"summary": operation.summary, "parameters": parameters, "responses": responses});
    if let Some(schema) = operation.body {
        let required = !matches!(schema, "Closing" | "NewUser");
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        let mut content = json!({"application/json": {"schema": schema}});
        if operation.query.contains(&"report") {
            for media_type in [
                "application/xml",
                "text/plain",
                "application/x-ndjson",
                "application/x-tar",
                "application/zip",
            ] {
                content[media_type] =
                    json!({"schema": {"type": "string", "description": "A report file"}});
            }
        }
        description["requestBody"] = json!({"required": required, "content": content});
    }
    description
}
