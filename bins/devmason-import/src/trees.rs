//! `devmason-import reports`: imports trees of report files, one build per file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use devmason_domain::{
    BuildId, ClientRecord, Digest, JsonObject, Outcome, Project, Report, Slug, Tag, TagSet,
    Timestamp,
};
use devmason_reports::{Format, Read, build};
use devmason_repository::{Actor, NewBuild, Repository, TestReport};
use serde_json::Value;

use crate::batch::Batch;
use crate::{Cli, Counts, say};

/// The files under a path, ordered by name.
fn files(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let named = || path.display().to_string();
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(named)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(named)?;
    paths.sort();
    // A link to a directory might form a loop.
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
) -> Result<Counts> {
    let project = crate::project(repository, project)?;
    let tags = TagSet::new(tags.to_vec()).context("tag")?;
    let mut found = Vec::new();
    paths.iter().try_for_each(|path| files(path, &mut found))?;
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |file| file.len());
    let bar = crate::bar(cli, Some(found.iter().map(size).sum()));
    let mut batch = Batch::new(repository);
    for path in &found {
        match read(&project, &tags, path) {
            Ok(build) => batch.push(build)?,
            Err(problem) => {
                say(&format!("{} skipped: {problem}", path.display()));
                batch.counts.bad += 1;
            }
        }
        bar.inc(size(path));
    }
    batch.store()?;
    bar.finish_and_clear();
    Ok(batch.counts)
}

/// A file as a build. Without a time in the report, the file's own time is used, so that each
/// import gives the same build.
fn read(project: &Project, tags: &TagSet, path: &Path) -> Result<NewBuild> {
    let body = std::fs::read(path)?;
    let start = Instant::now();
    let format = Format::recognize(&body);
    let name = path.to_string_lossy().into_owned();
    let mut receipt = build::receipt(Some(&name), &body, format, false);
    let mut read = Read::from_bytes(&body, format)?;
    build::receive(&mut receipt, &read, start.elapsed());
    let modified = Timestamp::of_system(std::fs::metadata(path)?.modified()?);
    let step =
        read.step(Some(&name), None, modified.context("the file has no modification time")?)?;
    let digest = Digest::of_parts([name.as_bytes(), &body]);
    let host =
        read.host().map(|host| serde_json::value::to_raw_value(&Value::String(host.to_owned())));
    let members: Vec<_> =
        host.transpose()?.into_iter().map(|host| ("host".to_owned(), host)).collect();
    let received = Timestamp::now();
    Ok(NewBuild {
        project: project.id,
        id: BuildId::assign(step.started, received),
        key: Some(digest.short().parse().context("id")?),
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
        variant_by: project.tracking.variant_by.clone(),
        components: Vec::new(),
        test_report: TestReport {
            tests: read.take_results().into(),
            receipts: vec![serde_json::to_string(&receipt)?],
            upload: None,
            document: None,
        },
        claim: None,
    })
}
