//! What clients send, checked once, at the door.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use devmason_domain::{
    ClientRecord, Closing, ComponentDetails, ComponentName, Invalid, JsonObject, Outcome,
    PlainText, ProjectName, Report, Reporting, Step, StepName, Tag, TagSet, TestResult, Timestamp,
    limits,
};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::bounded::{Bounded, Distinct};
use super::incoming_tests::ReadTest;
use super::raw::{Kept, unfit};

/// Why a document was refused, and which member of it is to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError {
    /// The member's path, such as `results[3].started`; empty for the document as a whole.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.problem),
            field => write!(f, "{field}: {}", self.problem),
        }
    }
}

impl std::error::Error for DocumentError {}

impl DocumentError {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Reads a document from a request's body.
///
/// # Errors
/// Anything that is not JSON of the document's shape, with the path of the member.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, DocumentError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        DocumentError::new("", format!("the body is not UTF-8 (byte {})", error.valid_up_to()))
    })?;
    // serde would read an array as an object's members in order, too.
    if !text.trim_ascii_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
    {
        return Err(DocumentError::new("", "the body is not a JSON object"));
    }
    // Following the path costs a third more, so only a document that fails is read with it.
    match serde_json::from_str(text) {
        Ok(document) => match unfit(text) {
            Some(problem) => Err(DocumentError::new("", format!("the body holds {problem}"))),
            None => Ok(document),
        },
        Err(error) => Err(explain::<T>(text, &error)),
    }
}

fn explain<T: DeserializeOwned>(text: &str, error: &serde_json::Error) -> DocumentError {
    // A string that is not Unicode is a member's fault, though it stops the parser like a syntax error.
    let is_member = error.is_data()
        || error.to_string().contains("surrogate")
        || error.to_string().contains("hex escape");
    if !is_member {
        return DocumentError::new("", format!("the body is not JSON: {error}"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let (path, message) = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => (String::new(), error.to_string()),
        Err(error) => (error.path().to_string(), error.inner().to_string()),
    };
    let path = if path == "." { String::new() } else { path };
    let problem = message.rsplit_once(" at line ").map_or(message.as_str(), |(problem, _)| problem);
    // serde says of which object a member is missing or doubled; the member itself is meant.
    for (start, problem_of_member) in
        [("missing field `", "required"), ("duplicate field `", "given twice")]
    {
        if let Some(member) = problem.strip_prefix(start).and_then(|rest| rest.strip_suffix('`')) {
            let dot = if path.is_empty() || path.ends_with(&format!(".{member}")) || path == member
            {
                ""
            } else {
                "."
            };
            let field = if dot.is_empty() && !path.is_empty() {
                path
            } else {
                format!("{path}{dot}{member}")
            };
            return DocumentError::new(field, problem_of_member);
        }
    }
    if let Some((member, _)) =
        problem.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'))
    {
        return DocumentError::new(member, "there is no such member");
    }
    DocumentError::new(path, problem)
}

/// A name, within the bound of names.
pub(super) struct Name(pub(super) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > limits::NAME {
            return Err(D::Error::custom(format!("is longer than {} bytes", limits::NAME)));
        }
        Ok(Self(text))
    }
}

/// An object that takes some members for itself and keeps the others.
pub(super) trait Open: Default {
    const EXPECTING: &'static str;
    /// Takes the value of a member that it knows; false where it knows none of that name.
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;
    /// Keeps a member that it doesn't know.
    fn keep(&mut self, name: String, value: Box<RawValue>);
}

/// Reads an open object; a member that is given twice is refused, known or not.
pub(super) fn open<'de, T: Open, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Members<T>(PhantomData<T>);
    impl<'de, T: Open> Visitor<'de> for Members<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTING)
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
            let mut object = T::default();
            let mut seen: Vec<String> = Vec::with_capacity(8);
            let mut seen_many = std::collections::HashSet::new();
            let mut members = 0;
            while let Some(name) = map.next_key::<String>()? {
                members += 1;
                if members > limits::MEMBERS {
                    let problem = format!("has more than {} members", limits::MEMBERS);
                    return Err(A::Error::custom(problem));
                }
                if name.len() > limits::MEMBER_NAME {
                    let problem =
                        format!("a member's name is longer than {} bytes", limits::MEMBER_NAME);
                    return Err(A::Error::custom(problem));
                }
                // A handful is compared faster than hashed; a thousand is not.
                let doubled = if seen.len() < 16 {
                    seen.contains(&name)
                } else {
                    seen.contains(&name) || !seen_many.insert(name.clone())
                };
                if doubled {
                    return Err(A::Error::custom(format!("duplicate field `{name}`")));
                }
                if seen.len() < 16 {
                    seen.push(name.clone());
                }
                if !object.take(&name, &mut map)? {
                    let value = map.next_value::<Kept>()?;
                    object.keep(name, value.0);
                }
            }
            Ok(object)
        }
    }
    deserializer.deserialize_map(Members(PhantomData))
}

