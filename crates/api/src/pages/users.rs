//! The pages of users.

use actix_web::HttpResponse;
use devmason_domain::Username;
use devmason_hypermedia::{ListLinks, Method, Subject};
use devmason_pages::{Row, User, Users};
use devmason_repository::Scope;

use super::pager;
use crate::call::Call;
use crate::documents::users::requested;
use crate::error::ApiError;
use crate::insight::newest;

/// All users.
pub(crate) async fn list(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let (page, pages, etag) = requested(call).await?;
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    let users = call.ask(move |repository| repository.user_list(page)).await?;
    let list = ListLinks::numbered(&|page| call.params.of_page(page, None), pages);
    let pager = pager(call, &list, String::new());
    call.paged(&etag, &Users { site: call.site(), users: &users, pager })
}

/// A user with their recent builds.
pub(crate) async fn get(call: &Call<'_>, username: &Username) -> Result<HttpResponse, ApiError> {
    let account = call.user(username).await?;
    let id = account.id;
    let (builds, projects) = call
        .ask(move |repository| {
            let builds = newest(repository, Scope::Sender(id), 25)?;
            let ids: Vec<_> = builds.iter().map(|build| build.project).collect();
            let projects = repository.projects_by_id(&ids)?;
            Ok((builds, projects))
        })
        .await?;
    let row = |build| {
        Some(Row { build, project: projects.iter().find(|project| project.id == build.project)? })
    };
    let rows = builds.iter().filter_map(row).collect();
    let username = &account.username;
    let may_change = call.view().methods(Subject::User(username, true)).contains(&Method::Put);
    call.shown(&User { site: call.site(), username, rows, may_change })
}
