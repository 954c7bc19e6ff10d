//! Submissions of CTest, as CDash takes them.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use devmason_domain::{State, Timestamp};
use devmason_hypermedia::Resource;
use devmason_repository::ForeignBuild;
use devmason_wire::ctest::{File, Identity, Kind, PROTOCOL, read, taken};
use devmason_wire::{Part, tag};
use md5::{Digest as _, Md5};
use serde_json::json;

use super::{Held, add, begin, close, find, has, may_continue, run_with};
use crate::call::Call;
use crate::error::ApiError;
use crate::params::Params;
use crate::respond::leading;

/// Takes a file.
pub(crate) async fn put(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let params = call.params;
    let number = params.first("buildid");
    if let (None, Some(number)) = (params.first("project"), number) {
        return put_upload(call, number).await;
    }
    let project = super::permitted(call, required(params, "project")?).await?;
    let received = Timestamp::now();
    let name = params.first("FileName").map(str::to_owned);
    let base_name = name.as_deref().and_then(|name| name.rsplit("___").next()).map(str::to_owned);
    let sum = params.first("MD5").map(str::to_owned);
    let (file, is_whole) = super::read(call, move |body| {
        let is_whole = sum.is_none_or(|sum| sum.eq_ignore_ascii_case(&md5(body)));
        Ok((read(body, base_name.as_deref(), received)?, is_whole))
    })
    .await?;
    if !is_whole {
        let problem = "is not the MD5 of the body, which arrived damaged".to_owned();
        return Err(ApiError::BadValue { name: "MD5", problem });
    }
    let said = |name: &str| params.first(name).unwrap_or_default().to_owned();
    let identity = Identity { site: said("site"), build: said("build"), stamp: said("stamp") };
    let identity = identity
        .or(file.identity.clone())
        .or(name.as_deref().map(Identity::of_file_name).unwrap_or_default());
    if file.build_number.is_none() {
        identity.key()?;
    }
    let project = project.registered(call).await?;
    let found = match (identity.key(), &file.build_number) {
        (Err(_), Some(number)) => {
            let held = numbered(call, number).await?;
            if held.project.id != project.id {
                return Err(NONE);
            }
            may_continue(call, &held.project, &held.build).await?;
            Some(held)
        }
        (key, _) => find(call, &project, PROTOCOL, key?).await?,
    };
    let subproject = params.first("subproject").filter(|name| !name.is_empty());
    let File { kind, ended, mut part, .. } = file;
    let generator = part.client.iter().find(|(name, _)| name == "Generator");
    super::count(call, PROTOCOL, generator.map(|(_, value)| value.as_str()));
    complete(&mut part, &identity, subproject);
    if kind != Kind::Done
        && let Ok(key) = identity.key()
        && let Some(run) = run_with(call, (&project, PROTOCOL, key), &part).await?
    {
        return Ok(answer(&run));
    }
    let begin_nth =
        async |nth| begin(call, &project, (PROTOCOL, identity.key()?, nth), &part).await;
    let held = match found {
        None => begin_nth(1).await?,
        Some(held) if kind == Kind::Done => held,
        Some(held) if is_another_run(call, &held, &part).await? => {
            begin_nth(held.foreign.nth.saturating_add(1)).await?
        }
        Some(held) => held,
    };
    if kind == Kind::Done {
        end(call, &held, &mut part, ended).await?;
    } else {
        add(call, &held, part, has_ended(&held)).await?;
    }
    Ok(answer(&held.foreign))
}

/// Whether the client has said that the build ended.
fn has_ended(held: &Held) -> bool {
    let is_silent = held.build.client.0.member_text(super::SILENT).is_some();
    held.foreign.ends.is_none() && held.build.outcome.state() == State::Finished && !is_silent
}

fn required<'p>(params: &'p Params, name: &'static str) -> Result<&'p str, ApiError> {
    let given = params.first(name).filter(|value| !value.is_empty());
    given.ok_or_else(|| ApiError::BadValue { name, problem: "is missing in the query".to_owned() })
}

/// The MD5 of bytes, in hexadecimal digits.
fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds to a part what the request says of the build.
fn complete(part: &mut Part, identity: &Identity, subproject: Option<&str>) {
    let said = [
        ("host", &identity.site),
        ("job", &identity.build),
        ("BuildName", &identity.build),
        ("BuildStamp", &identity.stamp),
    ];
    let said = said.map(|(name, value)| (name.to_owned(), value.clone()));
    part.client.splice(0..0, said.into_iter().filter(|(_, value)| !value.is_empty()));
    let texts = [identity.group(), Some(identity.build.as_str()), subproject];
    for text in texts.into_iter().flatten().filter(|text| !text.trim().is_empty()) {
        let tag = tag(text, &mut part.receipt);
        part.tags.extend(tag);
    }
    if let (Some(step), Some(subproject)) = (&mut part.step, subproject) {
        let name = format!("{} ({subproject})", step.name.as_str());
        step.name = name.parse().unwrap_or_else(|_| step.name.clone());
    }
}

