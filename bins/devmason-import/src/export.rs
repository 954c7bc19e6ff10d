//! `devmason-import export`: writes a whole store as lines.

use std::collections::HashMap;
use std::io::{BufWriter, Write};

use anyhow::Result;
use devmason_domain::{
    AccountId, Build, Expected, Issue, IssueDetails, Outcome, PageRequest, PlainText, Project,
    Track,
};
use devmason_repository::{BuildQuery, KnownTrack, Listing, Repository, Scope, Start, TestQuery};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::dump::{
    BuildLine, ComponentLine, IssueLine, ProjectLine, StepLine, TagLine, TestLine, TrackLine,
    TypeLine, UserLine, raw,
};

/// Objects read at once.
const PAGE: u64 = 1000;

/// Builds read at once: fewer, because their steps and cases are included.
const BUILDS: u64 = 20;

struct Out<W: Write> {
    file: BufWriter<W>,
}

impl<W: Write> Out<W> {
    fn line(&mut self, line: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        Ok(self.file.write_all(b"\n")?)
    }
}

/// Reads a list to its end, one part at a time.
pub(crate) fn all<T>(mut part: impl FnMut(u64) -> Result<Vec<T>>) -> Result<Vec<T>> {
    let mut items = Vec::new();
    loop {
        let found = part(items.len() as u64)?;
        let is_last = (found.len() as u64) < PAGE;
        items.extend(found);
        if is_last {
            return Ok(items);
        }
    }
}

pub(crate) fn listing(offset: u64) -> Listing {
    Listing { offset, limit: PAGE, ..Listing::default() }
}

fn page(offset: u64) -> PageRequest {
    PageRequest { page: offset / PAGE + 1, per_page: PAGE }
}

/// Writes the whole store. Concurrent changes may or may not be included.
pub(crate) fn whole(repository: &dyn Repository, to: impl Write, bar: &ProgressBar) -> Result<()> {
    let mut out = Out { file: BufWriter::new(to) };
    let users = all(|offset| Ok(repository.user_list(page(offset))?))?;
    let names: HashMap<AccountId, String> =
        users.iter().map(|user| (user.id, user.username.to_string())).collect();
    for user in users {
        out.line(&UserLine {
            kind: "user".to_owned(),
            username: user.username.to_string(),
            password_hash: user.password_hash.as_str().to_owned(),
            created_at: user.created_at.into(),
            updated_at: user.updated_at.into(),
        })?;
    }
    let creator = |id: Option<AccountId>| id.and_then(|id| names.get(&id).cloned());
    for of in all(|offset| Ok(repository.component_type_list(&listing(offset))?.items))? {
        out.line(&TypeLine {
            kind: "componenttype".to_owned(),
            id: of.id,
            name: of.name.to_string(),
            creator: creator(of.creator),
            created_at: of.created_at.into(),
            updated_at: of.updated_at.into(),
        })?;
    }
    let text = |text: &Option<PlainText>| text.as_ref().map(ToString::to_string);
    for of in all(|offset| Ok(repository.component_list(None, &listing(offset))?.items))? {
        out.line(&ComponentLine {
            kind: "component".to_owned(),
            id: of.id,
            name: of.name.to_string(),
            componenttype: of.component_type,
            creator: creator(of.creator),
            title: text(&of.details.title),
            message: text(&of.details.message),
            url: text(&of.details.url),
            canonical_project_name: text(&of.details.canonical_project_name),
            sha: text(&of.details.sha),
            reference: text(&of.details.reference),
            git: text(&of.details.git),
            data: of.details.data,
            created_at: of.created_at.into(),
            updated_at: of.updated_at.into(),
        })?;
    }
    // In the order of creation, like /api/v1.
    let projects = all(|offset| Ok(repository.project_query(&listing(offset))?.items))?;
    for project in &projects {
        out.line(&ProjectLine {
            kind: "project".to_owned(),
            slug: project.slug.to_string(),
            name: project.name.to_string(),
            owner: project.owner.as_ref().map(|(_, owner)| owner.to_string()),
            reporting: project.reporting.as_str().to_owned(),
            tracking: (&project.tracking).into(),
            repository: project.repository.as_ref().map(ToString::to_string),
            tags: project.tags.iter().map(ToString::to_string).collect(),
            created_at: project.created_at.into(),
            updated_at: project.updated_at.into(),
        })?;
        bar.inc_length(repository.build_tally(&Scope::Project(project.id))?.members);
    }
    for placed in all(|offset| Ok(repository.issue_query(&listing(offset))?.items))? {
        // An issue without its project has just been deleted.
        if let Some(project) = projects.iter().find(|project| project.id == placed.project) {
            out.line(&issue(project, placed.issue))?;
        }
    }
    for project in &projects {
        builds(repository, project, &mut out, bar)?;
    }
    for project in &projects {
        // Behind the builds, which make the tracks.
        for known in repository.track_active(project.id, u64::MAX)? {
            if known.expected != Expected::Learned {
                out.line(&track(project, known))?;
            }
        }
    }
    for tag in all(|offset| Ok(repository.tag_query(&listing(offset))?.items))? {
        out.line(&TagLine {
            kind: "tag".to_owned(),
            project: tag.project.to_string(),
            tag: tag.tag.to_string(),
            created_at: tag.created_at.into(),
            updated_at: tag.updated_at.into(),
        })?;
    }
    bar.finish_and_clear();
    Ok(out.file.flush()?)
}

