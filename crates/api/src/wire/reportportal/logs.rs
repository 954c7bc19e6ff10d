//! Logs, as documents or as forms with files.

use actix_web::HttpResponse;
use actix_web::http::header;
use devmason_domain::Digest;
use devmason_wire::WireError;
use devmason_wire::reportportal::{Entry, Event, document, launch_of};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Running, digest, launch, launch_of_item, tell};
use crate::call::Call;
use crate::error::ApiError;

/// The most entries of a request.
const ENTRIES: usize = 10_000;

/// The name of the part of a form that has the entries.
const ENTRIES_PART: &str = "json_request_part";

/// A file that came with entries. Its bytes have no place here.
struct Sent {
    name: String,
    bytes: usize,
    digest: String,
}

pub(crate) async fn post(call: &Call<'_>, project: &str) -> Result<HttpResponse, ApiError> {
    let project = crate::wire::project(call, project).await?;
    let content_type = call.header(header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let is_form = content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data");
    let (request, said, files) = if is_form {
        form(call, &content_type).await?
    } else {
        let body = call.body().await?;
        (digest("log", body), document(body)?, Vec::new())
    };
    let is_list = said.is_array();
    let all = match said {
        Value::Array(all) => all,
        one => vec![one],
    };
    if all.len() > ENTRIES {
        let problem = format!("more than {ENTRIES} log entries");
        return Err(ApiError::TooMuch { problem });
    }
    if all.is_empty() {
        return Err(WireError::bad(ENTRIES_PART, "has no entries").into());
    }
    // A request has the entries of one launch, but nothing says that it must.
    let mut of_launches: Vec<(Option<String>, Vec<Entry>)> = Vec::new();
    let mut left = files;
    for one in &all {
        let (uuid, entry) = (launch_of(one), with_file(Entry::read(one), &mut left));
        match of_launches.iter_mut().find(|(known, _)| *known == uuid) {
            Some((_, entries)) => entries.push(entry),
            None => of_launches.push((uuid, vec![entry])),
        }
    }
    if let Some((_, entries)) = of_launches.first_mut() {
        let unnamed = |file: Sent| Entry { file: Some(file.words()), ..Entry::default() };
        entries.extend(left.into_iter().map(unnamed));
    }
    for (nth, (uuid, entries)) in of_launches.into_iter().enumerate() {
        let item = entries.iter().find_map(|entry| entry.item.clone());
        let of: Running = match (uuid, item) {
            (Some(uuid), _) => launch(call, project.clone(), &uuid).await?,
            (None, Some(item)) => launch_of_item(call, project.clone(), &item).await?,
            (None, None) => {
                let problem = "is missing: the entry names neither a launch nor an item";
                return Err(WireError::bad("launchUuid", problem).into());
            }
        };
        let part = Digest::of_parts([request.0.as_slice(), &nth.to_le_bytes()]);
        tell(call, &of, &Event::Logs(entries), (part, None)).await?;
    }
    let answer = |nth: usize| {
        let id = Digest::of_parts([request.0.as_slice(), &nth.to_le_bytes()]);
        json!({"id": id.short()})
    };
    if is_list || is_form {
        let responses: Vec<Value> = (0..all.len()).map(answer).collect();
        return Ok(HttpResponse::Created().json(json!({"responses": responses})));
    }
    Ok(HttpResponse::Created().json(answer(0)))
}

impl Sent {
    fn words(&self) -> String {
        format!("the file '{}', {} bytes, sha256:{},", self.name, self.bytes, self.digest)
    }
}

/// An entry with what its file was. Some clients neither quote nor escape names, so that one of them may
/// arrive changed: then it is the next file of no other entry.
fn with_file(mut entry: Entry, left: &mut Vec<Sent>) -> Entry {
    if let Some(name) = &entry.file {
        let at = left.iter().position(|file| file.name == *name);
        let at = at.or_else(|| (!left.is_empty()).then_some(0));
        entry.file = Some(match at {
            Some(at) => Sent { name: name.clone(), ..left.remove(at) }.words(),
            None => format!("the file '{name}', which did not come,"),
        });
    }
    entry
}

/// The entries and the files of a form. Files are read through and dropped, however long they are.
async fn form(call: &Call<'_>, content_type: &str) -> Result<(Digest, Value, Vec<Sent>), ApiError> {
    let no_form = |error: multer::Error| {
        WireError::bad("body", format!("invalid multipart/form-data: {error}"))
    };
    let boundary = multer::parse_boundary(content_type).map_err(no_form)?;
    let limit = call.app.settings.max_body_bytes;
    let mut form = multer::Multipart::new(call.body.chunks(call.request)?, boundary);
    let (mut entries, mut files) = (Vec::new(), Vec::new());
    let mut has_entries = false;
    let mut request = Sha256::new();
    while let Some(mut field) = form.next_field().await.map_err(no_form)? {
        let name = field.name().unwrap_or_default().to_owned();
        let file = field.file_name().map(str::to_owned);
        let (mut bytes, mut text, mut sum) = (0usize, Vec::new(), Sha256::new());
        while let Some(chunk) = field.chunk().await.map_err(no_form)? {
            bytes += chunk.len();
            sum.update(&chunk);
            if name == ENTRIES_PART {
                if bytes > limit {
                    return Err(ApiError::TooLarge { limit });
                }
                call.body.hold.draw(crate::budget::Lane::Body, chunk.len()).await?;
                text.extend_from_slice(&chunk);
            }
        }
        let sum = Digest(sum.finalize().into());
        request.update(sum.0);
        if name == ENTRIES_PART {
            has_entries = true;
            match document(&text)? {
                Value::Array(more) => entries.extend(more),
                one => entries.push(one),
            }
        } else {
            let name = file.unwrap_or(name);
            files.push(Sent { name, bytes, digest: sum.to_string() });
        }
        if files.len() > ENTRIES {
            return Err(WireError::bad("body", format!("more than {ENTRIES} files")).into());
        }
    }
    if !has_entries {
        return Err(WireError::bad(ENTRIES_PART, "is missing").into());
    }
    Ok((Digest(request.finalize().into()), Value::Array(entries), files))
}
