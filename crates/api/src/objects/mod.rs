//! The query API: every kind of object under `/api/v1`, listed, filtered and sorted on request.
//! Components and component types can be created, changed and deleted.

pub(crate) mod lists;
pub(crate) mod write;

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use devmason_domain::query::{
    self, Comparison, Filter, Key, Kind, QueryError, Selection, Table, Value,
};
use devmason_domain::{AccountId, Build, Component, ComponentType, Project, ProjectId};
use devmason_hypermedia::Collection;
use devmason_hypermedia::document::{
    BuildObject, ComponentObject, ComponentTypeObject, IssueObject, OneObject, ProjectObject,
    StepObject, TagObject, TestObject, TrackObject, UserObject,
};
use devmason_repository::{
    FoundTest, Listed, Listing, Named, PlacedIssue, PlacedStep, PlacedTrack, TestQuery, UsedTag,
};
use uuid::Uuid;

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::object_etag;

const NO_OBJECT: ApiError = ApiError::NotFound("object not found");

fn table(collection: Collection) -> &'static Table {
    match collection {
        Collection::ComponentTypes => &query::COMPONENT_TYPES,
        Collection::Components => &query::COMPONENTS,
        Collection::Projects => &query::PROJECTS,
        Collection::Builds => &query::BUILDS,
        Collection::Steps => &query::STEPS,
        Collection::Tests => &query::TESTS,
        Collection::Tags => &query::TAGS,
        Collection::Users => &query::USERS,
        Collection::Issues => &query::ISSUES,
        Collection::Tracks => &query::TRACKS,
    }
}

fn type_etag(of: &ComponentType) -> String {
    object_etag("componenttype", &[&of.id, &of.version])
}

fn type_object(of: &ComponentType) -> ComponentTypeObject<'_> {
    ComponentTypeObject::new(of, type_etag(of))
}

pub(crate) fn component_etag(of: &Component) -> String {
    object_etag("component", &[&of.id, &of.version])
}

/// The requested range, filter and order of a collection.
pub(crate) fn listing(call: &Call<'_>, collection: Collection) -> Result<Listing, ApiError> {
    let (limit, offset) = call.params.limit_and_offset()?;
    Ok(Listing { selection: call.params.selection(table(collection))?, offset, limit })
}

/// Whether to embed component types, which is supported only in components.
pub(crate) fn embeds(call: &Call<'_>, collection: Collection) -> Result<bool, ApiError> {
    call.params.embeds(if collection == Collection::Components { &["componenttype"] } else { &[] })
}

fn project_object(of: &Project) -> ProjectObject<'_> {
    ProjectObject::new(of, object_etag("project", &[&of.id.0, &of.version]))
}

pub(crate) type Projects = HashMap<ProjectId, Project>;

fn by_id(projects: Vec<Project>) -> Projects {
    projects.into_iter().map(|project| (project.id, project)).collect()
}

pub(crate) async fn builds(
    call: &Call<'_>,
    of_component: Option<Uuid>,
    listing: Listing,
) -> Result<(Listed<Build>, Projects), ApiError> {
    call.ask(move |repository| {
        let listed = repository.build_query(of_component, &listing)?;
        let ids: Vec<ProjectId> = listed.items.iter().map(|build| build.project).collect();
        let projects = by_id(repository.projects_by_id(&ids)?);
        Ok((listed, projects))
    })
    .await
}

async fn steps(
    call: &Call<'_>,
    listing: Listing,
) -> Result<(Listed<PlacedStep>, Projects), ApiError> {
    call.ask(move |repository| {
        let listed = repository.step_query(&listing)?;
        let ids: Vec<ProjectId> = listed.items.iter().map(|step| step.project).collect();
        let projects = by_id(repository.projects_by_id(&ids)?);
        Ok((listed, projects))
    })
    .await
}

/// Number of cases that may be skipped and listed in an order of the client's: that many are held.
const SORTED: u64 = 10_000;

