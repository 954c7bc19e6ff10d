//! Projects.

use actix_web::HttpResponse;
use devmason_domain::{PageRequest, Pages, Project, Refusal, Slug, Tracking, VariantPart, Viewer};
use devmason_hypermedia::document::{
    IncomingProject, ListPage, ProjectDocument, ProjectListDocument,
};
use devmason_hypermedia::{ListLinks, Resource, Subject};
use devmason_repository::{NewProject, ProjectChange, Registered, Updated};

use crate::call::Call;
use crate::error::ApiError;
use crate::respond::no_content;

/// Default page size: large, so that the list of projects usually fits on one page.
const PER_PAGE: u64 = 100;

fn document<'a>(call: &Call<'_>, project: &'a Project) -> ProjectDocument<'a> {
    ProjectDocument::new(project, call.view().project_links(project))
}

fn etag(call: &Call<'_>, project: &Project) -> String {
    call.etag(&[&project.id.0, &project.version])
}

/// The requested page, its position in the list, and the list's ETag.
pub(crate) async fn requested(call: &Call<'_>) -> Result<(PageRequest, Pages, String), ApiError> {
    let page = call.params.page(PER_PAGE)?;
    let tally = call.ask(|repository| repository.project_tally()).await?;
    let pages = page.of(tally.members);
    if !pages.exists() {
        return Err(ApiError::NotFound("page not found"));
    }
    Ok((page, pages, call.etag(&[&tally.changes, &call.params.choice()])))
}

pub(crate) async fn list(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let (page, pages, etag) = requested(call).await?;
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let projects = call.ask(move |repository| repository.project_list(page)).await?;
    let links = ListLinks::numbered(&|page| call.params.of_page(page, None), pages);
    let mut links = call.view().page_links(&Resource::ProjectList, Subject::ReadOnly, &links);
    links.extend(call.view().root_links());
    let projects = projects.iter().map(|project| document(call, project)).collect();
    call.ok(&etag, &ProjectListDocument { projects, page: ListPage::new(pages, true, links) })
}

pub(crate) async fn get(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let project = call.project(slug).await?;
    let etag = etag(call, &project);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    call.ok(&etag, &document(call, &project))
}

pub(crate) async fn put(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let policy = &call.app.settings.policy;
    match call.find_project(slug).await? {
        Some(_) if call.is_new => Err(ApiError::BadValue {
            name: "name in URLs",
            problem: "a project with this name already exists".to_owned(),
        }),
        Some(project) => {
            if policy.change_project(call.viewer(), &project).is_ok() {
                return update(call, project).await;
            }
            if is_user_by_now(call).await? {
                return Err(ApiError::Raced);
            }
            // If the project exists, the source document requires 403 for everyone else.
            Err(Refusal::NotPermitted.into())
        }
        // The form of a project that was deleted meanwhile.
        None if call.is_form && !call.is_new => Err(ApiError::NotFound("project not found")),
        None => {
            policy.register_project(call.viewer())?;
            register(call, slug).await
        }
    }
}

/// Whether an unknown user has been created since authentication, as when a user's first requests
/// arrive together.
pub(crate) async fn is_user_by_now(call: &Call<'_>) -> Result<bool, ApiError> {
    let Viewer::Stranger(username) = call.viewer().clone() else { return Ok(false) };
    Ok(call.ask(move |repository| repository.user_find(&username)).await?.is_some())
}

async fn register(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let incoming: IncomingProject = call.document().await?;
    call.seen_nothing()?;
    let new = NewProject {
        slug: slug.clone(),
        name: incoming.name,
        reporting: incoming.reporting.unwrap_or(call.app.settings.reporting),
        tracking: Tracking {
            mainline: incoming.mainline.unwrap_or_default(),
            variant_by: incoming.variant_by.unwrap_or_else(VariantPart::usual),
            gate: incoming.gate.unwrap_or_default(),
            triage: incoming.triage.unwrap_or_default(),
        },
        repository: incoming.repository.flatten(),
        tags: incoming.tags.unwrap_or_default(),
        owner: call.caller.actor()?,
    };
    match call.ask(move |repository| repository.project_register(&new)).await? {
        Registered::New(project) => {
            // The new user now exists and owns this project.
            let viewer = match &project.owner {
                Some((id, username)) if matches!(call.viewer(), Viewer::Stranger(_)) => {
                    Viewer::User(*id, username.clone())
                }
                _ => call.viewer().clone(),
            };
            let caller = crate::auth::Caller::known(viewer);
            let call = Call { caller: &caller, ..*call };
            call.created(&etag(&call, &project), &document(&call, &project))
        }
        Registered::Exists | Registered::UsernameTaken | Registered::NoOwner => {
            Err(ApiError::Raced)
        }
    }
}

async fn update(call: &Call<'_>, project: Project) -> Result<HttpResponse, ApiError> {
    let incoming: IncomingProject = call.document().await?;
    call.expects_something()?;
    let seen = call.seen(project.version, &[&project.id.0, &project.version])?;
    let change = ProjectChange {
        name: Some(incoming.name),
        reporting: incoming.reporting,
        mainline: incoming.mainline,
        variant_by: incoming.variant_by,
        gate: incoming.gate,
        triage: incoming.triage,
        repository: incoming.repository,
        tags: incoming.tags,
    };
    let update = move |repository: &dyn devmason_repository::Repository| {
        repository.project_update(project.id, &change, seen)
    };
    match call.ask(update).await? {
        Updated::Done(project) => call.ok(&etag(call, &project), &document(call, &project)),
        Updated::Stale => Err(ApiError::PreconditionFailed),
        // The project was deleted meanwhile; a retry registers a new one.
        Updated::Gone => Err(ApiError::Raced),
    }
}

pub(crate) async fn delete(call: &Call<'_>, slug: &Slug) -> Result<HttpResponse, ApiError> {
    let project = call.project(slug).await?;
    call.app.settings.policy.change_project(call.viewer(), &project)?;
    let seen = call.seen(project.version, &[&project.id.0, &project.version])?;
    match call.ask(move |repository| repository.project_delete(project.id, seen)).await? {
        Updated::Done(()) => Ok(no_content(None)),
        Updated::Stale => Err(ApiError::PreconditionFailed),
        Updated::Gone => Err(ApiError::NotFound("project not found")),
    }
}
