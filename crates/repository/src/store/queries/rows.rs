//! Conversion between rows and the domain's builds.

use devmason_domain::{
    Account, AccountId, Build, BuildId, ClientRecord, Digest, JsonObject, Outcome as Ended,
    PasswordHash, ProjectId, Sender, TagSet, TestSummary, Track,
};
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};
use uuid::Uuid;

use super::sql::Expr;
use super::{Conn, Sql};
use crate::store::columns::{At, Id, instant};
use crate::store::fault::{Fault, Outcome};
use crate::store::schema::{account, build, project};

#[derive(Queryable, Selectable)]
#[diesel(table_name = build)]
pub(super) struct Row {
    project_id: i64,
    id: Id,
    pub(super) key: Option<String>,
    sender_id: Option<i64>,
    started: At,
    started_offset: i16,
    finished: Option<At>,
    finished_offset: Option<i16>,
    success: Option<bool>,
    received: At,
    tags: String,
    steps: i32,
    failed_steps: i32,
    output_bytes: i64,
    digest: Option<Vec<u8>>,
    updated_at: At,
    version: i64,
    client: String,
    components: String,
    tests: String,
    revision: Option<String>,
}

/// A build with its sender's name, the key of that name while the user exists, and the variant and the
/// branch of its track.
pub(super) type Joined = (Row, Option<String>, Option<String>, Option<String>, Option<String>);

pub(super) fn domain((row, username, username_key, variant, branch): Joined) -> Outcome<Build> {
    let username =
        username.filter(|_| username_key.is_some()).map(|name| name.parse()).transpose()?;
    let outcome = match (row.success, row.finished, row.finished_offset) {
        (Some(success), Some(at), Some(offset)) => {
            Ended::Finished { success, finished: instant(at, offset)? }
        }
        (None, None, None) => Ended::Running,
        _ => return Err(Fault::Corrupt("a build is half finished".into())),
    };
    let size = |n: i32| u32::try_from(n).map_err(|_| Fault::Corrupt("a negative count".into()));
    Ok(Build {
        project: ProjectId(row.project_id),
        id: BuildId(row.id.0),
        key: row.key.map(|key| key.parse()).transpose()?,
        sender: match row.sender_id {
            Some(id) => Sender::Account(AccountId(id), username),
            None => Sender::Anonymous,
        },
        started: instant(row.started, row.started_offset)?,
        received: instant(row.received, 0)?,
        outcome,
        tags: tags(&row.tags)?,
        client: ClientRecord(JsonObject::from_stored(row.client)),
        components: components(&row.components)?,
        track: variant.zip(branch).map(|(variant, branch)| Track {
            variant,
            branch,
            is_credited: row.sender_id.is_some(),
        }),
        revision: row.revision,
        steps: size(row.steps)?,
        failed_steps: size(row.failed_steps)?,
        tests: summary(&row.tests)?,
        output_bytes: u64::try_from(row.output_bytes).unwrap_or(0),
        updated_at: instant(row.updated_at, 0)?,
        digest: row.digest.and_then(|bytes| bytes.try_into().ok()).map(Digest),
        version: row.version,
    })
}

fn components(joined: &str) -> Outcome<Vec<Uuid>> {
    let ids = joined.split_terminator(';').map(Uuid::try_parse);
    ids.collect::<Result<_, _>>().map_err(|_| Fault::Corrupt("a component's id is not one".into()))
}

/// Tags as stored in a build's row.
pub(super) fn tags(joined: &str) -> Outcome<TagSet> {
    let tags = joined.split(';').filter(|tag| !tag.is_empty()).map(str::parse);
    Ok(tags.collect::<Result<_, _>>()?)
}

/// A column of a build's track. Not a join, so that a count of builds does not read tracks.
pub(super) fn of_track(column: &'static str) -> Expr<Nullable<Text>> {
    let of_it = " from track t where t.project_id = build.project_id and t.key = build.track)";
    Expr(Sql::new("(select t.").text(column).text(of_it))
}

/// The columns of [`Joined`], of `build left join account`.
macro_rules! joined {
    () => {
        (
            super::rows::Row::as_select(),
            $crate::store::schema::account::username.nullable(),
            $crate::store::schema::account::username_key.nullable(),
            super::rows::of_track("variant"),
            super::rows::of_track("branch"),
        )
    };
}
pub(super) use joined;

/// Builds with their reporters' names and their tracks.
macro_rules! builds {
    () => {
        $crate::store::schema::build::table
            .left_join($crate::store::schema::account::table)
            .select(super::rows::joined!())
    };
}
pub(super) use builds;

/// The test summary in a build's row.
pub(super) fn summary(stored: &str) -> Outcome<TestSummary> {
    if stored.is_empty() {
        return Ok(TestSummary::default());
    }
    serde_json::from_str(stored)
        .map_err(|error| Fault::Corrupt(format!("a summary of tests: {error}")))
}

/// Whether a build is finished; `None` if it does not exist.
pub(super) fn there(conn: &mut Conn, project: ProjectId, id: BuildId) -> Outcome<Option<bool>> {
    let there = build::table
        .inner_join(project::table)
        .filter(build::project_id.eq(project.0).and(build::id.eq(Id(id.0))))
        .filter(project::slug_key.is_not_null());
    Ok(there.select(build::finished.is_not_null()).first(conn).optional()?)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = account)]
pub(super) struct AccountRow {
    id: i64,
    username: String,
    password_hash: String,
    created_at: At,
    updated_at: At,
    version: i64,
}

impl TryFrom<AccountRow> for Account {
    type Error = Fault;
    fn try_from(row: AccountRow) -> Outcome<Self> {
        Ok(Self {
            id: AccountId(row.id),
            username: row.username.parse()?,
            password_hash: PasswordHash::from_stored(row.password_hash),
            created_at: instant(row.created_at, 0)?,
            updated_at: instant(row.updated_at, 0)?,
            version: row.version,
        })
    }
}

#[cfg(test)]
fn stays_prepared() -> QueryResult<bool> {
    use diesel::query_builder::QueryFragment;
    let stays = |query: &dyn QueryFragment<super::Db>| {
        query.is_safe_to_cache_prepared(&super::Db::default())
    };
    stays(&builds!())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    #[test]
    fn queries_of_builds_stay_prepared() {
        assert!(super::stays_prepared().unwrap());
    }
}
