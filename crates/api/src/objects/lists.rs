//! Lists of objects.

use actix_web::HttpResponse;
use devmason_domain::{Component, ComponentType, limits};
use devmason_hypermedia::Collection;
use devmason_hypermedia::document::{ObjectList, UserObject};
use devmason_repository::{Listed, Listing};
use uuid::Uuid;

use super::{
    build_object, builds, component, component_object, component_type, embeds, issue_object,
    issues, listing, project_object, step_object, steps, tag_object, test_object, tests,
    track_object, type_object,
};
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::object_etag;

/// Draws memory for so many objects of a collection before they are read.
pub(crate) async fn room_for(
    call: &Call<'_>,
    collection: Collection,
    limit: u64,
) -> Result<(), ApiError> {
    let most = match collection {
        Collection::Builds => limits::CLIENT,
        Collection::Steps => limits::EXTRAS,
        Collection::Components => limits::COMPONENT_DATA + 7 * limits::COMPONENT_TEXT,
        _ => 0,
    };
    // Most are far shorter: for a list that may be long, draw a sixteenth of its maximum.
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    call.room_for_answer(limit.saturating_mul(most) / 16).await
}

pub(crate) async fn list(
    call: &Call<'_>,
    collection: Collection,
) -> Result<HttpResponse, ApiError> {
    embeds(call, collection)?;
    let listing = listing(call, collection)?;
    room_for(call, collection, listing.limit).await?;
    match collection {
        Collection::ComponentTypes => {
            let listed =
                call.ask(move |repository| repository.component_type_list(&listing)).await?;
            show(call, collection, listed.count, listed.items.iter().map(type_object).collect())
        }
        Collection::Components => list_components(call, None, listing).await,
        Collection::Projects => {
            let listed = call.ask(move |repository| repository.project_query(&listing)).await?;
            show(call, collection, listed.count, listed.items.iter().map(project_object).collect())
        }
        Collection::Users => {
            let listed = call.ask(move |repository| repository.user_query(&listing)).await?;
            let user = |of| UserObject::new(of, object_etag("user", &[&of.id.0, &of.version]));
            show(call, collection, listed.count, listed.items.iter().map(user).collect())
        }
        Collection::Builds => {
            let (listed, projects) = builds(call, None, listing).await?;
            show(
                call,
                collection,
                listed.count,
                listed.items.iter().filter_map(|of| build_object(of, &projects)).collect(),
            )
        }
        Collection::Issues => {
            let (listed, projects) = issues(call, listing).await?;
            show(
                call,
                collection,
                listed.count,
                listed.items.iter().filter_map(|of| issue_object(of, &projects)).collect(),
            )
        }
        Collection::Steps => {
            let (listed, projects) = steps(call, listing).await?;
            show(
                call,
                collection,
                listed.count,
                listed.items.iter().filter_map(|of| step_object(of, &projects)).collect(),
            )
        }
        Collection::Tests => {
            let (listed, projects) = tests(call, listing).await?;
            show(
                call,
                collection,
                listed.count,
                listed.items.iter().filter_map(|of| test_object(of, &projects, false)).collect(),
            )
        }
        Collection::Tags => {
            let listed = call.ask(move |repository| repository.tag_query(&listing)).await?;
            show(call, collection, listed.count, listed.items.iter().map(tag_object).collect())
        }
        Collection::Tracks => {
            let listed = call.ask(move |repository| repository.track_query(&listing)).await?;
            show(call, collection, listed.count, listed.items.iter().map(track_object).collect())
        }
    }
}

fn show<T: serde::Serialize>(
    call: &Call<'_>,
    collection: Collection,
    count: u64,
    items: Vec<T>,
) -> Result<HttpResponse, ApiError> {
    call.listed(&ObjectList { collection, items, count })
}

pub(crate) async fn builds_of_component(
    call: &Call<'_>,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    embeds(call, Collection::Builds)?;
    let listing = listing(call, Collection::Builds)?;
    let of = component(call, id).await?;
    let (listed, projects) = builds(call, Some(of.id), listing).await?;
    let items = listed.items.iter().filter_map(|of| build_object(of, &projects)).collect();
    show(call, Collection::Builds, listed.count, items)
}

pub(crate) async fn components_of_type(
    call: &Call<'_>,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    embeds(call, Collection::Components)?;
    let listing = listing(call, Collection::Components)?;
    let of_type = component_type(call, id).await?;
    list_components(call, Some(of_type.id), listing).await
}

async fn list_components(
    call: &Call<'_>,
    of_type: Option<Uuid>,
    listing: Listing,
) -> Result<HttpResponse, ApiError> {
    let whole = embeds(call, Collection::Components)?;
    let (listed, types) = components(call, of_type, listing, whole).await?;
    let component = |of| component_object(of, &types);
    show(call, Collection::Components, listed.count, listed.items.iter().map(component).collect())
}

/// A range of the components, with their types if these are wanted.
pub(crate) async fn components(
    call: &Call<'_>,
    of_type: Option<Uuid>,
    listing: Listing,
    with_types: bool,
) -> Result<(Listed<Component>, Vec<ComponentType>), ApiError> {
    call.ask(move |repository| {
        let listed = repository.component_list(of_type, &listing)?;
        let ids: Vec<Uuid> =
            listed.items.iter().map(|component| component.component_type).collect();
        let types = if with_types { repository.component_types_by_id(&ids)? } else { Vec::new() };
        Ok((listed, types))
    })
    .await
}
