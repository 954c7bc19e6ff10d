//! Users.

use actix_web::HttpResponse;
use devmason_domain::{Account, PageRequest, Pages, Password, Username};
use devmason_hypermedia::document::{IncomingUser, ListPage, UserDocument, UserListDocument};
use devmason_hypermedia::{ListLinks, Resource, Subject};
use devmason_repository::{Actor, NewAccount, Updated};

use crate::auth::Caller;
use crate::call::Call;
use crate::error::ApiError;
use crate::respond::no_content;

const PER_PAGE: u64 = 25;
const NO_USER: ApiError = ApiError::NotFound("user not found");

fn document<'a>(call: &Call<'_>, account: &'a Account) -> UserDocument<'a> {
    UserDocument::new(account, call.view().user_links(&account.username))
}

fn etag(call: &Call<'_>, account: &Account) -> String {
    call.etag(&[&account.id.0, &account.version])
}

/// The requested page, its position in the list, and the list's ETag.
pub(crate) async fn requested(call: &Call<'_>) -> Result<(PageRequest, Pages, String), ApiError> {
    let page = call.params.page(PER_PAGE)?;
    let tally = call.ask(|repository| repository.user_tally()).await?;
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
    let users = call.ask(move |repository| repository.user_list(page)).await?;
    let links = ListLinks::numbered(&|page| call.params.of_page(page, None), pages);
    let links = call.view().page_links(&Resource::UserList, Subject::ReadOnly, &links);
    let users = users.iter().map(|account| document(call, account)).collect();
    call.ok(&etag, &UserListDocument { users, page: ListPage::new(pages, true, links) })
}

pub(crate) async fn get(call: &Call<'_>, username: &Username) -> Result<HttpResponse, ApiError> {
    let account = call.user(username).await?;
    let etag = etag(call, &account);
    if let Some(answer) = call.ready(&etag) {
        return Ok(answer);
    }
    call.ok(&etag, &document(call, &account))
}

pub(crate) async fn put(call: &Call<'_>, username: &Username) -> Result<HttpResponse, ApiError> {
    call.app.settings.policy.put_user(call.viewer(), username)?;
    let incoming: IncomingUser = call.optional_document().await?;
    match call.caller.actor()? {
        Actor::Newcomer(new) => create(call, new, incoming).await,
        Actor::Account(_) | Actor::Nobody => change_password(call, username, incoming).await,
    }
}

/// The credentials are those of the new user; a password in the body must be the same.
async fn create(
    call: &Call<'_>,
    new: NewAccount,
    incoming: IncomingUser,
) -> Result<HttpResponse, ApiError> {
    call.seen_nothing()?;
    if let Some(password) = incoming.password {
        let password = checked(password)?;
        let hash = new.password_hash.clone();
        if !call.app.verifier.verify(hash, password, call.client).await? {
            return Err(bad_password("must match the password in the credentials"));
        }
    }
    let account =
        call.ask(move |repository| repository.user_create(&new)).await?.ok_or(ApiError::Raced)?;
    let caller = Caller::known(call.app.settings.policy.viewer(&account));
    let call = Call { caller: &caller, ..*call };
    call.created(&etag(&call, &account), &document(&call, &account))
}

async fn change_password(
    call: &Call<'_>,
    username: &Username,
    incoming: IncomingUser,
) -> Result<HttpResponse, ApiError> {
    call.expects_something()?;
    let account = call.user(username).await?;
    let seen = call.seen(account.version, &[&account.id.0, &account.version])?;
    let password = checked(incoming.password.ok_or_else(|| bad_password("required"))?)?;
    let hash = call.app.verifier.hash(password, call.client).await?;
    let updated =
        call.ask(move |repository| repository.user_set_password(account.id, &hash, seen)).await?;
    match updated {
        Updated::Done(account) => call.ok(&etag(call, &account), &document(call, &account)),
        Updated::Stale => Err(ApiError::PreconditionFailed),
        Updated::Gone => Err(NO_USER),
    }
}

fn checked(password: String) -> Result<Password, ApiError> {
    Password::new(password).map_err(|invalid| bad_password(&invalid.0))
}

fn bad_password(problem: &str) -> ApiError {
    ApiError::BadValue { name: "password", problem: problem.to_owned() }
}

pub(crate) async fn delete(call: &Call<'_>, username: &Username) -> Result<HttpResponse, ApiError> {
    call.app.settings.policy.delete_user(call.viewer(), username)?;
    let account = call.user(username).await?;
    let seen = call.seen(account.version, &[&account.id.0, &account.version])?;
    let updated = call.ask(move |repository| repository.user_delete(account.id, seen)).await?;
    match updated {
        Updated::Done(()) => Ok(no_content(None)),
        Updated::Stale => Err(ApiError::PreconditionFailed),
        Updated::Gone => Err(NO_USER),
    }
}
