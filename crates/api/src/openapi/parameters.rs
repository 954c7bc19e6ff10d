//! The parameters of operations.

use serde_json::{Value, json};

/// Maximum length of a parameter or header, in characters, such that it fits in a request head even
/// if percent-encoded and combined with others. Longer ones are accepted if they fit.
const IN_HEAD: usize = 1_000;

/// Maximum number of values of one parameter, for the same reason.
const ITEMS: usize = 50;

/// A text of at most this many characters.
fn bounded(chars: usize) -> Value {
    json!({"type": "string", "maxLength": chars})
}

/// The parameters by name.
pub(super) fn parameters() -> Value {
    let text = || bounded(IN_HEAD);
    let header = |name: &str, description: &str| json!({"name": name, "in": "header", "schema": bounded(IN_HEAD), "description": description});
    let path = |name: &str, pattern: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "pattern": pattern}});
    let query = |name: &str, schema: Value, description: &str| json!({"name": name, "in": "query", "schema": schema, "description": description});
    let mut all = json!({
        "id": {"name": "id", "in": "path", "required": true, "schema": bounded(IN_HEAD), "description": "The id of the object; for components and component types, also the name"},
        "limit": query("limit", json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 20}), "Maximum number of objects to return"),
        "offset": query("offset", json!({"type": "integer", "minimum": 0, "default": 0}), "Number of objects to skip"),
        "embed": query("embed", text(), "`componenttype` embeds the full component type in each component"),
        "cascade": query("cascade", json!({"type": "boolean", "default": false}), "Also delete the component type's components, and remove the component from builds that name it"),
        "project": path("project", "^[A-Za-z0-9_-]{1,100}$"),
        "build": path("build", "^[A-Za-z0-9._~-]{1,100}$"),
        "username": path("username", "^[A-Za-z0-9_.@+-]{1,150}$"),
        "test": {"name": "test", "in": "path", "required": true, "schema": bounded(IN_HEAD), "description": "The full name of a test, `suite::name`"},
        "status": query("status", text(), "Only cases with these statuses, separated by commas: `passed`, `flaky`, `skipped`, `failed`, `error`"),
        "suite": query("suite", text(), "Only cases in this suite"),
        "text": query("text", bounded(IN_HEAD), "Only cases whose full name contains this text, or builds whose id contains it; ASCII letters match in either case"),
        "tag": {"name": "tag", "in": "query", "schema": {"type": "array", "maxItems": ITEMS, "items": bounded(100)}, "explode": true, "description": "With a report file: a tag for the build; repeatable. In a list: only builds with this tag"},
        "component": {"name": "component", "in": "query", "schema": {"type": "array", "maxItems": ITEMS, "items": bounded(420)}, "explode": true, "description": "With a report file: a component under test, as an id or as `type:name`; repeatable"},
        "host": query("host", text(), "With a report file: the host in the client record; set any other member with `client.x`. In a list: only builds from this host"),
        "arch": query("arch", text(), "With a report file: the architecture in the client record"),
        "user": query("user", text(), "With a report file: the user in the client record"),
        "started": query("started", text(), "With a report file: the start time of the build, if the file has none"),
        "name": query("name", text(), "With a report file: the name of the resulting step"),
        "report": query("report", json!({"enum": devmason_reports::Format::ALL.map(devmason_reports::Format::as_str).to_vec()}), "The format of the report file; detected if omitted"),
        "tags": {"name": "tags", "in": "path", "required": true, "schema": bounded(IN_HEAD), "description": "One tag, or several separated by `;` or `,` (or by `-` if unambiguous among the project's tags)"},
        "page": query("page", json!({"type": "integer", "minimum": 1, "default": 1}), "Page number"),
        "per_page": query("per_page", json!({"type": "integer", "minimum": 1, "maximum": 100}), "Number of items per page"),
        "after": query("after", json!({"type": "string", "format": "uuid"}), "A position in the list, taken from a `next` link"),
        "before": query("before", json!({"type": "string", "format": "uuid"}), "A position in the list, taken from a `previous` link"),
        "from": query("from", json!({"type": "integer", "minimum": 0}), "The first item to return: a position in the list, taken from a `next` link; for a page of output or a log, its first line; for events, the first step"),
        "fields": query("fields", text(), "The members to return for each build, separated by commas"),
        "where": query("where", text(), "Conditions, all of which must match: `field:value,field:value`"),
        "sort": query("sort", text(), "Fields to sort by, separated by commas; prefix a field with `-` for descending order"),
        "query": query("query", text(), "A filter expression: `and(eq(success,false),ge(started,2026-01-01T00:00:00Z))`"),
        "format": query("format", json!({"enum": ["json", "html"]}), "The representation; overrides `Accept`"),
        "If-Match": header("If-Match", "ETags of the versions to which the request applies, or `*`"),
        "If-None-Match": header("If-None-Match", "ETags of the representations the client has, or `*`"),
        "Idempotency-Key": {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 1, "maxLength": 255}, "description": "A retry with the same key and body returns the first response and stores nothing"},
    });
    let searched = json!({
        "q": query("q", bounded(200), "The text, of at least two characters"),
        "in_project": query("project", text(), "Only this project"),
        "case_sort": query("sort", json!({"enum": ["duration"]}), "The slowest first; not with `suite`, `text` or `from`"),
        "case": {"name": "case", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32}, "description": "The position of a test case in its build, from 0"},
        "one": path("one", "^[A-Za-z0-9_~-]([A-Za-z0-9._~-]{0,98}[A-Za-z0-9_~-])?$"),
        "other": path("other", "^[A-Za-z0-9_~-]([A-Za-z0-9._~-]{0,98}[A-Za-z0-9_~-])?$"),
    });
    let others = json!({
        "branch": query("branch", bounded(250), "Only builds of this branch; for a badge or a feed by default those of the mainline, where there is one"),
        "variant": query("variant", text(), "Only builds of this variant"),
        "baseline": query("baseline", text(), "What to compare with: `previous`, `green`, `branch:NAME`, `commit:SHA,SHA`, `tag:TAG`, `build:ID` or `build:PROJECT/ID`; by default the base commit, the target branch or the mainline"),
        "gate": query("gate", text(), "The limits of the gate, `RULE:LIMIT,RULE:LIMIT`; the project's apply to rules that are not named"),
        "class": query("class", text(), "Only failures of these classes, separated by commas: `new`, `unknown`, `failing`, `flaky`"),
        "kind": query("kind", text(), "Only failures of these kinds, separated by commas: `test`, `step`, `build`"),
        "state": query("state", json!({"enum": ["", "success", "failure", "running"]}), "Only builds in this state"),
        "revision": {"name": "revision", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[0-9A-Za-z]{7,64}$"}, "description": "A commit, or at least 7 characters that it begins with"},
        "signature": {"name": "signature", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"}, "description": "The id of a signature"},
        "track": {"name": "track", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"}, "description": "The key of a track"},
        "of_track": query("track", json!({"type": "string", "pattern": "^[0-9a-f]{16}$"}), "Only runs in builds of the track with this key; with it, the response says how the test behaves there"),
        "in_track": query("track", text(), "Only builds of the track with this key; ignored if empty"),
        "track_branch": query("branch", bounded(250), "Only tracks whose branch fits this pattern with `*` and `?`"),
        "track_variant": query("variant", text(), "Only tracks whose variant fits this pattern with `*` and `?`"),
        "only": query("only", text(), "Only these tests, separated by commas: `flaky`, `failing`, `slower`, `skipped`"),
        "grid_only": query("only", json!({"enum": ["bad", "all"]}), "`all` for all tests; by default those that failed or were flaky"),
        "test_sort": query("sort", json!({"enum": ["flakes", "bad", "duration", "name"]}), "The order, the most first; by default `name`"),
        "many": query("per_page", json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}), "Number of items per page"),
        "builds": query("builds", json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 30}), "Number of builds"),
        "issue": {"name": "issue", "in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}},
        "issue_state": query("state", json!({"enum": ["", "open", "closed"]}), "Only issues in this state"),
        "step": {"name": "step", "in": "path", "required": true, "schema": {"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32}, "description": "The index of a step in its build, from 0"},
        "stream": query("stream", json!({"enum": ["out", "err"]}), "Only standard output, or only standard error"),
        "follow": query("follow", text(), "If present, follow the log as server-sent events, from where `Last-Event-ID` or `from` says"),
        "log_text": query("text", bounded(IN_HEAD), "Only lines that contain this text; ASCII letters match in either case"),
        "regex": query("regex", bounded(IN_HEAD), "Instead of `text`: only lines that this regular expression matches"),
        "of_step": query("step", json!({"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32}), "Only lines of the step with this index"),
        "context": query("context", json!({"type": "integer", "minimum": 0, "maximum": 20, "default": 2}), "Number of lines to show before and after each"),
        "log_from": query("from", text(), "Where to go on, taken from a `next` link"),
        "Upload-Offset": {"name": "Upload-Offset", "in": "header", "required": true, "schema": {"type": "integer", "minimum": 0}, "description": "The bytes of the log before this piece"},
        "Range": header("Range", "The bytes of the log to send: `bytes=0-999`, `bytes=-65536`"),
        "Last-Event-ID": header("Last-Event-ID", "The last event that the client has"),
        "document": path("document", "^[A-Za-z0-9._-]{1,100}$"),
        "section": path("section", "^[A-Za-z0-9._-]{1,100}$"),
        "file": path("file", "^[a-z0-9.-]{1,100}$"),
        "to": query("to", json!({"type": "integer", "minimum": 0}), "For a page of output or a log: its last line"),
        "next": query("next", text(), "Where to redirect after signing in or out"),
    });
    let of_other_systems = json!({
        "of_project": query("project", text(), "The project; characters that its name must not have become `-`"),
        "site": query("site", text(), "The machine, as its owner calls it"),
        "of_build": query("build", text(), "The name of the build"),
        "stamp": query("stamp", text(), "When the build began, and its group: `YYYYMMDD-HHMM-Group`"),
        "subproject": query("subproject", text(), "The part of the project that the file is about"),
        "FileName": query("FileName", text(), "The name of the file: `site___build___stamp___XML___file`"),
        "MD5": query("MD5", text(), "The MD5 of the body"),
        "md5": query("md5", text(), "The MD5 of the body, if no project is named"),
        "buildid": query("buildid", text(), "The number of the build, from an earlier answer"),
        "upload_type": query("type", text(), "The type of a file of which only the build's number is said"),
        "description": query("description", text(), "What the file is"),
        "auth_key": query("auth_key", text(), "What the answer to `add_results` gave to permit it"),
        "filename": query("filename", text(), "Its name"),
        "filter.in.uuid": query("filter.in.uuid", text(), "The ids of launches, separated by commas"),
        "version": path("version", "^v[12]$"),
        "group": {"name": "group", "in": "path", "required": true, "schema": bounded(100), "description": "The group of the project"},
        "environment": {"name": "environment", "in": "path", "required": true, "schema": bounded(100), "description": "Where it ran"},
        "token": {"name": "token", "in": "path", "required": true, "schema": bounded(100), "description": "What the answer to the announcement gave"},
        "launch": {"name": "launch", "in": "path", "required": true, "schema": bounded(100), "description": "The id of a launch"},
        "run": {"name": "run", "in": "path", "required": true, "schema": bounded(100), "description": "The id of a run"},
        "topic": {"name": "topic", "in": "path", "required": true, "schema": bounded(100), "description": "The id of a topic"},
        "remoteci": {"name": "remoteci", "in": "path", "required": true, "schema": bounded(255), "description": "The id or name of a lab"},
        "job": {"name": "job", "in": "path", "required": true, "schema": bounded(100), "description": "The id of a job"},
        "job_state": {"name": "job_state", "in": "path", "required": true, "schema": bounded(100), "description": "The id of a state of a job"},
        "job_file": {"name": "job_file", "in": "path", "required": true, "schema": bounded(100), "description": "The id of a file of a job"},
        "item": {"name": "item", "in": "path", "required": true, "schema": bounded(100), "description": "The id of an item"},
    });
    for more in [searched, others, of_other_systems] {
        if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
            all.extend(more);
        }
    }
    all
}
