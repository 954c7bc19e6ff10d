//! What documents and parameters look like.

use devmason_domain::limits;
use serde_json::{Value, json};

/// How long a body may be where no setting says otherwise, in bytes: texts that have no bound of their own have it.
const BODY: usize = 32 << 20;

/// A text of at most so many bytes, which are as many characters at most.
/// How long a parameter or a header may be so that it fits into the head of a request whatever is in it, percent-encoded and
/// with others, in characters. Longer ones are taken where they fit.
const IN_HEAD: usize = 1_000;

/// How many of one parameter, for the same reason.
const ITEMS: usize = 50;

fn bounded(bytes: usize) -> Value {
    json!({"type": "string", "maxLength": bytes})
}

fn bounded_or_null(bytes: usize) -> Value {
    json!({"type": ["string", "null"], "maxLength": bytes})
}

/// The parameters, by their names.
pub(super) fn parameters() -> Value {
    let text = || bounded(IN_HEAD);
    let header = |name: &str, description: &str| json!({"name": name, "in": "header", "schema": bounded(IN_HEAD), "description": description});
    let path = |name: &str, pattern: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "pattern": pattern}});
    let query = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "query", "schema": schema, "description": description});
    let mut all = json!({
        "id": {"name": "id", "in": "path", "required": true, "schema": bounded(IN_HEAD), "description": "An object's id; a component's or a component type's name, too"},
        "limit": query("limit", json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 20}), "How many at most"),
        "offset": query("offset", json!({"type": "integer", "minimum": 0, "default": 0}), "How many to leave out"),
        "embed": query("embed", text(), "`componenttype`, to have components with their whole types"),
        "cascade": query("cascade", json!({"type": "boolean", "default": false}), "Whether a component type's components go, too"),
        "project": path("project", "^[A-Za-z0-9_-]{1,100}$"),
        "build": path("build", "^[A-Za-z0-9._~-]{1,100}$"),
        "username": path("username", "^[A-Za-z0-9_.@+-]{1,150}$"),
        "test": {"name": "test", "in": "path", "required": true, "schema": bounded(IN_HEAD), "description": "The whole name of a test, `suite::name`"},
        "status": query("status", text(), "Only cases of these: `passed`, `flaky`, `skipped`, `failed`, `error`, separated by commas"),
        "suite": query("suite", text(), "Only cases of this suite"),
        "text": query("text", bounded(IN_HEAD), "Only cases with this in their whole name, only builds with this in their id, the case of ASCII letters aside"),
        "tag": {"name": "tag", "in": "query", "schema": {"type": "array", "maxItems": ITEMS, "items": bounded(100)}, "explode": true, "description": "With a report file: a tag of the build; may be given several times. In a list: only builds that have it"},
        "component": {"name": "component", "in": "query", "schema": {"type": "array", "maxItems": ITEMS, "items": bounded(420)}, "explode": true, "description": "With a report file: a component that was tested, by its id or as `type:name`; may be given several times"},
        "host": query("host", text(), "With a report file: the host of the client record; any other member as `client.x`. In a list: only builds of that host"),
        "arch": query("arch", text(), "With a report file: the architecture of the client record"),
        "user": query("user", text(), "With a report file: the user of the client record"),
        "started": query("started", text(), "With a report file: when the build started, where it is not said there"),
        "name": query("name", text(), "With a report file: the name of the step that it becomes"),
        "report": query("report", json!({"enum": devmason_reports::Format::ALL.map(devmason_reports::Format::as_str).to_vec()}), "What the report file in the body is, where it is not to be recognized"),
        "tags": {"name": "tags", "in": "path", "required": true, "schema": bounded(IN_HEAD), "description": "One tag, or several separated by ; or , (or by -, where the project's tags leave no doubt)"},
        "page": query("page", json!({"type": "integer", "minimum": 1, "default": 1}), "Which page"),
        "per_page": query("per_page", json!({"type": "integer", "minimum": 1, "maximum": 100}), "How long a page is"),
        "after": query("after", json!({"type": "string", "format": "uuid"}), "A position in the list, as `next` links carry it"),
        "before": query("before", json!({"type": "string", "format": "uuid"}), "A position in the list, as `previous` links carry it"),
        "from": query("from", json!({"type": "integer", "minimum": 0}), "So many from the first, or a case of a build: a position in the list, as `next` links carry it; in a page of an output its first line; of events the first step"),
        "fields": query("fields", text(), "The members of each build that are wanted, separated by commas"),
        "where": query("where", text(), "Conditions that must all hold: `field:value,field:value`"),
        "sort": query("sort", text(), "Fields to sort by, `-` before those from the greatest to the least"),
        "query": query("query", text(), "An expression that must hold: `and(eq(success,false),ge(started,2026-01-01T00:00:00Z))`"),
        "format": query("format", json!({"enum": ["json", "html"]}), "A representation, whatever `Accept` says"),
        "If-Match": header("If-Match", "ETags of the states that the request is meant for, or `*`"),
        "If-None-Match": header("If-None-Match", "ETags of the representations that the client has, or `*`"),
        "Idempotency-Key": {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255}, "description": "A retry with the same key and body gets the first answer and stores nothing"},
    });
    let of_pages = json!({
        "state": query("state", json!({"enum": ["", "success", "failure", "running"]}), "Only builds of that state"),
        "step": {"name": "step", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32}, "description": "The place of a step in its build, from 0"},
        "file": path("file", "^[a-z0-9.-]{1,100}$"),
        "to": query("to", json!({"type": "integer", "minimum": 0}), "In a page of an output: its last line"),
        "next": query("next", text(), "Where the form leads to then"),
    });
    if let (Value::Object(all), Value::Object(of_pages)) = (&mut all, of_pages) {
        all.extend(of_pages);
    }
    all
}

