//! Creating, changing and deleting components and their types.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::fresh_uuid;
use devmason_hypermedia::Collection;
use devmason_hypermedia::document::{IncomingComponent, IncomingComponentType, OneObject};
use devmason_repository::{Changed, Created, Named, NewComponent, NewComponentType, Removed};
use uuid::Uuid;

use super::{
    NO_OBJECT, component, component_etag, component_object, component_type, type_etag, type_object,
};
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::no_content;
use crate::wire::dci::components as dci;

pub(crate) async fn create(
    call: &Call<'_>,
    collection: Collection,
) -> Result<HttpResponse, ApiError> {
    call.app.settings.policy.create_component(call.viewer())?;
    if collection == Collection::Components && dci::is_ours(call.body().await?) {
        return dci::post(call).await;
    }
    let id = fresh_uuid();
    let path = collection.object(id.to_string()).path();
    let claim = call.claim(collection.plural(), StatusCode::CREATED, path).await?;
    if collection == Collection::ComponentTypes {
        let incoming: IncomingComponentType = call.document().await?;
        let new =
            NewComponentType { id, name: incoming.name, creator: call.caller.actor()?, claim };
        let of = match created(
            call.ask(move |repository| repository.component_type_create(&new)).await?,
        )? {
            Ok(of) => of,
            Err(before) => component_type(call, &before).await?,
        };
        return made(call, collection, of.id, type_etag(&of), type_object(&of));
    }
    let incoming: IncomingComponent = call.document().await?;
    let name = incoming.name.clone().ok_or_else(|| IncomingComponent::missing("name"))?;
    let component_type = incoming
        .component_type()
        .map(Named::from)
        .ok_or_else(|| IncomingComponent::missing("componenttype"))?;
    let new = NewComponent {
        id,
        name,
        component_type,
        details: incoming.details(),
        creator: call.caller.actor()?,
        claim,
    };
    let of = match created(call.ask(move |repository| repository.component_create(&new)).await?)? {
        Ok(of) => of,
        Err(before) => component(call, &before).await?,
    };
    made(call, collection, of.id, component_etag(&of), component_object(&of, &[]))
}

/// The newly created object, or the id of the one that an earlier copy of this request created.
fn created<T>(outcome: Created<T>) -> Result<Result<T, String>, ApiError> {
    match outcome {
        Created::New(object) => Ok(Ok(object)),
        Created::Claimed(claimed) => {
            let (_, location) = crate::call::replayed(claimed)?;
            Ok(Err(location.rsplit('/').next().unwrap_or_default().to_owned()))
        }
        Created::NameTaken => Err(NAME_TAKEN),
        Created::NoType => Err(no_type()),
        Created::UsernameTaken => Err(ApiError::Raced),
    }
}

const NAME_TAKEN: ApiError = ApiError::Conflict("this name is already taken");

fn no_type() -> ApiError {
    ApiError::BadValue { name: "componenttype", problem: "component type not found".to_owned() }
}

fn made<T: serde::Serialize>(
    call: &Call<'_>,
    collection: Collection,
    id: Uuid,
    etag: String,
    object: T,
) -> Result<HttpResponse, ApiError> {
    let location = call.base.location(&collection.object(id.to_string()));
    call.object(StatusCode::CREATED, &etag, Some(location), &OneObject { collection, object })
}

pub(crate) async fn update(
    call: &Call<'_>,
    collection: Collection,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let policy = &call.app.settings.policy;
    if collection == Collection::ComponentTypes {
        let of = component_type(call, id).await?;
        policy.change_component(call.viewer(), of.creator)?;
        let seen = call.must_have_seen(of.version, &type_etag(&of))?;
        let incoming: IncomingComponentType = call.document().await?;
        let of = changed(
            call.ask(move |repository| {
                repository.component_type_update(of.id, &incoming.name, seen)
            })
            .await?,
        )?;
        return Ok(call.changed(&type_etag(&of)));
    }
    let of = component(call, id).await?;
    policy.change_component(call.viewer(), of.creator)?;
    let seen = call.must_have_seen(of.version, &component_etag(&of))?;
    let incoming: IncomingComponent = call.document().await?;
    let (name, component_type) =
        (incoming.name.clone(), incoming.component_type().map(Named::from));
    let details = incoming.details();
    let update = move |repository: &dyn devmason_repository::Repository| {
        repository.component_update(of.id, name.as_ref(), component_type.as_ref(), &details, seen)
    };
    let of = changed(call.ask(update).await?)?;
    made(call, collection, of.id, component_etag(&of), component_object(&of, &[]))
}

fn changed<T>(outcome: Changed<T>) -> Result<T, ApiError> {
    match outcome {
        Changed::Done(object) => Ok(object),
        Changed::NameTaken => Err(NAME_TAKEN),
        Changed::NoType => Err(no_type()),
        Changed::Stale => Err(ApiError::PreconditionFailed),
        Changed::Gone => Err(NO_OBJECT),
    }
}

pub(crate) async fn delete(
    call: &Call<'_>,
    collection: Collection,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let policy = &call.app.settings.policy;
    let cascade = call.params.flag("cascade")?;
    let removed = if collection == Collection::ComponentTypes {
        let of = component_type(call, id).await?;
        policy.change_component(call.viewer(), of.creator)?;
        let seen = call.must_have_seen(of.version, &type_etag(&of))?;
        call.ask(move |repository| repository.component_type_delete(of.id, cascade, seen)).await?
    } else {
        let of = component(call, id).await?;
        policy.change_component(call.viewer(), of.creator)?;
        let seen = call.must_have_seen(of.version, &component_etag(&of))?;
        call.ask(move |repository| repository.component_delete(of.id, cascade, seen)).await?
    };
    match removed {
        Removed::Done => Ok(no_content(None)),
        Removed::InUse => {
            Err(ApiError::Conflict("still in use; add cascade=true to delete it anyway"))
        }
        Removed::Stale => Err(ApiError::PreconditionFailed),
        Removed::Gone => Err(NO_OBJECT),
    }
}
