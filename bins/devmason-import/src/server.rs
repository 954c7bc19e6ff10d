//! `devmason-import server`: copies the builds of a running server over HTTP.

use anyhow::{Context, Result};
use devmason_client::{Client, Credentials, Document, Link, Method, Outgoing, blocking};
use devmason_domain::{Project, Slug, TestResult};
use devmason_hypermedia::document::{IncomingTestList, parse};
use devmason_repository::{NewBuild, Repository};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::batch::Batch;
use crate::lines::document;
use crate::{Cli, Counts, say};

pub(crate) fn import(
    repository: &dyn Repository,
    url: &str,
    only: &[Slug],
    cli: &Cli,
) -> Result<Counts> {
    let variable = |name: &str| std::env::var(name).ok();
    let credentials = variable("DEVMASON_USER")
        .zip(variable("DEVMASON_PASSWORD"))
        .map(|(user, password)| Credentials { user, password });
    let client = blocking::Client::new(Client::new(url, credentials)?)?;
    let mut batch = Batch::new(repository);
    let bar = crate::bar(cli, None);
    let mut next = Some("/".to_owned());
    while let Some(page) = next {
        let page = client.get(&page)?;
        for of in page.list("projects") {
            let this = of.link("self").unwrap_or_default();
            let slug = this.rsplit('/').next().unwrap_or_default();
            let slug: Slug = slug.parse().with_context(|| this.to_string())?;
            if only.is_empty() || only.contains(&slug) {
                let project = crate::project(repository, &slug)?;
                let of = client.get(&this)?;
                builds(&client, &of, &project, &mut batch, &bar)?;
            }
        }
        next = page.link("next");
    }
    batch.store()?;
    bar.finish_and_clear();
    Ok(batch.counts)
}

/// A page of builds, each as raw JSON, so that numbers keep their digits.
#[derive(Deserialize)]
struct Page {
    builds: Vec<Box<RawValue>>,
    count: Option<u64>,
    links: Vec<Link>,
}

/// The members of a build that are evaluated.
#[derive(Deserialize)]
struct Own {
    id: String,
    state: String,
    links: Vec<Link>,
}

fn link(links: &[Link], rel: &str) -> Option<String> {
    links.iter().find(|link| link.rel == rel).map(|link| link.href.clone())
}

/// All builds of a project, page by page.
fn builds(
    client: &blocking::Client,
    of: &Document,
    project: &Project,
    batch: &mut Batch<'_>,
    bar: &indicatif::ProgressBar,
) -> Result<()> {
    let mut next = of.link("build-list");
    let mut is_first = true;
    while let Some(href) = next {
        let answer = client.send(&Outgoing::new(Method::GET, href))?;
        let page: Page = serde_json::from_slice(&answer.body)?;
        if std::mem::take(&mut is_first) {
            bar.inc_length(page.count.unwrap_or(0));
        }
        for text in &page.builds {
            let own: Own = serde_json::from_str(text.get())?;
            match one(client, &own, text, project) {
                Ok(Some(build)) => batch.push(build)?,
                Ok(None) => {}
                Err(problem) => {
                    say(&format!("{} skipped: {problem}", own.id));
                    batch.counts.bad += 1;
                }
            }
            bar.inc(1);
        }
        next = link(&page.links, "next");
    }
    Ok(())
}

/// A build of a page with its cases; `None` while it runs.
fn one(
    client: &blocking::Client,
    own: &Own,
    text: &RawValue,
    project: &Project,
) -> Result<Option<NewBuild>> {
    if own.state != "finished" {
        say(&format!("{} skipped: still running; import it later", own.id));
        return Ok(None);
    }
    let mut new = document(project, text.get().as_bytes())?;
    // The other server's components do not exist in this store.
    new.components.clear();
    let mut next = link(&own.links, "tests").map(|tests| format!("{tests}?per_page=1000"));
    let mut tests: Vec<TestResult> = Vec::new();
    while let Some(href) = next {
        let answer = client.send(&Outgoing::new(Method::GET, href))?;
        let list: IncomingTestList = parse(&answer.body)?;
        tests.extend(Vec::<TestResult>::from(list));
        next = answer.document()?.link("next");
    }
    new.test_report.tests = tests.into();
    Ok(Some(new))
}
