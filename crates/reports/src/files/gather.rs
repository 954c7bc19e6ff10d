//! Joins the files of an upload that form one report.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Bounds, Unpacked};
use crate::{Format, Note, NoteKind, Seen};

/// A file, or several that form one report.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The name, unless it was sent alone.
    pub name: Option<String>,
    /// The contents; several files are concatenated.
    pub body: Bytes,
    /// The number of files it consists of.
    pub files: usize,
    /// The number of files beside them that only accompany the report.
    pub beside: usize,
    /// Why it is incomplete, if it is.
    pub broken: Option<String>,
}

impl Gathered {
    /// The note about the accompanying files, if any.
    pub fn note(&self) -> Option<Note> {
        let beside = self.beside;
        let text = format!("{beside} other files, such as attachments, were skipped");
        (beside > 0).then_some(Note { line: None, kind: NoteKind::Dropped, text })
    }
}

/// Joins files that form one report: each file of Allure's is a test or its fixtures, and those of
/// a folder belong together.
///
/// # Errors
/// There is no room for them.
pub fn gather<B: Bounds>(files: Vec<Unpacked>, bounds: &B) -> Result<Vec<Gathered>, B::Error> {
    let folder = |name: &Option<String>| {
        let name = name.as_deref().unwrap_or_default();
        name.rsplit_once(['/', '\\']).map_or("", |(folder, _)| folder).to_owned()
    };
    let is_recognized = |file: &Unpacked| {
        file.broken.is_none()
            && file.name.is_some()
            && Format::recognize(&file.body) == Some(Format::Allure)
    };
    // A truncated file is recognized by its name alone.
    let is_called = |file: &Unpacked| {
        let name = file.name.as_deref().unwrap_or_default();
        file.broken.is_none()
            && (name.ends_with("-result.json") || name.ends_with("-container.json"))
    };
    // The folders, each with the files of its report and the number of other files.
    let mut reports: HashMap<String, (Vec<Bytes>, usize)> = HashMap::new();
    let mut folders: Vec<String> = Vec::new();
    let mut others: Vec<Unpacked> = Vec::new();
    for file in files {
        if !is_recognized(&file) {
            others.push(file);
            continue;
        }
        let folder = folder(&file.name);
        let (bodies, _) = reports.entry(folder.clone()).or_insert_with(|| {
            folders.push(folder);
            (Vec::new(), 0)
        });
        bodies.push(file.body);
    }
    let mut all = Vec::new();
    for file in others {
        let is_one = file.name.is_some() && file.broken.is_none();
        match reports.get_mut(&folder(&file.name)).filter(|_| is_one) {
            // Append it at the end: everything after a truncated document is ignored.
            Some((bodies, _)) if is_called(&file) => bodies.push(file.body),
            // Attachments keep their own format.
            Some((_, beside)) if !matches!(Seen::of(&file.body), Seen::Format(_)) => *beside += 1,
            _ => {
                let Unpacked { name, body, broken } = file;
                all.push(Gathered { name, body, files: 1, beside: 0, broken });
            }
        }
    }
    for folder in folders {
        let Some((bodies, beside)) = reports.remove(&folder) else { continue };
        let length = bodies.iter().map(|body| body.len() + 1).sum();
        bounds.room(length)?;
        let mut whole = Vec::new();
        whole.try_reserve_exact(length).map_err(|_| bounds.no_room())?;
        for body in &bodies {
            whole.extend_from_slice(body);
            whole.push(b'\n');
        }
        let name = if folder.is_empty() { "allure-results".to_owned() } else { folder };
        let (name, body, files) = (Some(name), whole.into(), bodies.len());
        all.push(Gathered { name, body, files, beside, broken: None });
    }
    Ok(all)
}
