//! Cases of all projects that match a query. No database looks into strips, so the conditions are
//! evaluated here.

use std::collections::HashMap;

use devmason_domain::query::{Comparison, Filter, SortKey, Value};
use devmason_domain::{BuildId, ProjectId, TestDetails, TestResult};
use devmason_strips::{Body, Packed, unpack};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};

use super::super::filter::bounds;
use super::super::sql::Expr;
use super::evaluate::{Case, Field, Values, by_keys};
use super::names::{self, names};
use super::narrow::place;
use super::read::{nothing, position};
use super::{Conn, Db, Id, Outcome, Sql};
use crate::store::clock;
use crate::store::columns::{At, instant};
use crate::store::schema::{build, project, strip};
use crate::{FoundTest, Listed, Listing, PlacedTest};

/// Number of strips that one statement reads, and of those that are only counted.
const STRIPS: i64 = 32;
const HEADS: i64 = 1_000;

/// Number of cases after which the time limit is checked: a pattern may take long.
const CHECKED: usize = 64;

/// Size in bytes of the names that are kept while strips are searched.
const NAMES: usize = 8 << 20;

/// The names of a project's tests, by number.
type NamesOf = HashMap<i64, (String, String)>;

/// A case that matches.
#[derive(Clone)]
struct Match {
    project: ProjectId,
    build: Id,
    position: u32,
    case: Packed,
}

/// The part of the matches that is asked for. Without a sort order they come in the list's own.
struct Page<'a> {
    sort: &'a [SortKey],
    offset: usize,
    limit: usize,
    count: u64,
    kept: Vec<(Box<Values>, Match)>,
}

impl Page<'_> {
    /// How many matches may have to be kept.
    fn most(&self) -> usize {
        self.offset.saturating_add(self.limit)
    }

    fn add(&mut self, case: &Case<'_>, project: ProjectId) {
        let is_in =
            self.sort.is_empty() && (self.offset as u64..self.most() as u64).contains(&self.count);
        self.count += 1;
        if !is_in && self.sort.is_empty() {
            return;
        }
        let value = |sort: &SortKey| case.field(sort.key.field).map(Field::into_owned);
        let values = self.sort.iter().map(value).collect();
        let Case { build, position, case, .. } = *case;
        self.kept.push((values, Match { project, build, position, case }));
        if self.kept.len() >= self.most().saturating_mul(2).max(1_000) {
            self.cut();
        }
    }

    /// Drops what cannot be on the page.
    fn cut(&mut self) {
        if !self.sort.is_empty() {
            let keys = self.sort;
            self.kept.sort_by(|one, other| by_keys(keys, &one.0, &other.0));
            self.kept.truncate(self.most());
        }
    }

    fn matches(mut self) -> (Vec<Match>, u64) {
        self.cut();
        let skipped = if self.sort.is_empty() { 0 } else { self.offset };
        let page = self.kept.into_iter().skip(skipped).take(self.limit);
        (page.map(|(_, found)| found).collect(), self.count)
    }
}

/// What a filter requires, by which strips are found or passed over.
struct Narrowed {
    project: Option<ProjectId>,
    build: Option<Id>,
    /// The number of the only test; -1 if the project has none of that name.
    test: Option<i64>,
    only_bad: bool,
    /// Whether every case of the strips matches.
    is_all: bool,
    /// Whether names are needed.
    by_name: bool,
}

impl Narrowed {
    fn of(conn: &mut Conn, listing: &Listing) -> Outcome<Self> {
        let filter = &listing.selection.filter;
        let (mut project, mut build) = place(conn, filter)?;
        // An id names its build.
        if build.is_none()
            && let Some(Value::Text(id)) = filter.required("id")
        {
            let id = id.split(':').next().unwrap_or_default();
            build = Some(Id(uuid::Uuid::try_parse(id).unwrap_or_default()));
            project = project_of(conn, build)?;
        }
        let test = match (project, filter.required("full_name")) {
            (Some(project), Some(Value::Text(name))) => {
                Some(names::find(conn, project, name)?.map_or(-1, |(id, ..)| id))
            }
            _ => None,
        };
        let status = filter.required("status");
        let names = ["full_name", "suite", "name"];
        let sorts_by_name =
            listing.selection.sort.iter().any(|sort| names.contains(&sort.key.field));
        Ok(Self {
            project,
            build,
            test,
            only_bad: matches!(status, Some(Value::Text(is)) if is == "failed" || is == "error"),
            is_all: is_place(filter),
            by_name: sorts_by_name || names.iter().any(|field| filter.mentions(field)),
        })
    }
}

