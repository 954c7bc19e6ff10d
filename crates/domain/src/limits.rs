//! The bounds of what clients may send: one table, which the documents, the parsers of report files, the
//! API's description and its docs all take them from.

/// Tags of a build, after duplicates collapse.
pub const TAGS: usize = 100;

/// Characters of a tag.
pub const TAG_CHARS: usize = 100;

/// Components that a build names, after duplicates collapse.
pub const COMPONENTS: usize = 100;

/// Steps in one document.
pub const STEPS: usize = 10_000;

/// Steps of a build that is reported incrementally.
pub const BUILD_STEPS: usize = 100_000;

/// Bytes of the outputs of a build, with what clients add to its steps.
pub const OUTPUTS: usize = 1 << 30;

/// Members of a client record, of a step and of a test case, each.
pub const MEMBERS: usize = 1_000;

/// Bytes of a member's name.
pub const MEMBER_NAME: usize = 4 << 10;

/// Bytes of a client record.
pub const CLIENT: usize = 64 << 10;

/// Bytes of what a client adds to a step.
pub const EXTRAS: usize = 256 << 10;

/// Bytes of a name: of a step, a suite, a class, a test case, a file, of suites in suites joined; also of `host`,
/// `user` and `arch`. In a document a longer one is refused; in a report file it is cut, and a note says so.
pub const NAME: usize = 4 << 10;

/// Test cases of an upload, where no setting says otherwise.
pub const CASES: usize = 1_000_000;

/// Bytes of the names and suites of all test cases of an upload.
pub const NAMES: usize = 64 << 20;

/// Suites of a report file.
pub const SUITES: usize = 200_000;

/// Properties of a test case.
pub const PROPERTIES: usize = 1_000;

/// Files of an upload.
pub const FILES: usize = 10_000;

/// Bytes of a text that says something of a component: `title`, `message`, `url` and the like.
pub const COMPONENT_TEXT: usize = 16 << 10;

/// Bytes of a component's `data`.
pub const COMPONENT_DATA: usize = 64 << 10;

/// Parameters of a query.
pub const PARAMETERS: usize = 1_000;

/// Bytes of a parameter's value.
pub const PARAMETER: usize = 16 << 10;

/// Characters of a text that `like` and `ilike` look at, and of the pattern: more of a text is not looked at, and a
/// longer pattern is refused.
pub const PATTERN: usize = 4 << 10;

/// Every bound, with what it is a bound of.
pub const TABLE: &[(&str, usize)] = &[
    ("tags of a build", TAGS),
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

/// Cuts a text at a length in bytes, between two characters. Whether anything was cut.
pub fn cut(text: &mut String, bytes: usize) -> bool {
    let is_long = text.len() > bytes;
    if is_long {
        text.truncate(text.floor_char_boundary(bytes));
    }
    is_long
}
