//! The pages of components.

use actix_web::HttpResponse;
use devmason_domain::{Component, query};
use devmason_hypermedia::{Collection, ListLinks};
use devmason_pages::{ComponentBuilds, ComponentRow, Components, Row};
use devmason_repository::Listing;
use uuid::Uuid;

use super::{LONGEST, pager};
use crate::call::Call;
use crate::error::ApiError;
use crate::objects;

/// The components under test.
pub(crate) async fn list(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    show(call, None).await
}

/// The components of a type.
pub(crate) async fn of_type(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let of_type = objects::component_type(call, id).await?;
    show(call, Some(of_type.id)).await
}

async fn show(call: &Call<'_>, of_type: Option<Uuid>) -> Result<HttpResponse, ApiError> {
    let listing = listing(call, Collection::Components)?;
    let (offset, limit) = (listing.offset, listing.limit);
    objects::lists::room_for(call, Collection::Components, limit).await?;
    let (listed, types) = objects::lists::components(call, of_type, listing, true).await?;
    let list = around(call, offset, limit, listed.count);
    let components = &listed.items;
    let row = |component: &'_ Component| {
        let of = types.iter().find(|of| of.id == component.component_type);
        of.map_or("", |of| of.name.as_str())
    };
    let rows = components
        .iter()
        .map(|component| ComponentRow { component, component_type: row(component) })
        .collect();
    call.shown(&Components { site: call.site(), rows, pager: pager(call, &list, String::new()) })
}

/// The builds that tested a component.
pub(crate) async fn builds(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let mut listing = listing(call, Collection::Builds)?;
    if listing.selection.sort.is_empty() {
        // People want the newest first.
        listing.selection.sort = query::parse_sort(&query::BUILDS, "-started")?;
    }
    let (offset, limit) = (listing.offset, listing.limit);
    let component = &objects::component(call, id).await?;
    let (listed, projects) = objects::builds(call, Some(component.id), listing).await?;
    let list = around(call, offset, limit, listed.count);
    let builds = &listed.items;
    let row = |build| Some(Row { build, project: projects.get(&build.project)? });
    let rows = builds.iter().filter_map(row).collect();
    call.shown(&ComponentBuilds {
        site: call.site(),
        component,
        rows,
        pager: pager(call, &list, String::new()),
    })
}

/// What the query asks for, of at most as many objects as a page shows.
fn listing(call: &Call<'_>, collection: Collection) -> Result<Listing, ApiError> {
    objects::embeds(call, collection)?;
    let listing = objects::listing(call, collection)?;
    Ok(Listing { limit: listing.limit.min(LONGEST), ..listing })
}

/// The links of a range of a list.
fn around(call: &Call<'_>, offset: u64, limit: u64, count: u64) -> ListLinks {
    let to = |offset: u64| call.params.of_offset(offset);
    ListLinks {
        first: to(0),
        previous: (offset > 0).then(|| to(offset.saturating_sub(limit))),
        next: (offset + limit < count).then(|| to(offset + limit)),
        ..ListLinks::default()
    }
}