fn project_of(conn: &mut Conn, build: Option<Id>) -> Outcome<Option<ProjectId>> {
    let Some(id) = build else { return Ok(None) };
    let of_it = build::table.filter(build::id.eq(id)).select(build::project_id);
    let project: Option<i64> = of_it.first(conn).optional()?;
    Ok(Some(project.map_or(super::narrow::NONE, ProjectId)))
}

/// Whether a filter says nothing but which project or which build.
fn is_place(filter: &Filter) -> bool {
    match filter {
        Filter::All(filters) => filters.len() < 2 && filters.iter().all(is_place),
        Filter::Compare(key, Comparison::Equal, _) => ["project", "build_id"].contains(&key.field),
        _ => false,
    }
}

/// A strip: its project and that one's key, its build, its place, the position of its first case,
/// its number of cases.
type Head = (i64, Option<String>, Id, i32, i32, i32);

/// Cases of all existing projects that match a query.
pub(in super::super) fn query(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<FoundTest>> {
    let (limit, offset) = bounds(listing);
    let filter = &listing.selection.filter;
    let narrowed = Narrowed::of(conn, listing)?;
    let mut page = Page {
        sort: &listing.selection.sort,
        offset: usize::try_from(offset).unwrap_or(usize::MAX),
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        count: 0,
        kept: Vec::new(),
    };
    let mut names_of: HashMap<ProjectId, NamesOf> = HashMap::new();
    // If all their cases match, strips that are not on the page are only counted.
    let heads_only = narrowed.is_all && page.sort.is_empty();
    let mut last: Option<(i64, Id, i32)> = None;
    loop {
        let many = if heads_only { HEADS } else { STRIPS };
        let strips = strips(conn, &narrowed, last, (many, heads_only))?;
        let is_last = (strips.len() as i64) < many;
        for ((project, slug, id, nth, first, cases), body) in strips {
            last = Some((project, id, nth));
            let cases = u64::from(cases.unsigned_abs());
            let is_aside =
                page.count + cases <= page.offset as u64 || page.count >= page.most() as u64;
            if heads_only && is_aside {
                page.count += cases;
                continue;
            }
            let body = match body {
                Some(body) => body,
                None => {
                    let this = strip::table.find((project, id, nth)).select(strip::body);
                    // Deleted in the meantime, if there is none.
                    let Some(body) = this.first(conn).optional()? else { continue };
                    body
                }
            };
            let (project, body) = (ProjectId(project), unpack(&body)?);
            if narrowed.by_name {
                learn(conn, &mut names_of, project, &body)?;
            }
            let known = names_of.get(&project);
            for (at, case) in body.cases().enumerate() {
                if at % CHECKED == 0 {
                    clock::check()?;
                }
                let case = Case {
                    project: slug.as_deref().unwrap_or_default(),
                    build: id,
                    position: position(first, at),
                    name: known.and_then(|names| names.get(&case.test)),
                    case,
                };
                if narrowed.test.is_some_and(|test| test != case.case.test) {
                    continue;
                }
                if case.is(filter) == Some(true) {
                    page.add(&case, project);
                }
            }
        }
        if is_last {
            break;
        }
    }
    let (matches, count) = page.matches();
    Ok(Listed { items: found(conn, matches)?, count })
}

/// The next strips that may have matches, in the list's own order.
fn strips(
    conn: &mut Conn,
    narrowed: &Narrowed,
    last: Option<(i64, Id, i32)>,
    (many, heads_only): (i64, bool),
) -> Outcome<Vec<(Head, Option<Vec<u8>>)>> {
    let mut strips = strip::table
        .inner_join(project::table)
        .filter(project::slug_key.is_not_null())
        .order((strip::project_id, strip::build_id, strip::nth))
        .limit(many)
        .into_boxed::<Db>();
    if let Some((project, build, nth)) = last {
        let behind = Sql::<Bool>::new("(strip.project_id, strip.build_id, strip.nth) > (?, ?, ?)")
            .bind::<BigInt, _>(project)
            .bind::<crate::store::schema::sql::Uuid, _>(build)
            .bind::<diesel::sql_types::Integer, _>(nth);
        strips = strips.filter(super::super::filter::Fragment(behind));
    }
    if let Some(id) = narrowed.project {
        strips = strips.filter(strip::project_id.eq(id.0));
    }
    if let Some(id) = narrowed.build {
        strips = strips.filter(strip::build_id.eq(id));
    }
    if let Some(test) = narrowed.test {
        strips = strips.filter(strip::low.le(test).and(strip::high.ge(test)));
    }
    if narrowed.only_bad {
        // Written into the statement, so that the partial index is used.
        strips = strips.filter(Expr::<Bool>(Sql::new("strip.bad > 0")));
    }
    let head = (
        strip::project_id,
        project::slug_key,
        strip::build_id,
        strip::nth,
        strip::first,
        strip::cases,
    );
    Ok(if heads_only {
        strips.select((head, nothing())).load(conn)?
    } else {
        strips.select((head, strip::body.nullable())).load(conn)?
    })
}

/// Looks up the names of a strip that are not known yet.
fn learn(
    conn: &mut Conn,
    names_of: &mut HashMap<ProjectId, NamesOf>,
    project: ProjectId,
    body: &Body,
) -> Outcome<()> {
    let bytes = |(suite, name): &(String, String)| suite.len() + name.len() + 100;
    if names_of.values().flat_map(HashMap::values).map(bytes).sum::<usize>() > NAMES {
        names_of.clear();
    }
    let known = names_of.entry(project).or_default();
    let missing = body.tests().iter().copied().filter(|test| !known.contains_key(test));
    let found = names(conn, project, missing.collect::<Vec<_>>())?;
    known.extend(found);
    Ok(())
}

/// Completes the matches of a page.
fn found(conn: &mut Conn, matches: Vec<Match>) -> Outcome<Vec<FoundTest>> {
    let mut names_of: HashMap<ProjectId, NamesOf> = HashMap::new();
    let mut tests: HashMap<ProjectId, Vec<i64>> = HashMap::new();
    for found in &matches {
        tests.entry(found.project).or_default().push(found.case.test);
    }
    for (project, tests) in tests {
        names_of.insert(project, names(conn, project, tests)?);
    }
    let mut ids: Vec<Id> = matches.iter().map(|found| found.build).collect();
    ids.dedup();
    let builds: Vec<(Id, (At, At, i64))> = build::table
        .filter(build::id.eq_any(ids))
        .select((build::id, (build::received, build::updated_at, build::version)))
        .load(conn)?;
    let builds: HashMap<Id, (At, At, i64)> = builds.into_iter().collect();
    let items = matches.into_iter().filter_map(|Match { project, build, position, case }| {
        // Deleted in the meantime, if the build is missing.
        let (received, updated_at, version) = *builds.get(&build)?;
        let (suite, name) = names_of.get(&project)?.get(&case.test)?;
        let result = TestResult {
            suite: suite.as_str().into(),
            name: name.clone(),
            status: case.status,
            micros: case.micros,
            failure: None,
            details: TestDetails::NONE.into(),
        };
        let test = PlacedTest { position, result };
        let found = |received, updated_at| FoundTest {
            project,
            build: BuildId(build.0),
            received,
            updated_at,
            version,
            test,
        };
        let times = instant(received, 0).and_then(|at| Ok((at, instant(updated_at, 0)?)));
        Some(times.map(|(received, updated_at)| found(received, updated_at)))
    });
    items.collect()
}
