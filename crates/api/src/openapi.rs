//! The API's description, OpenAPI 3.1, made from one table of operations.

use serde_json::{Map, Value, json};

/// An operation: what it does, what it takes, and every status that it answers with.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    body: Option<&'static str>,
    /// Status, the schema of the body (or ""), what it means.
    answers: &'static [(u16, &'static str, &'static str)],
}

const PAGE: [&str; 2] = ["page", "per_page"];
const BUILDS: [&str; 8] =
    ["page", "per_page", "after", "before", "fields", "where", "query", "sort"];

const NOT_THERE: (u16, &str, &str) =
    (404, "Error", "There is nothing at this place, or no such page");
const REDIRECT: (u16, &str, &str) = (302, "", "The build, at `Location`");
const UNCHANGED: (u16, &str, &str) =
    (304, "", "The client has this representation: `If-None-Match` named its ETag");
const FORBIDDEN: (u16, &str, &str) = (403, "Error", "These credentials do not permit it");
const STALE: (u16, &str, &str) = (412, "Error", "`If-Match` or `If-None-Match` does not hold");
const TOO_LARGE: (u16, &str, &str) = (413, "Error", "The body is longer than the limit");
const NOT_JSON: (u16, &str, &str) =
    (415, "Error", "The body is not `application/json`, or compressed otherwise than with gzip");
const KEY_REUSED: (u16, &str, &str) =
    (422, "Error", "The `Idempotency-Key` came with another body before");
const NOT_IN_PROGRESS: (u16, &str, &str) = (410, "Error", "The build is finished");
const TAKEN: (u16, &str, &str) = (409, "Error", "Somebody else is just taking the username");

/// What any operation may answer, and what it means.
const ANY: [(u16, &str, &str); 5] = [
    (
        400,
        "Error",
        "A parameter, a header or a member of the body cannot be so; the message names it",
    ),
    (401, "Error", "Wrong credentials, or none where some are needed"),
    (429, "Error", "Too many wrong passwords; see `Retry-After`"),
    (500, "Error", "The server failed; its log says why"),
    (503, "Error", "The database is away or busy, or too much waits; see `Retry-After`"),
];

