//! Limits on what clients may send. The documents, the parsers of report files, the API's
//! description and its documentation all use this table.

/// Tags of a build, without duplicates.
pub const TAGS: usize = 100;

/// Characters of a tag.
pub const TAG_CHARS: usize = 100;

/// Components named by a build, without duplicates.
pub const COMPONENTS: usize = 100;

/// Steps in one document.
pub const STEPS: usize = 10_000;

/// Steps of a build that is reported incrementally.
pub const BUILD_STEPS: usize = 100_000;

/// Bytes of a build's outputs, including additional members of its steps.
pub const OUTPUTS: usize = 1 << 30;

/// Members of each client record, step and test case.
pub const MEMBERS: usize = 1_000;

/// Bytes of a member's name.
pub const MEMBER_NAME: usize = 4 << 10;

/// Bytes of a client record.
pub const CLIENT: usize = 64 << 10;

/// Bytes of a step's additional members.
pub const EXTRAS: usize = 256 << 10;

/// Bytes of a name: of a step, suite, class, test case or file, and of nested suites' names joined;
/// also of `host`, `user` and `arch`. A document with a longer name is refused; in a report file
/// the name is cut and a note says so.
pub const NAME: usize = 4 << 10;

/// Entries of a piece of a log.
pub const LOG_ENTRIES: usize = 100_000;

/// Bytes of the log of a step, unless configured otherwise.
pub const LOG: u64 = 256 << 20;

/// Test cases of an upload, unless configured otherwise.
pub const CASES: usize = 1_000_000;

/// Bytes of the names and suites of all test cases of an upload.
pub const NAMES: usize = 64 << 20;

/// Suites of a report file.
pub const SUITES: usize = 200_000;

/// Properties of a test case.
pub const PROPERTIES: usize = 1_000;

/// Files of an upload.
pub const FILES: usize = 10_000;

/// Bytes of a component's descriptive text: `title`, `message`, `url` and the like.
pub const COMPONENT_TEXT: usize = 16 << 10;

/// Bytes of a component's `data`.
pub const COMPONENT_DATA: usize = 64 << 10;

/// Parameters of a query.
pub const PARAMETERS: usize = 1_000;

/// Bytes of a parameter's value.
pub const PARAMETER: usize = 16 << 10;

/// Characters of a text that `like` and `ilike` compare, and of the pattern. The rest of a longer
/// text is ignored; a longer pattern is refused.
pub const PATTERN: usize = 4 << 10;

/// Every limit, with a description.
pub const TABLE: &[(&str, usize)] = &[
    ("tags of a build or a project", TAGS),
    ("characters of a tag", TAG_CHARS),
    ("components that a build names", COMPONENTS),
    ("steps in one document", STEPS),
    ("steps of an incremental build", BUILD_STEPS),
    ("bytes of the outputs of a build", OUTPUTS),
    ("members of a client record, of a step, of a test case", MEMBERS),
    ("bytes of a member's name", MEMBER_NAME),
    ("bytes of a client record", CLIENT),
    ("bytes of the members that a client adds to a step", EXTRAS),
    ("bytes of a name of a step, suite, class, test case or file", NAME),
    ("entries of a piece of a log", LOG_ENTRIES),
    ("test cases of an upload", CASES),
    ("bytes of all names of an upload", NAMES),
    ("suites of a report file", SUITES),
    ("properties of a test case", PROPERTIES),
    ("files of an upload", FILES),
    ("bytes of a text of a component", COMPONENT_TEXT),
    ("bytes of a component's data", COMPONENT_DATA),
    ("parameters of a query", PARAMETERS),
    ("bytes of a parameter", PARAMETER),
    ("characters that like and ilike look at", PATTERN),
];

/// Cuts a text to a length in bytes, at a character boundary. Returns whether anything was cut.
pub fn cut(text: &mut String, bytes: usize) -> bool {
    let is_long = text.len() > bytes;
    if is_long {
        text.truncate(text.floor_char_boundary(bytes));
    }
    is_long
}
