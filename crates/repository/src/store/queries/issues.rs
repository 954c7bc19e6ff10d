//! Known issues.

use devmason_domain::{
    AccountId, Fitting, Issue, IssueDetails, IssueState, OPEN_ISSUES, PageRequest, ProjectId,
    Timestamp,
};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use uuid::Uuid;

use super::filter::{Columns, bounds};
use super::users::Resolved;
use super::{Conn, Db, Store, claims, counts, next, tuned, users};
use crate::store::columns::{At, Id, instant};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{account, issue, project};
use crate::{Filed, Issues, Listed, Listing, NewIssue, PlacedIssue, Refiled, Result, Updated};

/// Maximum number of closed issues that failures are compared with.
const CLOSED: i64 = 1_000;

#[derive(Queryable, Selectable)]
#[diesel(table_name = issue)]
struct Row {
    project_id: i64,
    id: Id,
    title: String,
    url: Option<String>,
    note: Option<String>,
    test: Option<String>,
    message: Option<String>,
    signature: Option<String>,
    branch: Option<String>,
    variant: Option<String>,
    mute: bool,
    expires: Option<At>,
    closed_at: Option<At>,
    creator_id: Option<i64>,
    created_at: At,
    updated_at: At,
    version: i64,
}

/// An issue's row, and its creator's name while there is such a user.
type Found = (Row, Option<String>, Option<String>);

fn parsed<T: std::str::FromStr<Err = devmason_domain::Invalid>>(
    text: Option<String>,
) -> Outcome<Option<T>> {
    Ok(text.map(|text| text.parse()).transpose()?)
}

fn placed((row, creator, creator_key): Found) -> Outcome<PlacedIssue> {
    let creator = creator.filter(|_| creator_key.is_some());
    let creator = row
        .creator_id
        .zip(creator)
        .map(|(id, name)| Ok::<_, Fault>((AccountId(id), name.parse()?)));
    let maybe = |at: Option<At>| at.map(|at| instant(at, 0)).transpose();
    Ok(PlacedIssue {
        project: ProjectId(row.project_id),
        issue: Issue {
            id: row.id.0,
            details: IssueDetails {
                title: row.title.parse()?,
                url: parsed(row.url)?,
                note: parsed(row.note)?,
                fitting: Fitting {
                    test: parsed(row.test)?,
                    message: parsed(row.message)?,
                    signature: parsed(row.signature)?,
                    branch: parsed(row.branch)?,
                    variant: parsed(row.variant)?,
                },
                mute: row.mute,
                expires: maybe(row.expires)?,
                closed_at: maybe(row.closed_at)?,
            },
            creator: creator.transpose()?,
            created_at: instant(row.created_at, 0)?,
            updated_at: instant(row.updated_at, 0)?,
            version: row.version,
        },
    })
}

fn issue_of(found: Found) -> Outcome<Issue> {
    placed(found).map(|placed| placed.issue)
}

/// Issues with their creators' names.
macro_rules! issues {
    () => {
        issue::table.left_join(account::table).select((
            Row::as_select(),
            account::username.nullable(),
            account::username_key.nullable(),
        ))
    };
}

/// The columns that a client sets.
macro_rules! columns {
    ($details:expr) => {
        (
            issue::title.eq($details.title.as_str()),
            issue::url.eq($details.url.as_ref().map(|text| text.as_str())),
            issue::note.eq($details.note.as_ref().map(|text| text.as_str())),
            issue::test.eq($details.fitting.test.as_ref().map(|text| text.as_str())),
            issue::message.eq($details.fitting.message.as_ref().map(|text| text.as_str())),
            issue::signature.eq($details.fitting.signature.as_ref().map(|text| text.as_str())),
            issue::branch.eq($details.fitting.branch.as_ref().map(|text| text.as_str())),
            issue::variant.eq($details.fitting.variant.as_ref().map(|text| text.as_str())),
            issue::mute.eq($details.mute),
            issue::expires.eq($details.expires.map(|at| At(at.micros()))),
            issue::closed_at.eq($details.closed_at.map(|at| At(at.micros()))),
        )
    };
}

fn find(conn: &mut Conn, project: ProjectId, id: Uuid) -> Outcome<Option<Issue>> {
    let one = issues!().filter(issue::project_id.eq(project.0).and(issue::id.eq(Id(id))));
    one.first(conn).optional()?.map(issue_of).transpose()
}

fn count(conn: &mut Conn, project: ProjectId, state: Option<IssueState>) -> Outcome<u64> {
    let mut all = issue::table.filter(issue::project_id.eq(project.0)).into_boxed::<Db>();
    all = match state {
        None => all,
        Some(IssueState::Open) => all.filter(issue::closed_at.is_null()),
        Some(IssueState::Closed) => all.filter(issue::closed_at.is_not_null()),
    };
    let count: i64 = all.count().get_result(conn)?;
    Ok(count.unsigned_abs())
}

