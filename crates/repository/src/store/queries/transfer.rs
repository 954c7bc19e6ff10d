//! Migrating a store into another one.

use devmason_domain::Timestamp;
use diesel::prelude::*;

use super::{Conn, Store, counts};
use crate::store::columns::{At, Id};
use crate::store::fault::Outcome;
use crate::store::schema::{
    account, build, build_count, component, component_type, issue, project,
};
use crate::{Moved, Result, Transfer};

pub(super) fn set_times(conn: &mut Conn, of: &[(Moved, Timestamp, Timestamp)]) -> Outcome<()> {
    for (moved, created, updated) in of {
        let (created, updated) = (At(created.micros()), At(updated.micros()));
        macro_rules! set {
            ($table:ident, $row:expr) => {
                diesel::update($row)
                    .set(($table::created_at.eq(created), $table::updated_at.eq(updated)))
                    .execute(conn)?
            };
        }
        match moved {
            Moved::Account(id) => set!(account, account::table.find(id.0)),
            Moved::Project(id) => set!(project, project::table.find(id.0)),
            Moved::ComponentType(id) => set!(component_type, component_type::table.find(Id(*id))),
            Moved::Component(id) => set!(component, component::table.find(Id(*id))),
            Moved::Issue(project, id) => set!(issue, issue::table.find((project.0, Id(*id)))),
            Moved::Build(project, id) => diesel::update(build::table.find((project.0, Id(id.0))))
                .set(build::updated_at.eq(updated))
                .execute(conn)?,
            Moved::Tag(project, tag) => {
                let of_it =
                    build_count::project_id.eq(project.0).and(build_count::tag.eq(tag.as_str()));
                set!(build_count, build_count::table.filter(of_it))
            }
        };
    }
    // A server may have cached other times.
    counts::collection_changed(conn, counts::BUILDS, 0)
}

impl Transfer for Store {
    fn times_set(&self, of: &[(Moved, Timestamp, Timestamp)]) -> Result<()> {
        self.write(|conn| set_times(conn, of))
    }
}
