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
    // Behind all keys that begin with it: no key has a character behind `~`.
    let end = format!("{start}\u{7f}");
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
    let mut of_projects = Vec::new();
    for project in projects {
        clock::check()?;
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
            .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX))
            .load(conn)?;
        of_projects.push((*project, names));
    }
    // Each project has its turn: none takes all the room.
    let longest = of_projects.iter().map(|(_, names)| names.len()).max().unwrap_or(0);
    let nth = |nth: usize| {
        of_projects.iter().filter_map(move |(project, names)| Some((*project, names.get(nth)?)))
    };
    let mut found: Vec<(ProjectId, String)> = (0..longest)
        .flat_map(nth)
        .take(usize::try_from(limit).unwrap_or(usize::MAX))
        .map(|(project, name)| (project, name.clone()))
        .collect();
    found.sort_by_key(|(project, _)| projects.iter().position(|of| of == project));
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
