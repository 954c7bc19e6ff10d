//! The state of the server, for its administrators.

use std::collections::HashMap;

use actix_web::HttpResponse;
use devmason_domain::ProjectId;
use devmason_domain::query::Selection;
use devmason_hypermedia::document::{AdministrationDocument, HeldProject};
use devmason_repository::{Error, Listing, ProjectSize};

use crate::call::Call;
use crate::error::ApiError;

/// Maximum number of projects that are listed.
const LISTED: usize = 1_000;

/// Maximum number of projects that are looked at.
const LOOKED_AT: u64 = 10_000;

/// What the server holds and does.
pub(crate) async fn state(call: &Call<'_>) -> Result<AdministrationDocument, ApiError> {
    call.app.settings.policy.administer(call.viewer())?;
    let (system, bytes, sizes, projects, users) = call
        .ask(|repository| {
            let sizes = match repository.sizes() {
                Err(Error::TooLong(_)) => None,
                sizes => Some(sizes?),
            };
            let bytes = sizes.as_ref().map(|sizes| sizes.bytes);
            let sizes = sizes.into_iter().flat_map(|sizes| sizes.projects);
            let sizes: HashMap<ProjectId, ProjectSize> =
                sizes.map(|size| (size.project, size)).collect();
            let listing = Listing { selection: Selection::default(), offset: 0, limit: LOOKED_AT };
            let projects = repository.project_query(&listing)?;
            Ok((repository.system(), bytes, sizes, projects, repository.user_tally()?.members))
        })
        .await?;
    let (app, view) = (call.app, call.view());
    let count = |gauge: i64| u64::try_from(gauge).unwrap_or(0);
    let held = projects.items.iter().map(|of| {
        let size = sizes.get(&of.id);
        HeldProject {
            id: of.slug.to_string(),
            name: of.name.to_string(),
            owner: of.owner.as_ref().map(|(_, username)| username.to_string()),
            builds: size.map(|size| size.builds),
            output_bytes: size.map(|size| size.output_bytes),
            links: view.project_self(of),
        }
    });
    let mut held: Vec<HeldProject> = held.collect();
    held.sort_by(|one, other| other.builds.cmp(&one.builds).then_with(|| one.id.cmp(&other.id)));
    held.truncate(LISTED);
    Ok(AdministrationDocument {
        version: app.settings.version.clone(),
        database: system,
        database_bytes: bytes,
        log_bytes: app.store.log_bytes(),
        memory_bytes: app.budget.drawn(),
        connections: app.connections.count() as u64,
        queue: count(app.metrics.queued.get()),
        users,
        projects: held,
        count: projects.count,
    })
}

pub(crate) async fn get(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    call.listed(&state(call).await?)
}
