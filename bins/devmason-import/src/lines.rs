//! `devmason-import import`: reads the lines of an export, or build documents.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use devmason_domain::{
    AccountId, BuildId, ClientRecord, ComponentDetails, Digest, Fitting, Invalid, IssueDetails,
    PasswordHash, PlainText, Project, Report, Slug, Tag, TagSet, Timestamp, Track, Username,
};
use devmason_hypermedia::document::{IncomingBuild, parse};
use devmason_repository::{
    Actor, Created, Filed, Moved, Named, NewAccount, NewBuild, NewComponent, NewComponentType,
    NewIssue, NewProject, Registered, Repository, TestReport,
};
use indicatif::ProgressBar;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::batch::Batch;
use crate::dump::{
    At, BuildLine, ComponentLine, IssueLine, Kind, ProjectLine, TagLine, TrackLine, TypeLine,
    UserLine, id, object, outcome,
};
use crate::export::{all, listing};
use crate::{Cli, Counts, say};

/// The maximum length of a line, in bytes.
const MAX_LINE: usize = 1 << 30;

/// The state from previous lines.
struct Lines<'a> {
    repository: &'a dyn Repository,
    batch: Batch<'a>,
    /// The project for lines that are documents.
    documents: Option<Project>,
    users: HashMap<String, AccountId>,
    projects: HashMap<String, Project>,
    /// The times of tags, set once all builds are stored.
    tags: HashMap<(Slug, Tag), (Moved, Timestamp, Timestamp)>,
}

pub(crate) fn import(
    repository: &dyn Repository,
    project: Option<&Slug>,
    files: &[PathBuf],
    cli: &Cli,
) -> Result<Counts> {
    let mut lines = Lines {
        repository,
        batch: Batch::new(repository),
        documents: project.map(|slug| crate::project(repository, slug)).transpose()?,
        users: HashMap::new(),
        projects: HashMap::new(),
        tags: HashMap::new(),
    };
    if files.is_empty() {
        lines.read(io::stdin().lock(), "standard input", &ProgressBar::hidden())?;
    }
    let bytes = files.iter().map(|path| std::fs::metadata(path).map_or(0, |file| file.len())).sum();
    let bar = crate::bar(cli, Some(bytes));
    for path in files {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| name.to_string())?;
        lines.read(BufReader::with_capacity(1 << 20, file), &name, &bar)?;
    }
    lines.batch.store()?;
    lines.set_times()?;
    bar.finish_and_clear();
    Ok(lines.batch.counts)
}

/// A build from an API document, as a server returns or accepts it; without an id, it gets one from
/// its hash.
pub(crate) fn document(project: &Project, text: &[u8]) -> Result<NewBuild> {
    #[derive(serde::Deserialize)]
    struct Own {
        id: Option<String>,
    }
    let mut incoming: IncomingBuild = parse(text)?;
    let own: Own = serde_json::from_slice(text)?;
    let components = incoming
        .components()
        .into_iter()
        .filter_map(|(_, component)| match component {
            devmason_hypermedia::document::ComponentRef::Id(id) => Some(id),
            devmason_hypermedia::document::ComponentRef::Name { .. } => None,
        })
        .collect();
    let tests = incoming.take_tests();
    let digest = incoming.digest();
    let key = own.id.unwrap_or_else(|| Digest::of_parts([text]).short());
    let received = Timestamp::now();
    let report = incoming.into_report(received, Some(digest))?;
    Ok(NewBuild {
        project: project.id,
        id: BuildId::assign(report.started, received),
        key: Some(key.parse().context("id")?),
        sender: Actor::Nobody,
        report,
        variant_by: project.tracking.variant_by.clone(),
        components,
        test_report: TestReport { tests: tests.into(), ..TestReport::default() },
        claim: None,
    })
}