async fn tests(
    call: &Call<'_>,
    listing: Listing,
) -> Result<(Listed<FoundTest>, Projects), ApiError> {
    let Selection { filter, sort } = &listing.selection;
    // All other lists of cases are in one order, so that a page of them costs what it skips.
    if !sort.is_empty() && filter.required("build_id").is_none() {
        return Err(ApiError::Query(QueryError::Malformed {
            parameter: "sort",
            problem: "test cases are sorted within a build: add the condition build_id".to_owned(),
        }));
    }
    if !sort.is_empty() && listing.offset.saturating_add(listing.limit) > SORTED {
        return Err(ApiError::BadValue {
            name: "offset",
            problem: format!("of sorted test cases, only the first {SORTED} can be listed"),
        });
    }
    call.ask(move |repository| {
        let listed = repository.test_query(&listing)?;
        let ids: Vec<ProjectId> = listed.items.iter().map(|test| test.project).collect();
        let projects = by_id(repository.projects_by_id(&ids)?);
        Ok((listed, projects))
    })
    .await
}

fn test_etag(of: &FoundTest) -> String {
    object_etag("test", &[&of.build, &of.version, &of.test.position])
}

fn test_object<'a>(
    of: &'a FoundTest,
    projects: &'a Projects,
    with_texts: bool,
) -> Option<TestObject<'a>> {
    let project = projects.get(&of.project)?;
    let (position, etag) = (of.test.position, test_etag(of));
    let changed = (of.received, of.updated_at);
    Some(TestObject::new(&of.test.result, of.build, position, project, changed, with_texts, etag))
}

fn build_object<'a>(of: &'a Build, projects: &'a Projects) -> Option<BuildObject<'a>> {
    let project = projects.get(&of.project)?;
    let credited = of.sender.username().is_some();
    Some(BuildObject::new(of, project, object_etag("build", &[&of.id, &of.version, &credited])))
}

fn step_object<'a>(of: &'a PlacedStep, projects: &'a Projects) -> Option<StepObject<'a>> {
    let project = projects.get(&of.project)?;
    let etag = object_etag("step", &[&of.build, &of.version, &of.position]);
    Some(StepObject::new(&of.step, of.build.0, of.position, project, false, etag))
}

fn tag_etag(of: &UsedTag) -> String {
    object_etag("tag", &[&of.project, &of.tag, &of.builds, &of.updated_at.micros()])
}

fn tag_object(of: &UsedTag) -> TagObject<'_> {
    let used = (of.created_at, of.updated_at);
    TagObject::new(of.tag.as_str(), of.project.as_str(), of.builds, used, tag_etag(of))
}

fn track_etag(of: &PlacedTrack) -> String {
    object_etag("track", &[&of.project, &of.known.track.key(), &of.known.version])
}

fn track_object(of: &PlacedTrack) -> TrackObject<'_> {
    TrackObject::new(&of.known.track, of.known.expected, of.project.as_str(), track_etag(of))
}

async fn issues(
    call: &Call<'_>,
    listing: Listing,
) -> Result<(Listed<PlacedIssue>, Projects), ApiError> {
    call.ask(move |repository| {
        let listed = repository.issue_query(&listing)?;
        let ids: Vec<ProjectId> = listed.items.iter().map(|placed| placed.project).collect();
        let projects = by_id(repository.projects_by_id(&ids)?);
        Ok((listed, projects))
    })
    .await
}

fn issue_etag(of: &PlacedIssue) -> String {
    let credited = of.issue.creator.is_some();
    object_etag("issue", &[&of.issue.id, &of.issue.version, &credited])
}

fn issue_object<'a>(of: &'a PlacedIssue, projects: &'a Projects) -> Option<IssueObject<'a>> {
    let project = projects.get(&of.project)?;
    Some(IssueObject::new(&of.issue, project.slug.as_str(), issue_etag(of)))
}

/// A component, with its type embedded if `types` contains it.
fn component_object<'a>(of: &'a Component, types: &'a [ComponentType]) -> ComponentObject<'a> {
    let embedded = types.iter().find(|known| known.id == of.component_type).map(type_object);
    ComponentObject::new(of, component_etag(of), embedded)
}

