//! Two builds, compared.

use askama::Template;
use devmason_domain::{BuildKey, Project, TestStatus};
use devmason_hypermedia::Resource;
use devmason_hypermedia::document::{
    ComparedBuild, ComparedCase, ComparedComponent, ComparedMember, ComparedRun, ComparisonDocument,
};

use super::findings::{LIST_BYTES, fitting, size};
use super::{Page, of_success, word_of};
use crate::Standing;
use crate::site::{Site, duration};
use crate::text::{cut, grouped};

/// Maximum length of a member's value, in characters.
const VALUE: usize = 300;

/// A build that is compared.
struct Side<'a> {
    href: String,
    of: &'a ComparedBuild,
    standing: Standing,
    took: String,
}

/// The result of a test in one of the builds.
struct CaseCell {
    class: &'static str,
    word: &'static str,
    href: String,
}

/// A test whose results differ.
struct TestLine<'a> {
    name: &'a str,
    history: String,
    change: &'static str,
    cells: [Option<CaseCell>; 2],
}

/// A name with what it is in each build.
struct Line<'a> {
    name: &'a str,
    one: String,
    other: String,
    /// Whether they differ in more than a duration.
    is_different: bool,
}

/// Two builds, compared.
#[derive(Template)]
#[template(path = "comparison.html")]
pub struct ComparisonPage<'a> {
    site: Site<'a>,
    project: &'a Project,
    sides: [Side<'a>; 2],
    swapped: String,
    counts: Vec<(String, &'static str)>,
    tests: Vec<TestLine<'a>>,
    more_tests: usize,
    slower: Vec<(&'a str, String, String, String)>,
    steps: Vec<Line<'a>>,
    client: Vec<Line<'a>>,
    components: Vec<(&'static str, Vec<(String, &'a str)>)>,
}

fn seconds(seconds: f64) -> String {
    duration((seconds.max(0.0) * 1e6) as u64)
}

fn run(of: Option<&ComparedRun>) -> String {
    let Some(of) = of else { return "\u{2013}".to_owned() };
    let word = of.success.map_or(Standing::Running, of_success).as_str();
    match of.duration {
        Some(took) => format!("{word}, {}", seconds(took)),
        None => word.to_owned(),
    }
}

impl<'a> ComparisonPage<'a> {
    /// The page of a comparison.
    pub fn new(site: Site<'a>, project: &'a Project, of: &'a ComparisonDocument) -> Self {
        let key = |id: &str| id.parse::<BuildKey>().ok();
        let side = |of: &'a ComparedBuild| Side {
            href: key(&of.id)
                .map(|key| site.to(&Resource::Build(project.slug.clone(), key)))
                .unwrap_or_default(),
            standing: of.success.map_or(Standing::Running, of_success),
            took: of.duration.map(seconds).unwrap_or_default(),
            of,
        };
        let cell = |build: &ComparedBuild, case: Option<ComparedCase>| {
            let (case, key) = (case?, key(&build.id)?);
            let (class, _) = word_of(TestStatus::from_word(case.status)?);
            let href = site.case(&project.slug, &key, case.position);
            Some(CaseCell { class, word: case.status, href })
        };
        let tests: Vec<TestLine<'_>> =
            fitting(&of.tests, 4 * LIST_BYTES, |test| 2 * size(&test.full_name))
                .map(|test| TestLine {
                    name: &test.full_name,
                    history: site.test(&project.slug, &test.full_name),
                    change: test.change,
                    cells: [cell(&of.one, test.one), cell(&of.other, test.other)],
                })
                .collect();
        let told = [
            (of.counts.broken, "broken"),
            (of.counts.failing, "failing in both"),
            (of.counts.fixed, "fixed"),
            (of.counts.removed, "removed"),
            (of.counts.changed, "changed otherwise"),
            (of.counts.added, "added"),
        ];
        let slower = fitting(&of.slower, LIST_BYTES, |test| size(&test.full_name)).map(|test| {
            let history = site.test(&project.slug, &test.full_name);
            (test.full_name.as_str(), history, seconds(test.one), seconds(test.other))
        });
        let success = |of: Option<ComparedRun>| of.map(|of| of.success);
        let steps = of.steps.iter().take(300).map(|step| Line {
            name: &step.name,
            one: run(step.one.as_ref()),
            other: run(step.other.as_ref()),
            is_different: success(step.one) != success(step.other),
        });
        let text = |text: Option<&String>| {
            text.map_or_else(|| "\u{2013}".to_owned(), |text| cut(text, VALUE).into_owned())
        };
        let client = of.client.iter().map(|member: &ComparedMember| Line {
            name: &member.name,
            one: text(member.one.as_ref()),
            other: text(member.other.as_ref()),
            is_different: true,
        });
        let component = |all: &'a [ComparedComponent]| {
            all.iter().map(|of| (site.component_builds(&of.id), of.name.as_str())).collect()
        };
        let components: [(&'static str, Vec<_>); 3] = [
            ("Only in the first", component(&of.components.one)),
            ("Only in the second", component(&of.components.other)),
            ("In both", component(&of.components.both)),
        ];
        let pair = key(&of.other.id).zip(key(&of.one.id));
        let swapped = pair.and_then(|(one, other)| site.comparison(&project.slug, one, other));
        Self {
            swapped: swapped.unwrap_or_default(),
            counts: told
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| (grouped(count), word))
                .collect(),
            more_tests: total(of).saturating_sub(tests.len()),
            tests,
            slower: slower.collect(),
            steps: steps.collect(),
            client: client.collect(),
            components: components.into_iter().filter(|(_, ids)| !ids.is_empty()).collect(),
            sides: [side(&of.one), side(&of.other)],
            site,
            project,
        }
    }
}

fn total(of: &ComparisonDocument) -> usize {
    let counts = &of.counts;
    let all = counts.broken
        + counts.failing
        + counts.fixed
        + counts.removed
        + counts.changed
        + counts.added;
    usize::try_from(all).unwrap_or(usize::MAX)
}

impl Page for ComparisonPage<'_> {
    fn title(&self) -> String {
        let [one, other] = &self.sides;
        format!("{}: {} and {}", self.project.name, one.of.id, other.of.id)
    }
    fn summary(&self) -> String {
        let told: Vec<String> =
            self.counts.iter().map(|(count, word)| format!("{count} {word}")).collect();
        format!("Tests: {}", told.join(", "))
    }
    fn standing(&self) -> Standing {
        let [_, other] = &self.sides;
        other.standing
    }
}