/// A build, whole or to be reported in steps.
#[derive(Deserialize)]
pub struct IncomingBuild {
    success: Option<bool>,
    incremental: Option<bool>,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    tags: Option<Distinct<Tag, { limits::TAGS }>>,
    client: Option<IncomingClient>,
    results: Option<Bounded<IncomingStep, { limits::STEPS }>>,
    components: Option<Distinct<ComponentRef, { limits::COMPONENTS }>>,
}

/// How a build names a component that it tested: by its id, or by its type and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(
    untagged,
    expecting = "a component is named by its id or by {\"type\": ..., \"name\": ...}"
)]
pub enum ComponentRef {
    /// By its id.
    Id(Uuid),
    /// By its type's id or name, and its name.
    Name {
        /// The type's id or name.
        #[serde(rename = "type")]
        component_type: PlainText,
        /// The component's name.
        name: PlainText,
    },
}

impl IncomingBuild {
    /// The components that it says it tested, each once, with its place in the list.
    pub fn components(&self) -> Vec<(usize, ComponentRef)> {
        self.components.as_ref().map(|components| components.0.clone()).unwrap_or_default()
    }

    fn steps(&self) -> &[IncomingStep] {
        self.results.as_ref().map_or(&[], |steps| &steps.0)
    }

    /// The error for a component that is not there.
    pub fn unknown_component(at: usize) -> DocumentError {
        DocumentError::new(format!("components[{at}]"), "there is no such component")
    }

    /// Takes the test cases of all steps, in order.
    pub fn take_tests(&mut self) -> Vec<TestResult> {
        let steps = self.results.iter_mut().flat_map(|steps| &mut steps.0);
        steps.flat_map(IncomingStep::take_tests).collect()
    }

    /// Whether steps are still to come.
    pub fn is_incremental(&self) -> bool {
        self.incremental == Some(true)
    }

    /// A fingerprint of what the document says, by which a repeated PUT is known.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Fingerprint(Sha256::new());
        hash.flag(self.is_incremental().then_some(true))
            .flag(self.success)
            .time(self.started)
            .time(self.finished);
        let tags = self.tags.iter().flat_map(|tags| &tags.0);
        let mut tags: Vec<&str> = tags.map(|(_, tag)| tag.as_str()).collect();
        tags.sort_unstable();
        hash.number(tags.len());
        for tag in tags {
            hash.text(tag);
        }
        hash.members(self.client.as_ref().map_or(&[], |client| client.members.as_slice()));
        let steps = self.steps();
        hash.number(steps.len());
        for step in steps {
            hash.text(step.name.as_ref().map_or("", StepName::as_str)).flag(step.success);
            hash.time(step.started).time(step.finished);
            hash.text(step.output.as_deref().unwrap_or_default())
                .text(step.errout.as_deref().unwrap_or_default());
            hash.members(&step.extras);
            for test in &step.tests {
                hash.test(test);
            }
        }
        let components = self.components.as_ref().map_or(&[][..], |components| &components.0);
        hash.number(components.len());
        for (_, component) in components {
            match component {
                ComponentRef::Id(id) => hash.text(&id.to_string()),
                ComponentRef::Name { component_type, name } => {
                    hash.text(component_type.as_str()).text(name.as_str())
                }
            };
        }
        hash.0.finalize().into()
    }

    /// What the document reports, as received then.
    ///
    /// # Errors
    /// A member that is missing, or too many tags.
    pub fn into_report(
        self,
        received: Timestamp,
        digest: Option<[u8; 32]>,
    ) -> Result<Report, DocumentError> {
        let outcome = match (self.is_incremental(), self.success) {
            (true, _) => Outcome::Running,
            (false, Some(success)) => {
                Outcome::Finished { success, finished: self.finished.unwrap_or(received) }
            }
            (false, None) => return Err(DocumentError::new("success", "required")),
        };
        let tags = self.tags.into_iter().flat_map(|tags| tags.0).map(|(_, tag)| tag).collect();
        let tags = TagSet::new(tags).map_err(|invalid| DocumentError::new("tags", invalid.0))?;
        let steps = self.results.unwrap_or_default().0.into_iter().enumerate();
        let steps = steps
            .map(|(at, step)| {
                step.into_step(received).map_err(|error| DocumentError {
                    field: match error.field.as_str() {
                        "" => format!("results[{at}]"),
                        member => format!("results[{at}].{member}"),
                    },
                    ..error
                })
            })
            .collect::<Result<_, _>>()?;
        let client = self.client.unwrap_or_default().members;
        let client = JsonObject::from_members(&client)
            .map_err(|invalid| DocumentError::new("client", invalid.0))?;
        if client.as_str().len() > limits::CLIENT {
            let problem = format!("is longer than {} bytes", limits::CLIENT);
            return Err(DocumentError::new("client", problem));
        }
        Ok(Report {
            started: self.started.unwrap_or(received),
            received,
            outcome,
            tags,
            client: ClientRecord(client),
            steps,
            digest,
        })
    }
}