const OPERATIONS: [Operation; 28] = [
    Operation {
        method: "get",
        path: "/",
        summary: "List the projects, in order of name",
        query: &PAGE,
        body: None,
        answers: &[(200, "ProjectList", "A page of projects"), UNCHANGED, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "get",
        path: "/{project}",
        summary: "Read a project",
        query: &[],
        body: None,
        answers: &[(200, "Project", "The project"), UNCHANGED, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "put",
        path: "/{project}",
        summary: "Register a project, or change one's own",
        query: &[],
        body: Some("NewProject"),
        answers: &[
            (200, "Project", "Changed"),
            (201, "Project", "Registered"),
            FORBIDDEN,
            TAKEN,
            STALE,
            TOO_LARGE,
            NOT_JSON,
            NOT_THERE,
        ],
    },
    Operation {
        method: "delete",
        path: "/{project}",
        summary: "Delete a project and its builds",
        query: &[],
        body: None,
        answers: &[(204, "", "Deleted"), FORBIDDEN, NOT_THERE, STALE],
    },
    Operation {
        method: "get",
        path: "/{project}/builds",
        summary: "List a project's builds, newest first",
        query: &BUILDS,
        body: None,
        answers: &[(200, "BuildList", "A page of builds"), UNCHANGED, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "post",
        path: "/{project}/builds",
        summary: "Report a build, or begin an incremental one",
        query: &[],
        body: Some("NewBuild"),
        answers: &[
            (201, "", "Stored: `Location` is the build, or its progress"),
            FORBIDDEN,
            NOT_THERE,
            TAKEN,
            TOO_LARGE,
            NOT_JSON,
            KEY_REUSED,
        ],
    },
    Operation {
        method: "get",
        path: "/{project}/builds/latest",
        summary: "Find the latest build",
        query: &[],
        body: None,
        answers: &[REDIRECT, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "get",
        path: "/{project}/builds/{build}",
        summary: "Read a build",
        query: &["fields"],
        body: None,
        answers: &[(200, "Build", "The build"), UNCHANGED, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "put",
        path: "/{project}/builds/{build}",
        summary: "Report a build under an id of the client's",
        query: &[],
        body: Some("NewBuild"),
        answers: &[
            (200, "", "The same document was stored before"),
            (201, "", "Stored"),
            STALE,
            FORBIDDEN,
            NOT_THERE,
            (
                409,
                "Error",
                "Another document was stored under this id before; builds are not updated",
            ),
            TOO_LARGE,
            NOT_JSON,
        ],
    },
    Operation {
        method: "delete",
        path: "/{project}/builds/{build}",
        summary: "Delete a build",
        query: &[],
        body: None,
        answers: &[(204, "", "Deleted"), FORBIDDEN, NOT_THERE, STALE],
    },
    Operation {
        method: "get",
        path: "/{project}/builds/{build}/progress",
        summary: "See whether a build is in progress",
        query: &[],
        body: None,
        answers: &[(200, "", "It is"), UNCHANGED, FORBIDDEN, NOT_THERE, NOT_IN_PROGRESS],
    },
    Operation {
        method: "post",
        path: "/{project}/builds/{build}/progress",
        summary: "Add a step to a build in progress",
        query: &[],
        body: Some("Step"),
        answers: &[
            (204, "", "Added; `Location` is the build"),
            STALE,
            FORBIDDEN,
            NOT_THERE,
            NOT_IN_PROGRESS,
            TOO_LARGE,
            NOT_JSON,
            KEY_REUSED,
        ],
    },
    Operation {
        method: "delete",
        path: "/{project}/builds/{build}/progress",
        summary: "Finish a build in progress",
        query: &[],
        body: Some("Closing"),
        answers: &[
            (204, "", "Finished; `Location` is the build"),
            STALE,
            FORBIDDEN,
            NOT_THERE,
            NOT_IN_PROGRESS,
            TOO_LARGE,
            NOT_JSON,
        ],
    },
    Operation {
        method: "get",
        path: "/{project}/tags",
        summary: "List the tags that a project's builds have",
        query: &[],
        body: None,
        answers: &[(200, "TagList", "The tags"), UNCHANGED, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "get",
        path: "/{project}/tags/{tags}",
        summary: "List the builds that have all of some tags",
        query: &BUILDS,
        body: None,
        answers: &[(200, "BuildList", "A page of builds"), UNCHANGED, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "get",
        path: "/{project}/tags/{tags}/latest",
        summary: "Find the latest build that has all of some tags",
        query: &[],
        body: None,
        answers: &[REDIRECT, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "get",
        path: "/users",
        summary: "List the users, in order of name",
        query: &PAGE,
        body: None,
        answers: &[(200, "UserList", "A page of users"), UNCHANGED, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "get",
        path: "/users/{username}",
        summary: "Read a user",
        query: &[],
        body: None,
        answers: &[(200, "User", "The user"), UNCHANGED, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "put",
        path: "/users/{username}",
        summary: "Create oneself, or change one's password",
        query: &[],
        body: Some("NewUser"),
        answers: &[
            (200, "User", "The password is changed"),
            (201, "User", "Created"),
            FORBIDDEN,
            NOT_THERE,
            TAKEN,
            STALE,
            TOO_LARGE,
            NOT_JSON,
        ],
    },
    Operation {
        method: "delete",
        path: "/users/{username}",
        summary: "Delete a user",
        query: &[],
        body: None,
        answers: &[
            (204, "", "Deleted: its projects belong to nobody, its builds are credited to nobody"),
            FORBIDDEN,
            NOT_THERE,
            STALE,
        ],
    },
    Operation {
        method: "get",
        path: "/users/{username}/builds",
        summary: "List the builds that a user sent",
        query: &BUILDS,
        body: None,
        answers: &[(200, "BuildList", "A page of builds"), UNCHANGED, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "get",
        path: "/users/{username}/builds/latest",
        summary: "Find the latest build that a user sent",
        query: &[],
        body: None,
        answers: &[REDIRECT, FORBIDDEN, NOT_THERE],
    },
    Operation {
        method: "get",
        path: "/healthz",
        summary: "See whether the process lives",
        query: &[],
        body: None,
        answers: &[(200, "Status", "It does")],
    },
    Operation {
        method: "get",
        path: "/readyz",
        summary: "See whether the database answers",
        query: &[],
        body: None,
        answers: &[(200, "Status", "It does")],
    },
    Operation {
        method: "get",
        path: "/metrics",
        summary: "Read the metrics, as OpenMetrics text",
        query: &[],
        body: None,
        answers: &[(200, "", "The metrics"), FORBIDDEN],
    },
    Operation {
        method: "get",
        path: "/openapi.json",
        summary: "Read this description",
        query: &[],
        body: None,
        answers: &[(200, "", "This description"), UNCHANGED, FORBIDDEN],
    },
    // The two that stand for any resource: what may be done there, and what is not to be had.
    Operation {
        method: "options",
        path: "*",
        summary: "See what this client may do here",
        query: &[],
        body: None,
        answers: &[(204, "", "`Allow` says it"), NOT_THERE],
    },
    Operation {
        method: "*",
        path: "*",
        summary: "A method that the resource does not have",
        query: &[],
        body: None,
        answers: &[(405, "Error", "`Allow` says which it has")],
    },
];

/// The description of the API of a server at this URL.
pub fn document(server: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS.iter().filter(|operation| operation.path != "*") {
        let item = paths.entry(operation.path).or_insert_with(|| path_item(operation.path));
        item[operation.method] = describe(operation);
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
        "components": {"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}, "schemas": schemas(), "parameters": parameters()},
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
            if *status == 200 && !is_open {
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
    names.extend((operation.method == "post").then_some("Idempotency-Key"));
    let parameters: Vec<Value> = names
        .iter()
        .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}))
        .collect();
    let mut description =
        json!({"summary": operation.summary, "parameters": parameters, "responses": responses});
    if let Some(schema) = operation.body {
        let required = !matches!(schema, "Closing" | "NewUser");
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        description["requestBody"] =
            json!({"required": required, "content": {"application/json": {"schema": schema}}});
    }
    description
}

fn parameters() -> Value {
    let text = || json!({"type": "string"});
    let header = |name: &str, description: &str| json!({"name": name, "in": "header", "schema": {"type": "string"}, "description": description});
    let path = |name: &str, pattern: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "pattern": pattern}});
    let query = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "query", "schema": schema, "description": description});
    json!({
        "project": path("project", "^[A-Za-z0-9_-]{1,100}$"),
        "build": path("build", "^[A-Za-z0-9._~-]{1,100}$"),
        "username": path("username", "^[A-Za-z0-9_.@+-]{1,150}$"),
        "tags": {"name": "tags", "in": "path", "required": true, "schema": {"type": "string"}, "description": "One tag, or several separated by ; or , (or by -, where the project's tags leave no doubt)"},
        "page": query("page", json!({"type": "integer", "minimum": 1, "default": 1}), "Which page"),
        "per_page": query("per_page", json!({"type": "integer", "minimum": 1, "maximum": 100}), "How long a page is"),
        "after": query("after", json!({"type": "string", "format": "uuid"}), "A position in the list, as `next` links carry it"),
        "before": query("before", json!({"type": "string", "format": "uuid"}), "A position in the list, as `previous` links carry it"),
        "fields": query("fields", json!({"type": "string"}), "The members of each build that are wanted, separated by commas"),
        "where": query("where", json!({"type": "string"}), "Conditions that must all hold: `field:value,field:value`"),
        "sort": query("sort", json!({"type": "string"}), "Fields to sort by, `-` before those from the greatest to the least"),
        "query": query("query", text(), "An expression that must hold: `and(eq(success,false),ge(started,2026-01-01T00:00:00Z))`"),
        "format": query("format", json!({"enum": ["json", "html"]}), "A representation, whatever `Accept` says"),
        "If-Match": header("If-Match", "ETags of the states that the request is meant for, or `*`"),
        "If-None-Match": header("If-None-Match", "ETags of the representations that the client has, or `*`"),
        "Idempotency-Key": {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255}, "description": "A retry with the same key and body gets the first answer and stores nothing"},
    })
}

fn schemas() -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let list = |name: &str| json!({"type": "array", "items": reference(name)});
    let text = || json!({"type": "string"});
    let date = || json!({"type": "string", "description": "RFC 2822, in the offset that the client sent; RFC 3339 is read, too"});
    let nullable = |schema: &str| json!({"type": [schema, "null"]});
    let tag = || json!({"type": "string", "minLength": 1, "maxLength": 100});
    let page = |name: &str, members: Value| {
        let mut schema = json!({
            "type": "object",
            "required": [name, "count", "num_pages", "page", "paginated", "per_page", "links"],
            "properties": {
                "count": {"type": "integer"},
                "count_is_exact": {"const": false, "description": "There, and false, where there may be more than `count`"},
                "num_pages": {"type": "integer"}, "page": {"type": "integer"}, "paginated": {"type": "boolean"},
                "per_page": {"type": "integer"}, "links": list("Link"),
            },
        });
        schema["properties"][name] = members;
        schema
    };
    let mut builds = page("builds", list("Build"));
    builds["properties"]["tags"] = json!({"type": "array", "items": tag(), "description": "The tags that all of them have, where the list is of those"});
    json!({
        "Link": {"type": "object", "required": ["rel", "href", "allowed_methods"], "properties": {
            "rel": text(), "href": {"type": "string", "format": "uri"},
            "allowed_methods": {"type": "array", "items": {"enum": ["GET", "POST", "PUT", "DELETE"]}}}},
        "Error": {"type": "object", "required": ["message", "payload", "status_code"], "properties": {
            "message": text(), "payload": {"type": "object"}, "status_code": {"type": "integer"}}},
        "Status": {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}},
        "NewProject": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200}, "reporting": {"enum": ["anyone", "authenticated", "owner", null]}}},
        "Project": {"type": "object", "required": ["name", "owner", "reporting", "links"], "properties": {
            "name": text(), "owner": nullable("string"), "reporting": {"enum": ["anyone", "authenticated", "owner"]}, "links": list("Link")}},
        "ProjectList": page("projects", list("Project")),
        "Client": {"type": "object", "properties": {"host": nullable("string"), "user": nullable("string"), "arch": nullable("string")}, "additionalProperties": true},
        "Step": {"type": "object", "required": ["name", "success"], "properties": {
            "name": text(), "success": {"type": "boolean"}, "started": date(), "finished": date(),
            "output": text(), "errout": text()}, "additionalProperties": true},
        "NewBuild": {"type": "object", "properties": {
            "success": nullable("boolean"), "incremental": nullable("boolean"), "started": date(), "finished": date(),
            "tags": {"type": "array", "items": tag()}, "client": reference("Client"), "results": list("Step")},
            "anyOf": [{"required": ["success"]}, {"required": ["incremental"]}]},
        "Build": {"type": "object", "description": "With `fields`, only the members asked for", "properties": {
            "id": text(), "state": {"enum": ["running", "finished"]}, "success": nullable("boolean"), "started": date(),
            "finished": nullable("string"), "tags": {"type": "array", "items": tag()}, "client": reference("Client"),
            "results": list("Step"), "links": list("Link")}},
        "BuildList": builds,
        "Closing": {"type": "object", "properties": {"success": nullable("boolean"), "finished": {"type": ["string", "null"]}}},
        "TagList": {"type": "object", "required": ["tags", "links"], "properties": {"tags": {"type": "array", "items": tag()}, "links": list("Link")}},
        "NewUser": {"type": "object", "properties": {"password": nullable("string")}},
        "User": {"type": "object", "required": ["username", "links"], "properties": {"username": text(), "links": list("Link")}},
        "UserList": page("users", list("User")),
    })
}
