//! Finding things of all projects by a text.

use devmason_domain::{BuildId, ProjectId};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

use super::cases::FULL_NAME;
use super::{Conn, Sql, Store, tuned};
use crate::store::clock;
use crate::store::columns::{Id, plain};
use crate::store::fault::Outcome;
use crate::store::schema::build;
use crate::{Result, Search};

/// The first and the last id that begin with a text; `None` if no id does.
fn ids_from(start: &str) -> Option<(Uuid, Uuid)> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let fits = |(at, c): (usize, char)| match HYPHENS.contains(&at) {
        true => c == '-',
        false => c.is_ascii_digit() || ('a'..='f').contains(&c),
    };
    if start.is_empty() || start.len() > 36 || !start.char_indices().all(fits) {
        return None;
    }
    let filled = |with: char| {
        let rest = (start.len()..36).map(|at| if HYPHENS.contains(&at) { '-' } else { with });
        Uuid::try_parse(&start.chars().chain(rest).collect::<String>()).ok()
    };
    Some((filled('0')?, filled('f')?))
}

fn builds(
    conn: &mut Conn,
    projects: &[ProjectId],
    start: &str,
    limit: u64,
) -> Outcome<Vec<(ProjectId, BuildId)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let start = plain(start);
    // Behind all keys that begin with it: a key consists of ASCII characters of at most `~`.
    let end = format!("{start}~~");
    let mut found = Vec::new();
    for project in projects {
        clock::check()?;
        let of = build::project_id.eq(project.0);
        let by_key = build::table
            .filter(of.and(build::key.ge(&start)).and(build::key.lt(&end)))
            .order(build::key)
            .limit(limit)
            .select(build::id);
        found.extend(by_key.load::<Id>(conn)?.into_iter().map(|id| (*project, BuildId(id.0))));
        let Some((first, last)) = ids_from(&start) else { continue };
        let by_id = build::table
            .filter(of.and(build::id.between(Id(first), Id(last))).and(build::key.is_null()))
            .order(build::id.desc())
            .limit(limit)
            .select(build::id);
        found.extend(by_id.load::<Id>(conn)?.into_iter().map(|id| (*project, BuildId(id.0))));
    }
    Ok(found)
}

fn tests(
    conn: &mut Conn,
    projects: &[ProjectId],
    text: &str,
    limit: u64,
) -> Outcome<Vec<(ProjectId, String)>> {
    let escaped = plain(text).replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let mut found: Vec<(ProjectId, String)> = Vec::new();
    // No project takes all the room.
    let most = (limit / (projects.len() as u64).max(1)).max(5);
    for project in projects {
        clock::check()?;
        let left = limit.saturating_sub(found.len() as u64).min(most);
        if left == 0 {
            break;
        }
        let names: Vec<String> = Sql::<Text>::new("select ")
            .text(FULL_NAME)
            .text(" from test where project_id = ? and ")
            .bind::<BigInt, _>(project.0)
            .text(tuned::ILIKE[0])
            .text(FULL_NAME)
            .text(tuned::BY_BYTES)
            .text(tuned::ILIKE[1])
            .bind::<Text, _>(format!("%{escaped}%"))
            .text(" order by id limit ?")
            .bind::<BigInt, _>(i64::try_from(left).unwrap_or(i64::MAX))
            .load(conn)?;
        found.extend(names.into_iter().map(|name| (*project, name)));
    }
    Ok(found)
}

impl Search for Store {
    fn builds_like(
        &self,
        projects: &[ProjectId],
        start: &str,
        limit: u64,
    ) -> Result<Vec<(ProjectId, BuildId)>> {
        self.read(|conn| builds(conn, projects, start, limit))
    }
    fn tests_like(
        &self,
        projects: &[ProjectId],
        text: &str,
        limit: u64,
    ) -> Result<Vec<(ProjectId, String)>> {
        self.read(|conn| tests(conn, projects, text, limit))
    }
}

#[cfg(test)]
mod tests_of_ids {
    use super::*;

    #[test]
    fn the_ids_that_begin_with_a_text_are_between_two() {
        let told = |start: &str| {
            ids_from(start).map(|(first, last)| (first.to_string(), last.to_string()))
        };
        let pair = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        assert_eq!(
            told("01a1e2ac-f"),
            pair("01a1e2ac-f000-0000-0000-000000000000", "01a1e2ac-ffff-ffff-ffff-ffffffffffff")
        );
        let whole = "01a1e2ac-f822-7414-9985-11cbba5fa0e1";
        assert_eq!(told(whole), pair(whole, whole));
        for bad in ["", "main", "01a1e2acf", "01A1", &format!("{whole}0")] {
            assert_eq!(told(bad), None, "{bad}");
        }
    }
}