/// The component type with this id or name; fails if it doesn't exist.
pub(crate) async fn component_type(call: &Call<'_>, id: &str) -> Result<ComponentType, ApiError> {
    let wanted = Named::from(id);
    call.ask(move |repository| repository.component_type_find(&wanted)).await?.ok_or(NO_OBJECT)
}

/// The component with this id or name; fails if there is none or several.
pub(crate) async fn component(call: &Call<'_>, id: &str) -> Result<Component, ApiError> {
    let wanted = Named::from(id);
    let mut found = call.ask(move |repository| repository.component_find(&wanted)).await?;
    match found.len() {
        0 | 1 => found.pop().ok_or(NO_OBJECT),
        _ => Err(ApiError::Ambiguous(found.iter().map(|component| component.id).collect())),
    }
}

/// The creator of an object; fails if the object doesn't exist.
pub(crate) async fn creator(
    call: &Call<'_>,
    collection: Collection,
    id: &str,
) -> Result<Option<AccountId>, ApiError> {
    match collection {
        Collection::ComponentTypes => Ok(component_type(call, id).await?.creator),
        Collection::Components => Ok(component(call, id).await?.creator),
        _ => get(call, collection, id).await.map(|_| None),
    }
}

/// The build with this id, in any project.
pub(crate) async fn build(call: &Call<'_>, id: &str) -> Result<Option<(Build, Project)>, ApiError> {
    let Ok(id) = Uuid::try_parse(id) else { return Ok(None) };
    let (listed, mut projects) =
        builds(call, None, only("id", Kind::Uuid, Value::Uuid(id))).await?;
    let build = listed.items.into_iter().next();
    Ok(build.and_then(|build| projects.remove(&build.project).map(|project| (build, project))))
}

/// A listing of the single object whose field has this value.
fn only(field: &'static str, kind: Kind, value: Value) -> Listing {
    let key = Key { field, kind, member: None };
    let filter = Filter::Compare(key, Comparison::Equal, value);
    Listing { selection: Selection { filter, sort: Vec::new() }, offset: 0, limit: 1 }
}

pub(crate) async fn get(
    call: &Call<'_>,
    collection: Collection,
    id: &str,
) -> Result<HttpResponse, ApiError> {
    let whole = embeds(call, collection)?;
    match collection {
        Collection::ComponentTypes => {
            let of = component_type(call, id).await?;
            one(call, collection, type_etag(&of), type_object(&of))
        }
        Collection::Components => {
            let of = component(call, id).await?;
            let type_id = of.component_type;
            let types = if whole {
                call.ask(move |repository| repository.component_types_by_id(&[type_id])).await?
            } else {
                Vec::new()
            };
            // With its type embedded, the component changes whenever the type does.
            if let Some(embedded) = types.first() {
                let etag = object_etag("component", &[&of.id, &of.version, &embedded.version]);
                return one(call, collection, etag, component_object(&of, &types));
            }
            one(call, collection, component_etag(&of), component_object(&of, &types))
        }
        Collection::Projects => {
            let slug = id.parse().map_err(|_| NO_OBJECT)?;
            let of = call.project(&slug).await?;
            one(
                call,
                collection,
                object_etag("project", &[&of.id.0, &of.version]),
                project_object(&of),
            )
        }
        Collection::Users => {
            let username = id.parse().map_err(|_| NO_OBJECT)?;
            let of = call.user(&username).await?;
            let etag = object_etag("user", &[&of.id.0, &of.version]);
            one(call, collection, etag.clone(), UserObject::new(&of, etag))
        }
        Collection::Builds => {
            let id = Uuid::try_parse(id).map_err(|_| NO_OBJECT)?;
            let (listed, projects) =
                builds(call, None, only("id", Kind::Uuid, Value::Uuid(id))).await?;
            let of = listed.items.first().ok_or(NO_OBJECT)?;
            let etag =
                object_etag("build", &[&of.id, &of.version, &of.sender.username().is_some()]);
            one(call, collection, etag, build_object(of, &projects).ok_or(NO_OBJECT)?)
        }
        Collection::Issues => {
            let id = Uuid::try_parse(id).map_err(|_| NO_OBJECT)?;
            let (listed, projects) = issues(call, only("id", Kind::Uuid, Value::Uuid(id))).await?;
            let of = listed.items.first().ok_or(NO_OBJECT)?;
            let object = issue_object(of, &projects).ok_or(NO_OBJECT)?;
            one(call, collection, issue_etag(of), object)
        }
        Collection::Steps => step(call, id).await,
        Collection::Tests => test(call, id).await,
        Collection::Tags => {
            let (project, name) = id.split_once('/').ok_or(NO_OBJECT)?;
            let project = call.project(&project.parse().map_err(|_| NO_OBJECT)?).await?;
            let name: devmason_domain::Tag = name.parse().map_err(|_| NO_OBJECT)?;
            let mut wanted = only("name", Kind::Text, Value::Text(name.to_string()));
            let of_project = only("project", Kind::Text, Value::Text(project.slug.to_string()));
            wanted.selection.filter = wanted.selection.filter.and(of_project.selection.filter);
            let listed = call.ask(move |repository| repository.tag_query(&wanted)).await?;
            let of = listed.items.first().ok_or(NO_OBJECT)?;
            one(call, collection, tag_etag(of), tag_object(of))
        }
        Collection::Tracks => {
            let (project, key) = id.split_once('/').ok_or(NO_OBJECT)?;
            let project = call.project(&project.parse().map_err(|_| NO_OBJECT)?).await?;
            let mut wanted = only("key", Kind::Text, Value::Text(key.to_owned()));
            let of_project = only("project", Kind::Text, Value::Text(project.slug.to_string()));
            wanted.selection.filter = wanted.selection.filter.and(of_project.selection.filter);
            let listed = call.ask(move |repository| repository.track_query(&wanted)).await?;
            let of = listed.items.first().ok_or(NO_OBJECT)?;
            one(call, collection, track_etag(of), track_object(of))
        }
    }
}

