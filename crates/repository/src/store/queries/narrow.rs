//! Conditions in a filter that let a query use an index.

use devmason_domain::ProjectId;
use devmason_domain::query::{Filter, Value};
use diesel::prelude::*;

use super::Conn;
use crate::store::columns::Id;
use crate::store::fault::Outcome;
use crate::store::schema::{build, project};

/// The project and the build that a filter restricts steps or test cases to, if any: the leading
/// columns of the table's key.
pub(super) fn place(conn: &mut Conn, filter: &Filter) -> Outcome<(Option<ProjectId>, Option<Id>)> {
    let Some(Value::Uuid(id)) = filter.required("build_id") else {
        return Ok((required(conn, filter)?, None));
    };
    let id = Id(*id);
    let project: Option<i64> =
        build::table.filter(build::id.eq(id)).select(build::project_id).first(conn).optional()?;
    Ok((Some(project.map_or(NONE, ProjectId)), Some(id)))
}

/// The id of no project.
pub(super) const NONE: ProjectId = ProjectId(-1);

/// The project that a filter restricts everything to, if any: the leading column of keys.
pub(super) fn required(conn: &mut Conn, filter: &Filter) -> Outcome<Option<ProjectId>> {
    let Some(Value::Text(slug)) = filter.required("project") else { return Ok(None) };
    let id: Option<i64> = project::table
        .filter(project::slug_key.eq(slug.to_ascii_lowercase()))
        .select(project::id)
        .first(conn)
        .optional()?;
    Ok(Some(id.map_or(NONE, ProjectId)))
}