fn track(project: &Project, of: KnownTrack) -> TrackLine {
    let Track { variant, branch, is_credited } = of.track;
    TrackLine {
        kind: "track".to_owned(),
        project: project.slug.to_string(),
        variant,
        branch,
        credited: is_credited,
        expected: of.expected.to_string(),
    }
}

fn issue(project: &Project, of: Issue) -> IssueLine {
    let IssueDetails { title, url, note, fitting, mute, expires, closed_at } = of.details;
    IssueLine {
        kind: "issue".to_owned(),
        project: project.slug.to_string(),
        id: of.id,
        title: title.to_string(),
        url: url.map(|text| text.to_string()),
        note: note.map(|text| text.to_string()),
        test: fitting.test.map(|text| text.to_string()),
        message: fitting.message.map(|text| text.to_string()),
        signature: fitting.signature.map(|text| text.to_string()),
        branch: fitting.branch.map(|text| text.to_string()),
        variant: fitting.variant.map(|text| text.to_string()),
        mute,
        expires: expires.map(Into::into),
        closed_at: closed_at.map(Into::into),
        creator: of.creator.map(|(_, username)| username.to_string()),
        created_at: of.created_at.into(),
        updated_at: of.updated_at.into(),
    }
}

fn builds<W: Write>(
    repository: &dyn Repository,
    project: &Project,
    out: &mut Out<W>,
    bar: &ProgressBar,
) -> Result<()> {
    let mut start = Start::Offset(0);
    loop {
        let query = BuildQuery {
            scope: Scope::Project(project.id),
            selection: Default::default(),
            start,
            limit: BUILDS,
        };
        let part = repository.build_list(&query)?.builds;
        let Some(last) = part.last() else { return Ok(()) };
        start = Start::Behind(last.id);
        let steps = repository.step_list(&part)?;
        for (build, steps) in part.iter().zip(steps) {
            // A build without its steps has just been deleted.
            if let Some(steps) = steps {
                let steps = steps.iter().map(StepLine::new).collect::<Result<_, _>>()?;
                out.line(&line(repository, project, build, steps)?)?;
            }
            bar.inc(1);
        }
    }
}

fn line(
    repository: &dyn Repository,
    project: &Project,
    build: &Build,
    results: Vec<StepLine>,
) -> Result<BuildLine> {
    let tests = if build.tests.is_empty() {
        Vec::new()
    } else {
        repository.test_list(&TestQuery::all(project.id, build.id))?
    };
    Ok(BuildLine {
        kind: "build".to_owned(),
        project: project.slug.to_string(),
        id: build.id.0,
        key: build.key.as_ref().map(ToString::to_string),
        user: build.sender.username().map(ToString::to_string),
        started: build.started.into(),
        received: build.received.into(),
        outcome: match build.outcome {
            Outcome::Running => None,
            Outcome::Finished { success, finished } => Some((success, finished.into())),
        },
        updated_at: build.updated_at.into(),
        tags: build.tags.iter().map(ToString::to_string).collect(),
        client: raw(&build.client.0)?,
        components: build.components.clone(),
        digest: build.digest.map(|digest| digest.0.to_vec()),
        results,
        tests: tests.into_iter().map(|placed| TestLine::from(placed.result)).collect(),
        receipts: repository.receipt_list(project.id, build.id, u32::MAX)?.all(),
    })
}
