//! Archives of report files.

use std::borrow::Cow;

use crate::Problem;

/// An archive of files, by their names.
pub(super) fn tar<'a>(
    files: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>,
) -> Result<Vec<u8>, Problem> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, body) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        // A path in an archive must be relative.
        let parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
        let name = parts.collect::<Vec<_>>().join("/");
        let name = if name.is_empty() { "files".to_owned() } else { name };
        archive
            .append_data(&mut header, &name, body)
            .map_err(|error| Problem::failed(format!("{name}: {error}")))?;
    }
    archive.into_inner().map_err(|error| Problem::failed(error.to_string()))
}