/// The schemas of the hypermedia face.
pub(super) fn documents() -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let list = |name: &str| json!({"type": "array", "items": reference(name)});
    let text = || json!({"type": "string"});
    let date = || json!({"type": "string", "maxLength": 100, "description": "RFC 2822, in the offset that the client sent; RFC 3339 is read, too"});
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
        "Session": {"type": "object", "required": ["username"], "properties": {"username": nullable("string")}},
        "Status": {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}},
        "NewProject": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200}, "reporting": {"enum": ["anyone", "authenticated", "owner", null]},
            "id": {}, "owner": {}, "created_at": {}, "updated_at": {}, "etag": {}, "links": {}}, "additionalProperties": false},
        "Project": {"type": "object", "required": ["name", "owner", "reporting", "links"], "properties": {
            "name": text(), "owner": nullable("string"), "reporting": {"enum": ["anyone", "authenticated", "owner"]}, "links": list("Link")}},
        "ProjectList": page("projects", list("Project")),
        "Client": {"type": "object", "maxProperties": limits::MEMBERS, "properties": {"host": bounded_or_null(limits::NAME), "user": bounded_or_null(limits::NAME), "arch": bounded_or_null(limits::NAME)}, "additionalProperties": true, "description": format!("At most {} bytes", limits::CLIENT)},
        "Step": {"type": "object", "required": ["name", "success"], "maxProperties": limits::MEMBERS, "properties": {
            "name": bounded(limits::NAME), "success": {"type": "boolean"}, "started": date(), "finished": date(),
            "output": bounded(BODY), "errout": bounded(BODY),
            "tests": {"type": ["array", "null"], "maxItems": limits::CASES, "items": reference("NewTest"), "writeOnly": true}}, "additionalProperties": true},
        "NewTest": {"type": "object", "required": ["name", "status"], "maxProperties": limits::MEMBERS, "properties": {
            "suite": bounded_or_null(limits::NAME), "name": bounded(limits::NAME), "status": {"enum": ["passed", "flaky", "skipped", "failed", "error"]},
            "duration": {"type": ["number", "null"], "minimum": 0, "description": "Seconds"},
            "failure": {"type": ["object", "null"], "properties": {"type": bounded_or_null(BODY), "message": bounded_or_null(BODY), "text": bounded_or_null(BODY)}},
            "stdout": bounded_or_null(BODY), "stderr": bounded_or_null(BODY), "retries": {"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX},
            "file": bounded_or_null(limits::NAME), "line": {"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX},
            "properties": {"type": ["array", "null"], "maxItems": limits::PROPERTIES, "items": {"type": "object", "required": ["name", "value"], "properties": {"name": bounded(BODY), "value": bounded(BODY)}}}},
            "additionalProperties": true},
        "NewBuild": {"type": "object", "properties": {
            "success": nullable("boolean"), "incremental": nullable("boolean"), "started": date(), "finished": date(),
            "tags": {"type": "array", "maxItems": limits::TAGS, "description": "Of which each counts once", "items": tag()}, "client": reference("Client"),
            "results": {"type": "array", "maxItems": limits::STEPS, "items": reference("Step")},
            "components": {"type": ["array", "null"], "maxItems": limits::COMPONENTS, "description": "Of which each counts once", "items": {"anyOf": [
                {"type": "string", "format": "uuid"},
                {"type": "object", "required": ["type", "name"], "properties": {"type": bounded(limits::COMPONENT_TEXT), "name": bounded(limits::COMPONENT_TEXT)}}]}}},
            "anyOf": [{"required": ["success"]}, {"required": ["incremental"]}]},
        "Build": {"type": "object", "description": "With `fields`, only the members asked for", "properties": {
            "id": text(), "state": {"enum": ["running", "finished"]}, "success": nullable("boolean"), "started": date(),
            "finished": nullable("string"), "tags": {"type": "array", "items": tag()}, "client": reference("Client"),
            "components": {"type": "array", "items": {"type": "string", "format": "uuid"}},
            "tests": {"anyOf": [reference("TestSummary"), {"type": "null"}]}, "results": {"type": ["array", "null"], "items": reference("Step"), "description": "In a list null, where the steps of the build are longer than a page"}, "links": list("Link")}},
        "BuildList": builds,
        "TestSummary": {"type": "object", "required": ["total", "passed", "flaky", "skipped", "failed", "error", "duration", "slowest"], "properties": {
            "total": {"type": "integer"}, "passed": {"type": "integer"}, "flaky": {"type": "integer"}, "skipped": {"type": "integer"},
            "failed": {"type": "integer"}, "error": {"type": "integer"}, "duration": {"type": "number", "description": "Seconds"},
            "slowest": {"type": "array", "items": {"type": "object", "required": ["name", "duration"], "properties": {"name": text(), "duration": {"type": "number"}}}}}},
        "Test": {"type": "object", "required": ["position", "full_name", "suite", "name", "status", "links"], "properties": {
            "position": {"type": "integer"}, "full_name": text(), "suite": text(), "name": text(),
            "status": {"enum": ["passed", "flaky", "skipped", "failed", "error"]}, "duration": {"type": ["number", "null"]},
            "failure": {"type": ["object", "null"], "properties": {"type": text(), "message": text(), "text": text()}},
            "stdout": text(), "stderr": text(), "retries": {"type": "integer"}, "file": nullable("string"), "line": {"type": ["integer", "null"]},
            "properties": {"type": "array", "items": {"type": "object", "properties": {"name": text(), "value": text()}}}, "links": list("Link")}},
        "TestList": {"type": "object", "required": ["tests", "count", "links"], "properties": {"tests": list("Test"), "count": {"type": "integer"}, "links": list("Link")}},
        "TestHistory": {"type": "object", "required": ["full_name", "runs", "links"], "properties": {"full_name": text(), "links": list("Link"),
            "runs": {"type": "array", "items": {"allOf": [reference("Test"), {"type": "object", "required": ["build", "started"], "properties": {"build": text(), "started": text()}}]}}}},
        "Receipt": {"type": "object", "required": ["uploads", "links"], "properties": {"links": list("Link"), "uploads": list("Upload")}},
        "Upload": upload(),
        "Closing": {"type": "object", "properties": {"success": nullable("boolean"), "finished": bounded_or_null(100)}},
        "TagList": {"type": "object", "required": ["tags", "links"], "properties": {"tags": {"type": "array", "items": tag()}, "links": list("Link")}},
        "NewUser": {"type": "object", "properties": {"password": bounded_or_null(devmason_domain::MAX_PASSWORD_BYTES)}},
        "User": {"type": "object", "required": ["username", "links"], "properties": {"username": text(), "links": list("Link")}},
        "UserList": page("users", list("User")),
    })
}