/// The build, project and position in the id of a step or test case. The object is found by its
/// build, which is indexed.
async fn placed(call: &Call<'_>, id: &str) -> Result<(Build, Projects, u32), ApiError> {
    let (build, position) = id.split_once(':').ok_or(NO_OBJECT)?;
    let build = Uuid::try_parse(build).map_err(|_| NO_OBJECT)?;
    let position: u32 = position.parse().map_err(|_| NO_OBJECT)?;
    // An object has only one address: no sign, no leading zeros.
    if format!("{build}:{position}") != id {
        return Err(NO_OBJECT);
    }
    let (listed, projects) = builds(call, None, only("id", Kind::Uuid, Value::Uuid(build))).await?;
    let of = listed.items.into_iter().next().ok_or(NO_OBJECT)?;
    Ok((of, projects, position))
}

async fn test(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let (build, projects, position) = placed(call, id).await?;
    let wanted = TestQuery { from: position, limit: 1, ..TestQuery::all(build.project, build.id) };
    let found = call.ask(move |repository| repository.test_list(&wanted)).await?.pop();
    let test = found.filter(|test| test.position == position).ok_or(NO_OBJECT)?;
    let of = FoundTest {
        project: build.project,
        build: build.id,
        received: build.received,
        updated_at: build.updated_at,
        version: build.version,
        test,
    };
    one(
        call,
        Collection::Tests,
        test_etag(&of),
        test_object(&of, &projects, true).ok_or(NO_OBJECT)?,
    )
}

async fn step(call: &Call<'_>, id: &str) -> Result<HttpResponse, ApiError> {
    let (of, projects, position) = placed(call, id).await?;
    let (build, version) = (of.id, of.version);
    let project = projects.get(&of.project).ok_or(NO_OBJECT)?;
    let step = call.ask(move |repository| repository.step_one(&of, position)).await?;
    let step = step.ok_or(NO_OBJECT)?;
    let etag = object_etag("step", &[&build, &version, &position]);
    one(
        call,
        Collection::Steps,
        etag.clone(),
        StepObject::new(&step, build.0, position, project, true, etag),
    )
}

fn one<T: serde::Serialize>(
    call: &Call<'_>,
    collection: Collection,
    etag: String,
    object: T,
) -> Result<HttpResponse, ApiError> {
    call.object(StatusCode::OK, &etag, None, &OneObject { collection, object })
}
