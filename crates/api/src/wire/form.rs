//! Forms with files, as clients of other systems send them.

use actix_web::web::Bytes;
use devmason_wire::{Field, WireError};

use crate::error::ApiError;

/// The maximum number of fields in a form.
const FIELDS: usize = 1_000;

/// A field of a form, owned.
pub(super) struct Owned {
    name: String,
    file: Option<String>,
    value: Bytes,
}

impl Owned {
    pub(super) fn borrowed(&self) -> Field<'_> {
        Field { name: &self.name, file: self.file.as_deref(), value: &self.value }
    }
}

/// The fields of a form.
pub(super) async fn fields(content_type: &str, body: Bytes) -> Result<Vec<Owned>, ApiError> {
    let no_form = |error: multer::Error| {
        WireError::bad("body", format!("invalid multipart/form-data: {error}"))
    };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(of_query(&body));
    }
    let boundary = multer::parse_boundary(content_type).map_err(no_form)?;
    let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.map_err(no_form)? {
        if fields.len() == FIELDS {
            return Err(WireError::bad("body", format!("more than {FIELDS} fields")).into());
        }
        fields.push(Owned {
            name: field.name().unwrap_or_default().to_owned(),
            file: field.file_name().map(str::to_owned),
            value: field.bytes().await.map_err(no_form)?,
        });
    }
    Ok(fields)
}

/// The fields of a form without files.
fn of_query(body: &[u8]) -> Vec<Owned> {
    let text = |text: &[u8]| -> Vec<u8> {
        let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
        percent_encoding::percent_decode(&spaced).collect()
    };
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).take(FIELDS);
    pairs
        .map(|pair| {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let mut next = || text(parts.next().unwrap_or_default());
            let name = String::from_utf8_lossy(&next()).into_owned();
            Owned { name, file: None, value: next().into() }
        })
        .collect()
}