/// What one upload was read as.
fn upload() -> Value {
    let text = || json!({"type": "string"});
    let number = || json!({"type": "integer"});
    json!({"type": "object", "required": ["format", "recognized", "notes", "notes_total"], "properties": {
        "file": {"type": ["string", "null"], "description": "Of a file that came with others"},
        "files": {"type": "integer", "description": "How many files are this one report, where they are several"},
        "format": {"type": ["string", "null"], "description": "Null where it is no report"},
        "recognized": text(), "bytes": number(), "digest": text(),
        "seconds": {"type": "number", "description": "How long it took to read"},
        "steps": {"type": "integer", "description": "Of a document"},
        "suites": {"type": "integer", "description": "Of a file"},
        "tests": {"type": "object", "required": ["total"], "properties": {
            "total": number(), "passed": number(), "flaky": number(), "skipped": number(), "failed": number(), "error": number()}},
        "notes": {"type": "array", "items": {"type": "object", "required": ["line", "kind", "text"], "properties": {
            "line": {"type": ["integer", "null"]},
            "kind": {"enum": ["dropped", "doubled", "guessed", "cut", "odd", "verdict"]}, "text": text()}}},
        "notes_total": number()}})
}

/// The schemas of the query face.
pub(super) fn objects() -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let list = |name: &str| json!({"type": "array", "items": reference(name)});
    let text = || json!({"type": "string"});
    let id = || json!({"type": "string", "format": "uuid"});
    let utc = || json!({"type": "string", "format": "date-time"});
    let maybe = || json!({"type": ["string", "null"]});
    let said = || bounded_or_null(limits::COMPONENT_TEXT);
    let one = |singular: &str, name: &str| json!({"type": "object", "required": [singular], "properties": {singular: reference(name)}});
    let objects = |plural: &str, name: &str| {
        json!({"type": "object", "required": [plural, "_meta"], "properties": {
            plural: list(name),
            "_meta": {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer"}}}}})
    };
    let object = |members: Value| {
        let mut schema = json!({"type": "object", "required": ["id", "created_at", "updated_at", "etag"], "properties": members});
        schema["properties"]["etag"] = text();
        schema
    };
    let component_members = |new: bool| {
        let mut members = json!({
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "componenttype": {"type": ["string", "object"], "maxLength": limits::COMPONENT_TEXT, "description": "The type's id; a name is taken, too"},
            "componenttype_id": bounded(limits::COMPONENT_TEXT), "title": said(), "message": said(), "url": said(), "canonical_project_name": said(),
            "sha": said(), "ref": said(), "git": said(), "data": {"description": format!("Any JSON of at most {} bytes", limits::COMPONENT_DATA)}});
        if !new {
            members["id"] = id();
            members["created_at"] = utc();
            members["updated_at"] = utc();
        }
        members
    };
    let mut schemas = json!({});
    schemas["NewComponentType"] = json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200}}});
    schemas["NewComponent"] = json!({"type": "object", "required": ["name", "componenttype"], "properties": component_members(true)});
    schemas["ComponentChange"] = json!({"type": "object", "properties": component_members(true)});
    schemas["ComponentType"] =
        object(json!({"id": id(), "name": text(), "created_at": utc(), "updated_at": utc()}));
    schemas["ComponentTypes"] = objects("componenttypes", "ComponentType");
    schemas["OneComponentType"] = one("componenttype", "ComponentType");
    schemas["Component"] = object(component_members(false));
    schemas["Components"] = objects("components", "Component");
    schemas["OneComponent"] = one("component", "Component");
    schemas["ProjectObject"] = object(
        json!({"id": text(), "name": text(), "owner": maybe(), "reporting": text(), "created_at": utc(), "updated_at": utc()}),
    );
    schemas["ProjectObjects"] = objects("projects", "ProjectObject");
    schemas["OneProjectObject"] = one("project", "ProjectObject");
    schemas["BuildObject"] = object(
        json!({"id": id(), "key": text(), "project": text(), "state": text(), "success": {"type": ["boolean", "null"]},
            "started": utc(), "finished": {"type": ["string", "null"]}, "user": maybe(), "tags": {"type": "array", "items": text()}, "components": {"type": "array", "items": id()},
            "client": {"type": "object"}, "steps": {"type": "integer"}, "failed_steps": {"type": "integer"}, "created_at": utc(), "updated_at": utc()}),
    );
    schemas["BuildObjects"] = objects("builds", "BuildObject");
    schemas["OneBuildObject"] = one("build", "BuildObject");
    schemas["StepObject"] = object(
        json!({"id": text(), "build_id": id(), "project": text(), "position": {"type": "integer"}, "name": text(),
            "success": {"type": "boolean"}, "started": utc(), "finished": utc(), "output": text(), "errout": text(),
            "extras": {"type": "object"}, "created_at": utc(), "updated_at": utc()}),
    );
    schemas["StepObjects"] = objects("steps", "StepObject");
    schemas["OneStepObject"] = one("step", "StepObject");
    schemas["TestObject"] = object(
        json!({"id": text(), "build_id": id(), "project": text(), "position": {"type": "integer"}, "full_name": text(), "suite": text(), "name": text(),
            "status": text(), "duration": {"type": ["number", "null"]}, "failure": {"type": ["object", "null"]}, "stdout": text(), "stderr": text(),
            "properties": {"type": "array"}, "retries": {"type": "integer"}, "file": maybe(), "line": {"type": ["integer", "null"]},
            "created_at": utc(), "updated_at": utc()}),
    );
    schemas["TestObjects"] = objects("tests", "TestObject");
    schemas["OneTestObject"] = one("test", "TestObject");
    schemas["TagObject"] = object(
        json!({"id": text(), "name": text(), "project": text(), "builds": {"type": "integer"}, "created_at": utc(), "updated_at": utc()}),
    );
    schemas["TagObjects"] = objects("tags", "TagObject");
    schemas["OneTagObject"] = one("tag", "TagObject");
    schemas["UserObject"] =
        object(json!({"id": text(), "username": text(), "created_at": utc(), "updated_at": utc()}));
    schemas["UserObjects"] = objects("users", "UserObject");
    schemas["OneUserObject"] = one("user", "UserObject");
    schemas
}