/// Whether a part belongs to another run under the same key: this one has ended, and has a part of this
/// kind.
async fn is_another_run(call: &Call<'_>, held: &Held, part: &Part) -> Result<bool, ApiError> {
    if !has_ended(held) {
        return Ok(false);
    }
    let Some(step) = &part.step else { return Ok(false) };
    let build = held.build.clone();
    let steps = call.ask(move |repository| repository.step_outline(&[build])).await?;
    Ok(steps.into_iter().flatten().any(|known| known.name == step.name))
}

async fn end(
    call: &Call<'_>,
    held: &Held,
    part: &mut Part,
    ended: Option<Timestamp>,
) -> Result<(), ApiError> {
    let (project, build, number) = (held.build.project, held.build.id, held.foreign.number);
    let ends = super::silence::end(call.app, Timestamp::now());
    // First, so that the build ends even if this server does not come to it.
    call.ask(move |repository| repository.foreign_heard(number, Some(ends))).await?;
    super::tell(call, held, part).await?;
    if held.build.outcome.state() == State::Finished {
        let now = Timestamp::now();
        call.ask(move |repository| repository.build_reopen(project, build, now)).await?;
    }
    let ended = ended.filter(|ended| *ended >= held.build.started);
    close(call, held, ended).await?;
    call.ask(move |repository| repository.foreign_heard(number, None)).await
}

/// The response to a file that was taken. Anything but 200 makes CTest send it again.
fn answer(run: &ForeignBuild) -> HttpResponse {
    HttpResponse::Ok().content_type("text/xml").body(taken(run.number))
}

const NONE: ApiError = ApiError::NotFound("no build has this number");

/// The build with a number.
async fn numbered(call: &Call<'_>, number: &str) -> Result<Held, ApiError> {
    let number: i64 = number.trim().parse().map_err(|_| NONE)?;
    let found = call
        .ask(move |repository| {
            let found = repository.foreign_numbered(number)?;
            let Some(foreign) = found.filter(|found| found.protocol == PROTOCOL) else {
                return Ok(None);
            };
            let held = repository.foreign_held(&foreign)?;
            Ok(held.map(|(project, build)| Held { project, foreign, build }))
        })
        .await?;
    found.ok_or(NONE)
}

/// Says that a file may come, which is then sent without the project's name.
pub(crate) async fn post(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    super::count(call, PROTOCOL, None);
    let body = call.body().await?.clone();
    let params = Params::read(&String::from_utf8_lossy(&body))?;
    let project = super::permitted(call, required(&params, "project")?).await?;
    let said = |name: &str| params.first(name).unwrap_or_default().to_owned();
    let identity = Identity { site: said("site"), build: said("build"), stamp: said("stamp") };
    let key = identity.key()?;
    let project = project.registered(call).await?;
    let held = match find(call, &project, PROTOCOL, key).await? {
        Some(held) => held,
        None => {
            let mut part = Part::default();
            complete(&mut part, &identity, None);
            begin(call, &project, (PROTOCOL, key, 1), &part).await?
        }
    };
    let files = (0..).take_while(|nth| params.first(&format!("datafilesmd5[{nth}]")).is_some());
    // Numbers, and 0 for each: it is to be sent.
    let wanted = vec![0; files.count().max(1)];
    Ok(HttpResponse::Ok().json(json!({
        "status": 0, "buildid": held.foreign.number.to_string(), "datafilesmd5": wanted,
    })))
}

/// Takes a file for which there is no place: its receipt says so.
async fn put_upload(call: &Call<'_>, number: &str) -> Result<HttpResponse, ApiError> {
    super::count(call, PROTOCOL, None);
    let held = numbered(call, number).await?;
    call.app.settings.policy.report(call.viewer(), &held.project)?;
    may_continue(call, &held.project, &held.build).await?;
    let body = call.body().await?;
    if let Some(sum) = call.params.first("md5")
        && !sum.eq_ignore_ascii_case(&md5(body))
    {
        let problem = "is not the MD5 of the body, which arrived damaged".to_owned();
        return Err(ApiError::BadValue { name: "md5", problem });
    }
    let kind = call.params.first("type").unwrap_or("file");
    let name = call.params.first("filename").unwrap_or("file");
    let mut part = Part::new(Some(name), PROTOCOL, body);
    part.dropped(format!("'{name}' ({kind}), {} bytes, has no place here", body.len()));
    if !has(call, &held.foreign, &part).await? {
        add(call, &held, part, has_ended(&held)).await?;
    }
    Ok(HttpResponse::Ok().json(json!({"status": 0})))
}

/// Leads to the build with a number.
pub(crate) async fn summary(call: &Call<'_>) -> Result<HttpResponse, ApiError> {
    let held = numbered(call, required(call.params, "buildid")?).await?;
    let build = Resource::Build(held.project.slug.clone(), held.build.key());
    let mut answer = leading(StatusCode::FOUND, call.base.location(&build));
    answer
        .headers_mut()
        .insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(answer)
}