/// A hash of values one after the other, each told from its neighbours.
struct Fingerprint(Sha256);

impl Fingerprint {
    fn number(&mut self, n: usize) -> &mut Self {
        self.0.update((n as u64).to_le_bytes());
        self
    }
    fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len()).0.update(text);
        self
    }
    fn flag(&mut self, flag: Option<bool>) -> &mut Self {
        self.number(flag.map_or(2, usize::from))
    }
    fn time(&mut self, time: Option<Timestamp>) -> &mut Self {
        match time {
            Some(time) => {
                self.number(1).0.update(time.micros().to_le_bytes());
                self.0.update(time.offset_minutes().to_le_bytes());
                self
            }
            None => self.number(0),
        }
    }
    fn test(&mut self, test: &TestResult) {
        let micros = test.micros.map(|micros| micros.to_string()).unwrap_or_default();
        let failure = serde_json::to_string(&test.failure).unwrap_or_default();
        let details = serde_json::to_string(&*test.details).unwrap_or_default();
        for text in [&*test.suite, &test.name, test.status.as_str(), &micros, &failure, &details] {
            self.text(text);
        }
    }
    fn members(&mut self, members: &[(String, Box<RawValue>)]) -> &mut Self {
        self.number(members.len());
        let mut members: Vec<_> = members.iter().collect();
        members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (name, value) in members {
            let mut text = String::new();
            canonical(value.get(), &mut text);
            self.text(name).text(&text);
        }
        self
    }
}

/// Writes JSON as it is always written: members in the order of their names, no white space, one way to escape.
/// Numbers stay as they were sent.
fn canonical(json: &str, text: &mut String) {
    let json = json.trim();
    match json.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(json).unwrap_or_default();
            text.push('{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                text.push_str(&Value::String(name).to_string());
                text.push(':');
                canonical(value.get(), text);
            }
            text.push('}');
        }
        Some(b'[') => {
            let values: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            text.push('[');
            for (at, value) in values.into_iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                canonical(value.get(), text);
            }
            text.push(']');
        }
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(string) => text.push_str(&Value::String(string).to_string()),
            Err(_) => text.push_str(json),
        },
        _ => text.push_str(json),
    }
}

/// The client record: `host`, `user` and `arch` are strings, everything else is the client's.
#[derive(Default)]
struct IncomingClient {
    members: Vec<(String, Box<RawValue>)>,
}

impl Open for IncomingClient {
    const EXPECTING: &'static str = "an object, the client record";
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        if !matches!(name, "host" | "user" | "arch") {
            return Ok(false);
        }
        if let Some(text) = map.next_value::<Option<Name>>()? {
            let raw = serde_json::value::to_raw_value(&text.0).map_err(A::Error::custom)?;
            self.members.push((name.to_owned(), raw));
        }
        Ok(true)
    }
    fn keep(&mut self, name: String, value: Box<RawValue>) {
        self.members.push((name, value));
    }
}

