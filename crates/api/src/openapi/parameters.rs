//! The parameters of operations.

use serde_json::{Value, json};

/// How long a parameter or a header may be so that it fits into the head of a request whatever is in it, percent-encoded and
/// with others, in characters. Longer ones are taken where they fit.
const IN_HEAD: usize = 1_000;

/// How many of one parameter, for the same reason.
const ITEMS: usize = 50;

/// A text of at most so many characters.
fn bounded(chars: usize) -> Value {
    json!({"type": "string", "maxLength": chars})
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
