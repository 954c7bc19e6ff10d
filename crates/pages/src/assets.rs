//! Files that pages load: a stylesheet, a script, icons. Their names contain a hash, so browsers
//! may cache them forever.

use crate::Standing;

/// A file that pages load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    stem: &'static str,
    extension: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its contents.
    pub text: &'static str,
}

pub(crate) const STYLE: Asset = Asset {
    stem: "style",
    extension: "css",
    media_type: "text/css; charset=utf-8",
    text: include_str!("../assets/style.css"),
};

pub(crate) const SCRIPT: Asset = Asset {
    stem: "script",
    extension: "js",
    media_type: "text/javascript; charset=utf-8",
    text: include_str!("../assets/script.js"),
};

const fn icon(stem: &'static str, text: &'static str) -> Asset {
    Asset { stem, extension: "svg", media_type: "image/svg+xml", text }
}

// Shapes as well as colours: a tick, a cross, a ring, a bar.
const ICONS: [Asset; 4] = [
    icon(
        "success",
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1a7f37"/><path d="M4 8.5l3 3 5-6" fill="none" stroke="#fff" stroke-width="2"/></svg>"##,
    ),
    icon(
        "failure",
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#c62828"/><path d="M4.5 4.5l7 7m0-7l-7 7" fill="none" stroke="#fff" stroke-width="2"/></svg>"##,
    ),
    icon(
        "running",
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#8a5a00"/><circle cx="8" cy="8" r="4" fill="none" stroke="#fff" stroke-width="2"/></svg>"##,
    ),
    icon(
        "nothing",
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#24292f"/><path d="M4 8h8" stroke="#fff" stroke-width="2"/></svg>"##,
    ),
];

/// FNV-1a, which is enough to distinguish two versions of a file.
const fn hash(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

impl Asset {
    /// The server's icon: that of a page without a status.
    pub const ICON: Self = ICONS[3];

    /// Its name, including its hash.
    pub fn name(&self) -> String {
        format!("{}-{:016x}.{}", self.stem, hash(self.text), self.extension)
    }

    /// The file with this name.
    pub fn find(name: &str) -> Option<Self> {
        let all = [STYLE, SCRIPT].into_iter().chain(ICONS);
        all.into_iter().find(|asset| asset.name() == name)
    }
}

/// The icon for a status.
pub(crate) fn icon_name(standing: Standing) -> String {
    let [success, failure, running, nothing] = ICONS;
    match standing {
        Standing::Success => success,
        Standing::Failure => failure,
        Standing::Running => running,
        Standing::Nothing => nothing,
    }
    .name()
}

/// Changes whenever pages may look different with the same data.
pub fn look() -> u64 {
    const LOOK: u64 = hash(STYLE.text) ^ hash(SCRIPT.text);
    LOOK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_its_name_with_its_hash_alone() {
        assert_eq!(Asset::find(&STYLE.name()), Some(STYLE));
        assert_eq!(Asset::find("style-0.css"), None);
    }
}