impl<'de> Deserialize<'de> for IncomingClient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        open(deserializer)
    }
}

/// A step of a build.
#[derive(Default)]
pub struct IncomingStep {
    name: Option<StepName>,
    success: Option<bool>,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    output: Option<String>,
    errout: Option<String>,
    tests: Vec<TestResult>,
    extras: Vec<(String, Box<RawValue>)>,
}

impl Open for IncomingStep {
    const EXPECTING: &'static str = "an object, a build step";
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name {
            "name" => self.name = map.next_value()?,
            "success" => self.success = map.next_value()?,
            "started" => self.started = map.next_value()?,
            "finished" => self.finished = map.next_value()?,
            "output" => self.output = map.next_value()?,
            "errout" => self.errout = map.next_value()?,
            "tests" => {
                let tests: Bounded<ReadTest, { limits::CASES }> =
                    map.next_value::<Option<_>>()?.unwrap_or_default();
                self.tests = tests.0.into_iter().map(|test| test.0).collect();
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
    fn keep(&mut self, name: String, value: Box<RawValue>) {
        self.extras.push((name, value));
    }
}

impl<'de> Deserialize<'de> for IncomingStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        open(deserializer)
    }
}

impl IncomingStep {
    /// Takes its test cases, in order.
    pub fn take_tests(&mut self) -> Vec<TestResult> {
        std::mem::take(&mut self.tests)
    }

    /// The step, as received then.
    ///
    /// # Errors
    /// `name` or `success` is missing.
    pub fn into_step(self, received: Timestamp) -> Result<Step, DocumentError> {
        let required = |field| DocumentError::new(field, "required");
        let extras: usize =
            self.extras.iter().map(|(name, raw)| name.len() + raw.get().len()).sum();
        if extras > limits::EXTRAS {
            let problem = format!("has more than {} bytes of members of its own", limits::EXTRAS);
            return Err(DocumentError::new("", problem));
        }
        Ok(Step {
            name: self.name.ok_or_else(|| required("name"))?,
            success: self.success.ok_or_else(|| required("success"))?,
            started: self.started.unwrap_or(received),
            finished: self.finished.unwrap_or(received),
            output: self.output.unwrap_or_default(),
            errout: self.errout.unwrap_or_default(),
            extras: JsonObject::from_members(&self.extras)
                .map_err(|Invalid(problem)| DocumentError::new("", problem))?,
        })
    }
}

/// A project, to be registered or changed. What the server's own documents have beside that counts for nothing; a member
/// that is not known is refused: who sends it means a setting.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncomingProject {
    /// What people call it.
    pub name: ProjectName,
    /// Who may post builds; absent keeps what is.
    pub reporting: Option<Reporting>,
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
    #[serde(default, rename = "owner")]
    _owner: IgnoredAny,
    #[serde(default, rename = "created_at")]
    _created_at: IgnoredAny,
    #[serde(default, rename = "updated_at")]
    _updated_at: IgnoredAny,
    #[serde(default, rename = "etag")]
    _etag: IgnoredAny,
    #[serde(default, rename = "links")]
    _links: IgnoredAny,
}

/// A component type, to be created or renamed.
#[derive(Deserialize)]
pub struct IncomingComponentType {
    /// Its name.
    pub name: ComponentName,
}

/// A component, to be created or changed. What is absent is not said.
#[derive(Deserialize)]
pub struct IncomingComponent {
    /// Its name.
    pub name: Option<ComponentName>,
    componenttype: Option<PlainText>,
    componenttype_id: Option<PlainText>,
    title: Option<PlainText>,
    message: Option<PlainText>,
    url: Option<PlainText>,
    canonical_project_name: Option<PlainText>,
    sha: Option<PlainText>,
    #[serde(rename = "ref")]
    reference: Option<PlainText>,
    git: Option<PlainText>,
    data: Option<Data>,
}

/// A component's `data`: whatever JSON it is, within a bound.
struct Data(Box<RawValue>);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Kept(raw) = Kept::deserialize(deserializer)?;
        if raw.get().len() > limits::COMPONENT_DATA {
            let problem = format!("is longer than {} bytes", limits::COMPONENT_DATA);
            return Err(D::Error::custom(problem));
        }
        Ok(Self(raw))
    }
}

