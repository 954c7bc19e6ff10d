//! `devmason-import reports`: imports trees of report files, one build per file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
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

pub(crate) fn import_allure(
    repository: &dyn Repository,
    project: &Slug,
    tags: &[Tag],
    paths: &[PathBuf],
    cli: &Cli,
) -> Result<Counts> {
    let project = crate::project(repository, project)?;
    let tags = TagSet::new(tags.to_vec()).context("tag")?;
    let bar = crate::bar(cli, None);
    let mut batch = Batch::new(repository);
    for path in paths {
        match read_allure(&project, &tags, path) {
            Ok(build) => batch.push(build)?,
            Err(problem) => {
                say(&format!("{} skipped: {problem:#}", path.display()));
                batch.counts.bad += 1;
            }
        }
        bar.inc(1);
    }
    batch.store()?;
    bar.finish_and_clear();
    Ok(batch.counts)
}

/// A directory of Allure results as a build. Its files are one report: each is a test, or what prepares
/// some.
fn read_allure(project: &Project, tags: &TagSet, path: &Path) -> Result<NewBuild> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with("-result.json") || name.ends_with("-container.json") {
            names.push(entry.path());
        }
    }
    names.sort();
    let (mut body, mut modified) = (Vec::new(), None);
    for name in &names {
        let file = std::fs::read(name).with_context(|| name.display().to_string())?;
        body.extend(file);
        body.push(b'\n');
        modified = modified.max(Timestamp::of_system(std::fs::metadata(name)?.modified()?));
    }
    if names.is_empty() {
        bail!("no Allure results: no files named *-result.json");
    }
    let name = path.to_string_lossy();
    of_body(project, tags, (&name, &body), Some(Format::Allure), modified)
}

/// A file as a build. Without a time in the report, the file's own time is used, so that each
/// import gives the same build.
fn read(project: &Project, tags: &TagSet, path: &Path) -> Result<NewBuild> {
    let body = std::fs::read(path)?;
    let modified = Timestamp::of_system(std::fs::metadata(path)?.modified()?);
    let format = Format::recognize(&body);
    let name = path.to_string_lossy().into_owned();
    of_body(project, tags, (&name, &body), format, modified)
}

fn of_body(
    project: &Project,
    tags: &TagSet,
    (name, body): (&str, &[u8]),
    format: Option<Format>,
    modified: Option<Timestamp>,
) -> Result<NewBuild> {
    let start = Instant::now();
    let mut receipt = build::receipt(Some(name), body, format, false);
    let mut read = Read::from_bytes(body, format)?;
    build::receive(&mut receipt, &read, start.elapsed());
    let step =
        read.step(Some(name), None, modified.context("the file has no modification time")?)?;
    let digest = Digest::of_parts([name.as_bytes(), body]);
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
            part: None,
            document: None,
        },
        claim: None,
    })
}