fn list(
    conn: &mut Conn,
    project: ProjectId,
    state: Option<IssueState>,
    page: PageRequest,
) -> Outcome<Vec<Issue>> {
    let mut all = issues!().filter(issue::project_id.eq(project.0)).into_boxed::<Db>();
    all = match state {
        None => all,
        Some(IssueState::Open) => all.filter(issue::closed_at.is_null()),
        Some(IssueState::Closed) => all.filter(issue::closed_at.is_not_null()),
    };
    let found: Vec<Found> = all
        .order((issue::created_at.desc(), issue::id.desc()))
        .offset(page.offset().try_into().unwrap_or(i64::MAX))
        .limit(page.per_page.try_into().unwrap_or(i64::MAX))
        .load(conn)?;
    found.into_iter().map(issue_of).collect()
}

fn to_compare(conn: &mut Conn, project: ProjectId) -> Outcome<Vec<Issue>> {
    let of_project = issue::project_id.eq(project.0);
    let mut found: Vec<Found> =
        issues!().filter(of_project.and(issue::closed_at.is_null())).order(issue::id).load(conn)?;
    let closed: Vec<Found> = issues!()
        .filter(of_project.and(issue::closed_at.is_not_null()))
        .order(issue::closed_at.desc())
        .limit(CLOSED)
        .load(conn)?;
    found.extend(closed);
    found.into_iter().map(issue_of).collect()
}

fn in_force(conn: &mut Conn, project: ProjectId, now: Timestamp) -> Outcome<u64> {
    let count: i64 = issue::table
        .filter(issue::project_id.eq(project.0).and(issue::closed_at.is_null()))
        .filter(issue::expires.is_null().or(issue::expires.gt(At(now.micros()))))
        .count()
        .get_result(conn)?;
    Ok(count.unsigned_abs())
}

/// Locks the project until the end of the transaction, so that its open issues can be counted; false if
/// it does not exist.
fn hold(conn: &mut Conn, id: ProjectId) -> Outcome<bool> {
    let held: Option<i64> = super::Sql::<diesel::sql_types::BigInt>::new(
        "select id from project where slug_key is not null and id = ?",
    )
    .text(tuned::FOR_NO_KEY_UPDATE)
    .bind::<diesel::sql_types::BigInt, _>(id.0)
    .get_result(conn)
    .optional()?;
    Ok(held.is_some())
}

fn create(conn: &mut Conn, new: &NewIssue) -> Outcome<Filed> {
    if let Some(claim) = &new.claim
        && let Some(claimed) = claims::make(conn, claim)?
    {
        return Ok(Filed::Claimed(claimed));
    }
    let filed = insert(conn, new)?;
    if let (Some(claim), false) = (&new.claim, matches!(filed, Filed::New(_))) {
        claims::withdraw(conn, claim)?;
    }
    Ok(filed)
}

fn insert(conn: &mut Conn, new: &NewIssue) -> Outcome<Filed> {
    if !hold(conn, new.project)? {
        return Ok(Filed::NoProject);
    }
    let is_open = new.details.state() == IssueState::Open;
    if is_open && count(conn, new.project, Some(IssueState::Open))? >= OPEN_ISSUES {
        return Ok(Filed::TooMany);
    }
    let creator = users::resolve(conn, &new.creator)?;
    if matches!(creator, Resolved::Taken) {
        return Ok(Filed::UsernameTaken);
    }
    let now = At(Timestamp::now().micros());
    diesel::insert_into(issue::table)
        .values((
            issue::project_id.eq(new.project.0),
            issue::id.eq(Id(new.id)),
            columns!(new.details),
            issue::creator_id.eq(creator.id()),
            issue::created_at.eq(now),
            issue::updated_at.eq(now),
            issue::version.eq(next("0")),
        ))
        .execute(conn)?;
    counts::project_changed(conn, new.project)?;
    find(conn, new.project, new.id)?
        .map(|issue| Filed::New(Box::new(issue)))
        .ok_or_else(|| Fault::Corrupt("an issue disappeared right after it was created".into()))
}

