//! What codecov-cli uploads as test results: first what it is about, then report files.

use std::io::Read as _;

use base64::Engine;
use devmason_domain::{Receipt, Timestamp};
use devmason_reports::{Read, build};
use flate2::read::ZlibDecoder;
use serde::Deserialize;
use serde_json::Value;

use crate::{Part, WireError, tag};

/// The name of the protocol.
pub const PROTOCOL: &str = "codecov";

/// The maximum number of files in an upload.
const FILES: usize = 10_000;

/// What an upload is about.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The project, without its owner.
    pub project: String,
    /// What all uploads of one run have in common.
    pub key: String,
    /// What is said of the build.
    pub part: Part,
}

/// Reads what an upload is about.
///
/// # Errors
/// It is no JSON, or the slug or the commit is missing.
pub fn about(body: &[u8]) -> Result<About, WireError> {
    let said: Value =
        serde_json::from_slice(body).map_err(|error| WireError::bad("body", error.to_string()))?;
    let text = |name: &str| match said.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let slug = text("slug").ok_or_else(|| WireError::bad("slug", "is missing"))?;
    let commit = text("commit").ok_or_else(|| WireError::bad("commit", "is missing"))?;
    let project = slug.rsplit("::::").next().unwrap_or_default();
    let project = project.rsplit('/').next().unwrap_or_default().to_owned();
    let mut part = Part::default();
    for (member, name) in [
        ("commit", "commit"),
        ("branch", "branch"),
        ("build_code", "build_number"),
        ("job_code", "job"),
        ("ci_url", "job_url"),
        ("build_url", "job_url"),
        ("pr", "pull_request"),
        ("ci_service", "ci"),
        ("name", "name"),
    ] {
        part.client.extend(text(member).map(|value| (name.to_owned(), value)));
    }
    let flags = said.get("flags").and_then(Value::as_array);
    let flags: Vec<&str> = flags.into_iter().flatten().filter_map(Value::as_str).collect();
    for flag in &flags {
        part.tags.extend(tag(flag, &mut part.receipt));
    }
    let run = [text("ci_service"), text("build_code"), text("job_code"), text("name")];
    let run: Vec<String> = run.into_iter().map(Option::unwrap_or_default).collect();
    let key = format!("{slug}\n{commit}\n{}\n{}", run.join("\n"), flags.join(","));
    Ok(About { project, key, part })
}

#[derive(Deserialize)]
struct Upload {
    test_results_files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: Option<String>,
    data: String,
}

/// Reads report files. Each is a part; inflated, all together have at most `limit` bytes.
///
/// # Errors
/// It is no such document, a file is no report, or they are too long.
pub fn files(body: &[u8], limit: usize, received: Timestamp) -> Result<Vec<Part>, WireError> {
    let upload: Upload =
        serde_json::from_slice(body).map_err(|error| WireError::bad("body", error.to_string()))?;
    if upload.test_results_files.len() > FILES {
        return Err(WireError::bad("test_results_files", format!("more than {FILES} files")));
    }
    let mut left = limit;
    let mut parts = Vec::new();
    for file in upload.test_results_files {
        let bad = |problem: String| WireError::bad("test_results_files", problem);
        let packed = base64::engine::general_purpose::STANDARD.decode(file.data.trim());
        let packed = packed.map_err(|error| bad(error.to_string()))?;
        let mut report = Vec::new();
        ZlibDecoder::new(packed.as_slice())
            .take(left as u64 + 1)
            .read_to_end(&mut report)
            .map_err(|error| bad(error.to_string()))?;
        left = left
            .checked_sub(report.len())
            .ok_or_else(|| bad(format!("the files have more than {limit} bytes")))?;
        let mut read = Read::from_bytes(&report, None)
            .map_err(|error| WireError::UnknownFormat(error.to_string()))?;
        let name = file.filename.as_deref().and_then(|name| name.rsplit('/').next());
        let mut part = Part::new(name, PROTOCOL, &report);
        part.receipt.format = Some(read.format.as_str().to_owned());
        part.receipt.recognized = Receipt::FROM_BYTES.to_owned();
        build::receive(&mut part.receipt, &read, std::time::Duration::ZERO);
        part.receipt.seconds = None;
        let step = read.step(name, None, received);
        let step = step.map_err(|error| WireError::bad("filename", error.0))?;
        part.with_step(step, read.take_results());
        parts.push(part);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::Write;

    use super::*;

    fn packed(report: &str) -> String {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(report.as_bytes()).unwrap();
        base64::engine::general_purpose::STANDARD.encode(encoder.finish().unwrap())
    }

    #[test]
    fn an_upload_names_its_run_and_its_files_are_steps() {
        let said = br#"{"slug":"acme::::pony","commit":"1f0c","branch":"main","flags":["arm"],"name":"unit","ci_service":"github","build_code":"7"}"#;
        let about = about(said).unwrap();
        assert_eq!(about.project, "pony");
        assert!(about.part.client.contains(&("build_number".to_owned(), "7".to_owned())));
        assert_eq!(about.part.tags[0].as_str(), "arm");
        let junit = packed("<testsuite name='s'><testcase name='a'/></testsuite>");
        let upload = format!(
            r#"{{"test_results_files":[{{"filename":"/x/j.xml","format":"base64+compressed","data":"{junit}"}}]}}"#
        );
        let [part] = files(upload.as_bytes(), 1_000, Timestamp::now()).unwrap().try_into().unwrap();
        assert_eq!(part.step.unwrap().name.as_str(), "j.xml");
        assert_eq!(part.tests[0].name, "a");
        let too_long = files(upload.as_bytes(), 10, Timestamp::now()).unwrap_err();
        assert!(too_long.to_string().contains("10 bytes"));
        assert!(super::about(b"{}").unwrap_err().to_string().contains("slug"));
        let none = br#"{"test_results_files":[{"data":"%"}]}"#;
        assert!(files(none, 10, Timestamp::now()).is_err());
    }
}
