//! `devmason-import reports`: trees of report files, each file a build.

use std::path::{Path, PathBuf};
use std::time::Instant;

use devmason_domain::{
    BuildId, ClientRecord, Digest, JsonObject, Outcome, Project, Report, Slug, Tag, TagSet,
    Timestamp,
};
use devmason_reports::{Format, Read, build};
use devmason_repository::{Actor, NewBuild, Repository, TestReport};
use serde_json::Value;

use crate::batch::Batch;
use crate::{Cli, Counts, Problem, say};

/// The files under a path, in order of name.
fn files(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), Problem> {
    let bad = |error: std::io::Error| format!("{}: {error}", path.display());
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(bad)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(bad)?;
    paths.sort();
    // A link to a directory may lead back here.
    paths
        .iter()
        .filter(|path| !(path.is_symlink() && path.is_dir()))
        .try_for_each(|path| files(path, found))
}

pub(crate) fn import(
    repository: &dyn Repository,
    project: &Slug,
    tags: &[Tag],
    paths: &[PathBuf],
    cli: &Cli,
) -> Result<Counts, Problem> {
    let project = crate::project(repository, project)?;
    let tags = TagSet::new(tags.to_vec()).map_err(|error| format!("tag: {error}"))?;
    let mut found = Vec::new();
    paths.iter().try_for_each(|path| files(path, &mut found))?;
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
    let bar = crate::bar(cli, Some(found.iter().map(size).sum()));
    let mut batch = Batch::new(repository);
    for path in &found {
        match read(&project, &tags, path) {
            Ok(build) => batch.push(build)?,
            Err(problem) => {
                say(&format!("{} is left out: {problem}", path.display()));
                batch.counts.bad += 1;
            }
        }
        bar.inc(size(path));
    }
    batch.store()?;
    bar.finish_and_clear();
    Ok(batch.counts)
}

/// A file as a build. Its time is the file's own where the report says none, so that each import finds it the same.
fn read(project: &Project, tags: &TagSet, path: &Path) -> Result<NewBuild, Problem> {
    let body = std::fs::read(path)?;
    let start = Instant::now();
    let format = Format::recognize(&body);
    let name = path.to_string_lossy().into_owned();
    let mut receipt = build::receipt(Some(&name), &body, format, false);
    let mut read = Read::from_bytes(&body, format)?;
    build::receive(&mut receipt, &read, start.elapsed());
    let modified = Timestamp::of_system(std::fs::metadata(path)?.modified()?);
    let step = read.step(Some(&name), None, modified.ok_or("the file's time is none")?)?;
    let digest = Digest::of_parts([name.as_bytes(), &body]);
    let host =
        read.host().map(|host| serde_json::value::to_raw_value(&Value::String(host.to_owned())));
    let members: Vec<_> =
        host.transpose()?.into_iter().map(|host| ("host".to_owned(), host)).collect();
    let received = Timestamp::now();
    Ok(NewBuild {
        project: project.id,
        id: BuildId::assign(step.started, received),
        key: Some(digest.short().parse().map_err(|error| format!("id: {error}"))?),
        sender: Actor::Nobody,
        report: Report {
            started: step.started,
            received,
            outcome: Outcome::Finished { success: step.success, finished: step.finished },
            tags: tags.clone(),
            client: ClientRecord(JsonObject::from_members(&members)?),
            steps: vec![step],
            digest: Some(digest),
        },
        components: Vec::new(),
        test_report: TestReport {
            tests: read.take_results(),
            receipts: vec![serde_json::to_string(&receipt)?],
            upload: None,
            document: None,
        },
        claim: None,
    })
}