fn update(
    conn: &mut Conn,
    of: ProjectId,
    id: Uuid,
    details: &IssueDetails,
    seen: i64,
) -> Outcome<Refiled> {
    hold(conn, of)?;
    let Some(before) = find(conn, of, id)? else { return Ok(Refiled::Gone) };
    if before.version != seen {
        return Ok(Refiled::Stale);
    }
    let opens = before.details.closed_at.is_some() && details.closed_at.is_none();
    if opens && count(conn, of, Some(IssueState::Open))? >= OPEN_ISSUES {
        return Ok(Refiled::TooMany);
    }
    let changed = diesel::update(issue::table.find((of.0, Id(id))))
        .filter(issue::version.eq(seen))
        .set((
            columns!(details),
            issue::updated_at.eq(At(Timestamp::now().micros())),
            issue::version.eq(next("issue.version")),
        ))
        .execute(conn)?;
    if changed == 0 {
        return Ok(Refiled::Stale);
    }
    counts::project_changed(conn, of)?;
    Ok(find(conn, of, id)?.map_or(Refiled::Gone, |issue| Refiled::Done(Box::new(issue))))
}

fn delete(conn: &mut Conn, of: ProjectId, id: Uuid, seen: Option<i64>) -> Outcome<Updated<()>> {
    let deleted = diesel::delete(issue::table.find((of.0, Id(id))))
        .filter(issue::version.eq(seen.unwrap_or(0)).or(seen.is_none().into_sql::<Bool>()))
        .execute(conn)?;
    if deleted == 0 {
        return Ok(find(conn, of, id)?.map_or(Updated::Gone, |_| Updated::Stale));
    }
    counts::project_changed(conn, of)?;
    Ok(Updated::Done(()))
}

/// Fields of issues, over `issue join project`.
const COLUMNS: Columns = Columns {
    fields: &[
        ("id", "issue.id"),
        ("project", "project.slug_key"),
        ("title", "issue.title"),
        ("state", "case when issue.closed_at is null then 'open' else 'closed' end"),
        ("mute", "issue.mute"),
        ("expires", "issue.expires"),
        ("test", "issue.test"),
        ("message", "issue.message"),
        ("signature", "issue.signature"),
        ("branch", "issue.branch"),
        ("variant", "issue.variant"),
        ("created_at", "issue.created_at"),
        ("updated_at", "issue.updated_at"),
    ],
    folded: &["project"],
    sets: &[],
    open: "null",
    scanned: "issue.version",
    indexed: &[],
    tracks: None,
};

fn query(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<PlacedIssue>> {
    let (limit, offset) = bounds(listing);
    let filter = || COLUMNS.filter(&listing.selection.filter);
    let of_project = issue::project_id.eq(project::id).and(project::slug_key.is_not_null());
    let count: i64 = issue::table
        .inner_join(project::table.on(of_project))
        .filter(filter())
        .count()
        .get_result(conn)?;
    let found: Vec<Found> = issue::table
        .inner_join(project::table.on(of_project))
        .left_join(account::table.on(issue::creator_id.eq(account::id.nullable())))
        .filter(filter())
        .order(COLUMNS.order(&listing.selection.sort, "issue.created_at, issue.id"))
        .limit(limit)
        .offset(offset)
        .select((Row::as_select(), account::username.nullable(), account::username_key.nullable()))
        .load(conn)?;
    let items = found.into_iter().map(placed).collect::<Outcome<_>>()?;
    Ok(Listed { items, count: count.unsigned_abs() })
}

impl Issues for Store {
    fn issue_create(&self, new: &NewIssue) -> Result<Filed> {
        self.write(|conn| create(conn, new))
    }
    fn issue_find(&self, project: ProjectId, id: Uuid) -> Result<Option<Issue>> {
        self.read(|conn| find(conn, project, id))
    }
    fn issue_list(
        &self,
        project: ProjectId,
        state: Option<IssueState>,
        page: PageRequest,
    ) -> Result<Vec<Issue>> {
        self.read(|conn| list(conn, project, state, page))
    }
    fn issue_count(&self, project: ProjectId, state: Option<IssueState>) -> Result<u64> {
        self.read(|conn| count(conn, project, state))
    }
    fn issues_to_compare(&self, project: ProjectId) -> Result<Vec<Issue>> {
        self.read(|conn| to_compare(conn, project))
    }
    fn issues_in_force(&self, project: ProjectId, now: Timestamp) -> Result<u64> {
        self.read(|conn| in_force(conn, project, now))
    }
    fn issue_update(
        &self,
        project: ProjectId,
        id: Uuid,
        details: &IssueDetails,
        seen: i64,
    ) -> Result<Refiled> {
        self.write(|conn| update(conn, project, id, details, seen))
    }
    fn issue_delete(&self, project: ProjectId, id: Uuid, seen: Option<i64>) -> Result<Updated<()>> {
        self.write(|conn| delete(conn, project, id, seen))
    }
    fn issue_query(&self, listing: &Listing) -> Result<Listed<PlacedIssue>> {
        self.read(|conn| query(conn, listing))
    }
}