impl Lines<'_> {
    /// Reads lines to the end; invalid ones are reported and skipped.
    fn read(&mut self, mut from: impl BufRead, name: &str, bar: &ProgressBar) -> Result<()> {
        let (mut line, mut nth) = (Vec::new(), 0u64);
        loop {
            line.clear();
            let length = io::Read::take(&mut from, MAX_LINE as u64)
                .read_until(b'\n', &mut line)
                .with_context(|| name.to_string())?;
            if length == 0 {
                return Ok(());
            }
            nth += 1;
            bar.inc(length as u64);
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            match self.line(text) {
                Ok(()) => {}
                // A store error ends the import: the next line would fail as well.
                Err(problem) if problem.is::<devmason_repository::Error>() => return Err(problem),
                Err(problem) => {
                    say(&format!("{name}: line {nth} skipped: {problem}"));
                    self.batch.counts.bad += 1;
                }
            }
        }
    }

    fn line(&mut self, text: &[u8]) -> Result<()> {
        let Kind { kind } = serde_json::from_slice(text)?;
        match kind.as_deref() {
            Some("user") => self.user(read(text)?),
            Some("componenttype") => self.component_type(read(text)?),
            Some("component") => self.component(read(text)?),
            Some("project") => self.project(read(text)?),
            Some("issue") => self.issue(read(text)?),
            Some("build") => self.build(read(text)?),
            Some("track") => self.track(read(text)?),
            Some("tag") => self.tag(read(text)?),
            Some(other) => Err(anyhow!("kind: unknown kind '{other}'")),
            None => {
                let project = self
                    .documents
                    .as_ref()
                    .context("no kind; build documents require --project")?;
                self.batch.push(document(project, text)?)
            }
        }
    }

    fn account(&mut self, username: &str) -> Result<Option<AccountId>> {
        if let Some(id) = self.users.get(username) {
            return Ok(Some(*id));
        }
        let name: Username = username.parse().context("user")?;
        let found = self.repository.user_find(&name)?.map(|account| account.id);
        self.users.extend(found.map(|id| (username.to_owned(), id)));
        Ok(found)
    }

    fn actor(&mut self, username: Option<&str>) -> Result<Actor> {
        let id = username.map(|name| self.account(name)).transpose()?.flatten();
        Ok(id.map_or(Actor::Nobody, Actor::Account))
    }

    fn user(&mut self, line: UserLine) -> Result<()> {
        let new = NewAccount {
            username: line.username.parse().context("username")?,
            password_hash: PasswordHash::from_stored(line.password_hash),
        };
        match self.repository.user_create(&new)? {
            Some(account) => {
                let times = (
                    Moved::Account(account.id),
                    line.created_at.try_into()?,
                    line.updated_at.try_into()?,
                );
                self.repository.times_set(&[times])?;
                self.batch.counts.new += 1;
            }
            None => self.batch.counts.known += 1,
        }
        Ok(())
    }

    fn component_type(&mut self, line: TypeLine) -> Result<()> {
        let new = NewComponentType {
            id: line.id,
            name: line.name.parse().context("name")?,
            creator: self.actor(line.creator.as_deref())?,
            claim: None,
        };
        let created = self.repository.component_type_create(&new)?;
        let times = (
            Moved::ComponentType(line.id),
            line.created_at.try_into()?,
            line.updated_at.try_into()?,
        );
        self.created(matches!(created, Created::New(_)), times)
    }

    fn component(&mut self, line: ComponentLine) -> Result<()> {
        let text = |text: Option<String>| -> Result<Option<PlainText>> {
            Ok(text.map(|text| text.parse()).transpose()?)
        };
        let new = NewComponent {
            id: line.id,
            name: line.name.parse().context("name")?,
            component_type: Named::Id(line.componenttype),
            creator: self.actor(line.creator.as_deref())?,
            details: ComponentDetails {
                title: text(line.title)?,
                message: text(line.message)?,
                url: text(line.url)?,
                canonical_project_name: text(line.canonical_project_name)?,
                sha: text(line.sha)?,
                reference: text(line.reference)?,
                git: text(line.git)?,
                data: line.data,
            },
            claim: None,
        };
        let created = self.repository.component_create(&new)?;
        if matches!(created, Created::NoType) {
            return Err(anyhow!("componenttype: no component type with this id"));
        }
        let times =
            (Moved::Component(line.id), line.created_at.try_into()?, line.updated_at.try_into()?);
        self.created(matches!(created, Created::New(_)), times)
    }

    fn created(&mut self, is_new: bool, times: (Moved, Timestamp, Timestamp)) -> Result<()> {
        if is_new {
            self.repository.times_set(&[times])?;
            self.batch.counts.new += 1;
        } else {
            self.batch.counts.known += 1;
        }
        Ok(())
    }

    fn project(&mut self, line: ProjectLine) -> Result<()> {
        let new = NewProject {
            slug: line.slug.parse().context("slug")?,
            name: line.name.parse().context("name")?,
            reporting: line.reporting.parse().context("reporting")?,
            tracking: line.tracking.try_into()?,
            repository: line
                .repository
                .map(|text| text.parse())
                .transpose()
                .context("repository")?,
            tags: tags(&line.tags)?,
            owner: self.actor(line.owner.as_deref())?,
        };
        match self.repository.project_register(&new)? {
            Registered::New(project) => {
                let times = (
                    Moved::Project(project.id),
                    line.created_at.try_into()?,
                    line.updated_at.try_into()?,
                );
                self.repository.times_set(&[times])?;
                self.batch.counts.new += 1;
            }
            _ => self.batch.counts.known += 1,
        }
        Ok(())
    }

    fn find_project(&mut self, slug: &str) -> Result<Project> {
        if let Some(project) = self.projects.get(slug) {
            return Ok(project.clone());
        }
        let parsed: Slug = slug.parse().context("project")?;
        let found = self.repository.project_find(&parsed)?;
        let project = found.with_context(|| format!("project: '{slug}' not found"))?;
        self.projects.insert(slug.to_owned(), project.clone());
        Ok(project)
    }

    fn issue(&mut self, line: IssueLine) -> Result<()> {
        fn text<T: FromStr<Err = Invalid>>(
            name: &'static str,
            text: Option<String>,
        ) -> Result<Option<T>> {
            text.map(|text| text.parse()).transpose().context(name)
        }
        let project = self.find_project(&line.project)?;
        let at = |at: Option<At>| at.map(TryInto::try_into).transpose();
        let new = NewIssue {
            id: line.id,
            project: project.id,
            details: IssueDetails {
                title: line.title.parse().context("title")?,
                url: text("url", line.url)?,
                note: text("note", line.note)?,
                fitting: Fitting {
                    test: text("test", line.test)?,
                    message: text("message", line.message)?,
                    signature: text("signature", line.signature)?,
                    branch: text("branch", line.branch)?,
                    variant: text("variant", line.variant)?,
                },
                mute: line.mute,
                expires: at(line.expires).context("expires")?,
                closed_at: at(line.closed_at).context("closed_at")?,
            },
            creator: self.actor(line.creator.as_deref())?,
            claim: None,
        };
        let times = (
            Moved::Issue(project.id, line.id),
            line.created_at.try_into()?,
            line.updated_at.try_into()?,
        );
        if self.repository.issue_find(project.id, line.id)?.is_some() {
            return self.created(false, times);
        }
        match self.repository.issue_create(&new)? {
            Filed::TooMany => Err(anyhow!("the project has too many open issues")),
            filed => self.created(matches!(filed, Filed::New(_)), times),
        }
    }

    fn build(&mut self, line: BuildLine) -> Result<()> {
        let project = self.find_project(&line.project)?;
        let received: Timestamp = line.received.try_into()?;
        let updated_at: Timestamp = line.updated_at.try_into()?;
        let new = NewBuild {
            project: project.id,
            id: id(line.id),
            key: line.key.map(|key| key.parse()).transpose().context("key")?,
            sender: self.actor(line.user.as_deref())?,
            report: Report {
                started: line.started.try_into()?,
                received,
                outcome: outcome(line.outcome)?,
                tags: tags(&line.tags)?,
                client: ClientRecord(object(&line.client)),
                steps: line
                    .results
                    .into_iter()
                    .map(crate::dump::StepLine::step)
                    .collect::<Result<_, _>>()?,
                digest: line.digest.and_then(|digest| digest.try_into().ok()).map(Digest),
            },
            variant_by: project.tracking.variant_by,
            components: self.known_components(line.components)?,
            test_report: TestReport {
                tests: line.tests.into_iter().map(Into::into).collect::<Vec<_>>().into(),
                receipts: line.receipts,
                upload: None,
                part: None,
                document: None,
            },
            claim: None,
        };
        let changed = (updated_at.micros() != received.micros()).then_some(updated_at);
        self.batch.push_changed(new, changed)
    }

    /// Those that exist: others were deleted while the export was written.
    fn known_components(&self, ids: Vec<Uuid>) -> Result<Vec<Uuid>> {
        let mut known = Vec::with_capacity(ids.len());
        for id in ids {
            if !self.repository.component_find(&Named::Id(id))?.is_empty() {
                known.push(id);
            }
        }
        Ok(known)
    }

    fn track(&mut self, line: TrackLine) -> Result<()> {
        // Its builds come before it.
        self.batch.store()?;
        let project = self.find_project(&line.project)?;
        let track =
            Track { variant: line.variant, branch: line.branch, is_credited: line.credited };
        let expected = line.expected.parse().context("expected")?;
        let known = self.repository.track_find(project.id, track.key())?;
        let known = known.context("no build of this track")?;
        if known.expected == expected {
            self.batch.counts.known += 1;
            return Ok(());
        }
        self.repository.track_expect(project.id, track.key(), expected, None)?;
        self.batch.counts.new += 1;
        Ok(())
    }

    fn tag(&mut self, line: TagLine) -> Result<()> {
        let project = self.find_project(&line.project)?;
        let tag: Tag = line.tag.parse().context("tag")?;
        let created: Timestamp = line.created_at.try_into()?;
        let times = (Moved::Tag(project.id, tag.clone()), created, line.updated_at.try_into()?);
        self.tags.insert((project.slug, tag), times);
        Ok(())
    }

    /// Restores the original times of tags, which the import has changed. A tag that already has its
    /// time existed before, and may have been used again since.
    fn set_times(&mut self) -> Result<()> {
        if self.tags.is_empty() {
            return Ok(());
        }
        let there = all(|offset| Ok(self.repository.tag_query(&listing(offset))?.items))?;
        let times: Vec<_> = there
            .into_iter()
            .filter_map(|tag| {
                let times = self.tags.remove(&(tag.project, tag.tag))?;
                (times.1.micros() != tag.created_at.micros()).then_some(times)
            })
            .collect();
        for piece in times.chunks(1000) {
            self.repository.times_set(piece)?;
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    Ok(serde_json::from_slice(text)?)
}

fn tags(tags: &[String]) -> Result<TagSet> {
    tags.iter().map(|tag| tag.parse()).collect::<Result<_, _>>().context("tags")
}
