//! The documentation, rendered by the build script from `docs/`.

use askama::Template;

use crate::Site;
use crate::views::Page;

/// A page of the documentation.
#[derive(Debug)]
pub struct Doc {
    /// Its path under `/docs`; empty for the index.
    path: &'static str,
    title: &'static str,
    /// Its text; `~base~` in links stands for the server's path prefix.
    html: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/docs.rs"));

impl Doc {
    /// The page at a path under `/docs`.
    pub fn find(path: &str) -> Option<&'static Self> {
        DOCS.iter().find(|doc| doc.path == path)
    }

    /// The PNG image at a path under `/docs`.
    pub fn image(path: &str) -> Option<&'static [u8]> {
        IMAGES.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
    }
}

/// A documentation page.
#[derive(Template)]
#[template(path = "doc.html")]
pub struct DocPage<'a> {
    site: Site<'a>,
    doc: &'static Doc,
    html: String,
}

impl<'a> DocPage<'a> {
    /// The page of a document.
    pub fn new(site: Site<'a>, doc: &'static Doc) -> Self {
        let html = doc.html.replace("~base~", site.base.prefix());
        Self { site, doc, html }
    }
}

impl Page for DocPage<'_> {
    fn title(&self) -> String {
        self.doc.title.to_owned()
    }
    fn summary(&self) -> String {
        "Documentation of devmason".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of an attribute.
    fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
        let start = format!(" {attribute}=\"");
        let parts = html.split(&start).skip(1);
        parts.filter_map(|part| part.split('"').next()).collect()
    }

    #[test]
    fn every_link_within_the_documentation_leads_to_a_page_and_a_heading() {
        let mut links = 0;
        for doc in DOCS {
            assert!(!doc.title.is_empty(), "{}", doc.path);
            for link in values(doc.html, "href").into_iter().chain(values(doc.html, "src")) {
                let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
                let of = match path.strip_prefix("~base~/docs") {
                    Some(path) => path.trim_start_matches('/'),
                    None if path.is_empty() => doc.path,
                    None => continue,
                };
                links += 1;
                if Doc::image(of).is_some() {
                    continue;
                }
                let target = Doc::find(of);
                assert!(target.is_some(), "{}: {link}", doc.path);
                let ids = target.map(|target| values(target.html, "id")).unwrap_or_default();
                assert!(anchor.is_empty() || ids.contains(&anchor), "{}: {link}", doc.path);
            }
        }
        assert!(DOCS.len() > 20 && links > 100, "{} {links}", DOCS.len());
    }
}