impl IncomingComponent {
    /// The id or the name of its type, by either of its names.
    pub fn component_type(&self) -> Option<&str> {
        self.componenttype.as_ref().or(self.componenttype_id.as_ref()).map(PlainText::as_str)
    }

    /// The error for a member that a new component must have.
    pub fn missing(field: &str) -> DocumentError {
        DocumentError::new(field, "required")
    }

    /// What is said of it.
    pub fn details(self) -> ComponentDetails {
        ComponentDetails {
            title: self.title,
            message: self.message,
            url: self.url,
            canonical_project_name: self.canonical_project_name,
            sha: self.sha,
            reference: self.reference,
            git: self.git,
            data: self.data.map(|data| data.0.get().to_owned()),
        }
    }
}

/// A user, to be created or given another password.
#[derive(Deserialize, Default)]
pub struct IncomingUser {
    /// The new password.
    pub password: Option<String>,
}

/// How an incremental build ends, where its steps don't say.
#[derive(Deserialize, Default)]
pub struct IncomingClosing {
    success: Option<bool>,
    finished: Option<Timestamp>,
}

impl From<IncomingClosing> for Closing {
    fn from(closing: IncomingClosing) -> Self {
        Self { success: closing.success, finished: closing.finished }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn report(json: &str) -> Result<Report, DocumentError> {
        let received = "2026-01-02T03:04:05Z".parse().unwrap();
        parse::<IncomingBuild>(json.as_bytes())?.into_report(received, None)
    }

    fn refused(json: &str) -> String {
        report(json).unwrap_err().to_string()
    }

    #[test]
    fn the_smallest_build_is_filled_up_with_the_time_of_receipt() {
        let report = report(r#"{"success": true}"#).unwrap();
        assert_eq!(report.started, report.received);
        assert_eq!(report.outcome, Outcome::Finished { success: true, finished: report.received });
        assert_eq!((report.steps.len(), report.client.0.as_str()), (0, ""));
    }

    #[test]
    fn what_clients_add_is_kept_as_sent() {
        let json = r#"{"success":true,"client":{"zeta": 1.00 ,"host":"h","n":123456789012345678901234567890,"d":{"k":1,"k":2}},
                       "results":[{"name":"s","success":true,"x":[1e999,"\u0000"],"output":"a\u0000\u001b[0m"}]}"#;
        let report = report(json).unwrap();
        assert_eq!(
            report.client.0.as_str(),
            r#"{"zeta":1.00,"host":"h","n":123456789012345678901234567890,"d":{"k":1,"k":2}}"#
        );
        assert_eq!(report.steps[0].extras.as_str(), r#"{"x":[1e999,"\u0000"]}"#);
        assert_eq!(report.steps[0].output, "a\0\u{1b}[0m");
    }

    #[test]
    fn null_counts_as_absent_in_what_is_optional() {
        let json = r#"{"success":true,"started":null,"tags":null,"client":{"host":null,"x":null},
                       "results":[{"name":"s","success":true,"output":null,"finished":null}]}"#;
        let report = report(json).unwrap();
        assert_eq!(report.client.0.as_str(), r#"{"x":null}"#);
        assert_eq!(report.steps[0].finished, report.received);
    }

    #[test]
    fn every_refusal_names_the_member_by_its_path() {
        for (json, path) in [
            (r#"{}"#, "success: required"),
            (r#"{"success":null}"#, "success: required"),
            (r#"{"success":"yes"}"#, "success: "),
            (r#"{"success":true,"started":"soon"}"#, "started: 'soon'"),
            (
                r#"{"success":true,"results":[{"name":"a","success":true},{"success":true}]}"#,
                "results[1].name: required",
            ),
            (
                r#"{"success":true,"results":[{"name":"a","success":true,"started":"x"}]}"#,
                "results[0].started: 'x'",
            ),
            (
                r#"{"success":true,"results":[{"name":"a","success":true,"x":"\ud800"}]}"#,
                "results[0].x: a lone surrogate",
            ),
            (
                r#"{"success":true,"results":[{"name":"a","success":true,"output":"\ud800"}]}"#,
                "results[0].output: ",
            ),
            (
                r#"{"success":true,"results":[{"name":"a","success":true,"name":"b"}]}"#,
                "results[0].name: given twice",
            ),
            (
                r#"{"success":true,"results":[{"name":"a","success":true,"x":1,"x":2}]}"#,
                "results[0].x: given twice",
            ),
            (r#"{"success":true,"results":{}}"#, "results: "),
            (r#"{"success":true,"tags":["a","b;c"]}"#, "tags[1]: "),
            (r#"{"success":true,"client":{"host":5}}"#, "client.host: "),
            (r#"{"success":true,"client":{"host":"a","host":"b"}}"#, "client.host: given twice"),
            (r#"{"success":true,"client":[]}"#, "client: "),
            (r#"{"success":true,"success":false}"#, "success: given twice"),
            (r#"{"success":true,"ignored":"\udc00"}"#, "the body holds a lone surrogate"),
            (r#"{"success":tru"#, "the body is not JSON: "),
            (r#"[true,null,null,null,null,null,null]"#, "the body is not a JSON object"),
            ("", "the body is not JSON: "),
        ] {
            let message = refused(json);
            assert!(message.starts_with(path), "{json}: {message}");
        }
        assert!(parse::<IncomingBuild>(b"{\"success\":true,\"x\":\"\xff\"}").is_err());
        let many: Vec<_> = (0..101).map(|n| format!("\"{n}\"")).collect();
        assert!(
            refused(&format!(r#"{{"success":true,"tags":[{}]}}"#, many.join(",")))
                .starts_with("tags: ")
        );
        let nested = format!(
            r#"{{"success":true,"client":{{"x":{}{}}}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        assert!(refused(&nested).starts_with("client.x: nested"));
    }

    #[test]
    fn one_document_has_one_digest_whatever_its_spaces() {
        let digest = |json: &str| parse::<IncomingBuild>(json.as_bytes()).unwrap().digest();
        let one = digest(r#"{"success":true,"tags":["a","b"],"results":[]}"#);
        assert_eq!(one, digest(r#"{ "tags": ["b", "a", "b"], "success": true }"#));
        assert_ne!(one, digest(r#"{"success":false,"tags":["a","b"]}"#));
        assert_ne!(one, digest(r#"{"success":true,"tags":["ab"]}"#));
        assert_ne!(one, digest(r#"{"success":true,"tags":["a","b"],"client":{"x":1}}"#));
        let extras = digest(
            r#"{"success":true,"client":{"host":"h","x":{"a":1,"b":[1,{"c":"\u00e9","d":null}]}},
                "results":[{"name":"s","success":true,"p":{"q":1,"r":2},"z":[]}]}"#,
        );
        let otherwise = r#"{"results": [ {"z": [ ], "success": true, "p": { "r": 2, "q":1 }, "name": "s"} ],
            "client": {"x": {"b": [1, {"d": null, "c": "é"}], "a": 1}, "host": "h"}, "success": true}"#;
        assert_eq!(extras, digest(otherwise));
        for (one, other) in
            [("[1, {", "[{"), ("\"q\":1", "\"q\":\"1\""), ("\"q\":1", "\"q\":1.0"), ("null", "0")]
        {
            assert_ne!(extras, digest(&otherwise.replace(one, other)), "{one}");
        }
        let with_test = |status: &str| {
            digest(&format!(
                r#"{{"success":true,"results":[{{"name":"s","success":true,"tests":[{{"name":"t","status":"{status}"}}]}}]}}"#
            ))
        };
        assert_ne!(with_test("passed"), with_test("failed"));
    }

    #[test]
    fn many_members_are_told_apart() {
        let members: Vec<_> = (0..100).map(|n| format!("\"m{n}\":{n}")).collect();
        assert!(
            report(&format!(r#"{{"success":true,"client":{{{}}}}}"#, members.join(","))).is_ok()
        );
        assert!(
            refused(&format!(r#"{{"success":true,"client":{{{},"m70":1}}}}"#, members.join(",")))
                .starts_with("client.m70")
        );
        assert!(
            refused(&format!(r#"{{"success":true,"client":{{{},"m3":1}}}}"#, members.join(",")))
                .starts_with("client.m3")
        );
    }
}
