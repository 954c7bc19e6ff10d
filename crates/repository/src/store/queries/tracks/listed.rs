//! Tracks of all projects, with filters and sort orders.

use diesel::prelude::*;

use super::super::filter::{Columns, bounds};
use super::super::narrow::required;
use super::super::{Conn, Db, tuned};
use super::branches::TrackRow;
use crate::store::fault::Outcome;
use crate::store::schema::{build, project, track};
use crate::{Listed, Listing, PlacedTrack};

/// Fields of tracks, over `track join project`.
const COLUMNS: Columns = Columns {
    fields: &[
        ("key", tuned::TRACK_KEY),
        ("project", "project.slug_key"),
        ("branch", "track.branch"),
        ("variant", "track.variant"),
        ("credited", "track.credited"),
        ("expected", "coalesce(track.expected, 'learned')"),
    ],
    folded: &["project"],
    sets: &[],
    open: "null",
    scanned: "track.version",
    indexed: &[],
    tracks: Some(("key", "track.key")),
};

pub(super) fn query(conn: &mut Conn, listing: &Listing) -> Outcome<Listed<PlacedTrack>> {
    let (limit, offset) = bounds(listing);
    let of_project = required(conn, &listing.selection.filter)?;
    let selected = || {
        // A track stays when its last build is deleted.
        let builds = build::table.filter(
            build::project_id.eq(track::project_id).and(build::track.eq(track::key.nullable())),
        );
        let mut all = track::table
            .inner_join(project::table.on(project::id.eq(track::project_id)))
            .into_boxed::<Db>()
            .filter(project::slug_key.is_not_null())
            .filter(diesel::dsl::exists(builds))
            .filter(COLUMNS.filter(&listing.selection.filter));
        if let Some(id) = of_project {
            all = all.filter(track::project_id.eq(id.0));
        }
        all
    };
    let count: i64 = selected().count().get_result(conn)?;
    let rows: Vec<(String, TrackRow)> = selected()
        .order(COLUMNS.order(&listing.selection.sort, tuned::TRACK_ORDER))
        .limit(limit)
        .offset(offset)
        .select((project::slug, TrackRow::as_select()))
        .load(conn)?;
    let placed = |(slug, row): (String, TrackRow)| {
        Ok(PlacedTrack { project: slug.parse()?, known: row.try_into()? })
    };
    Ok(Listed {
        items: rows.into_iter().map(placed).collect::<Outcome<_>>()?,
        count: count.unsigned_abs(),
    })
}
