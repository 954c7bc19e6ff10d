#![doc = include_str!("../README.md")]

mod json;

use askama::Template;

/// A document as a page for people.
#[derive(Template)]
#[template(path = "document.html")]
struct Document<'a> {
    title: &'a str,
    home: &'a str,
    json_href: &'a str,
    body: String,
}

/// Shows a JSON document: its text, laid out, every URL in it a link.
///
/// `title` is the resource's path, `home` where the server's list of projects is, `json_href` where
/// the document itself is.
///
/// # Errors
/// Never for text that fits in memory; the template engine reports through `fmt`.
pub fn document(
    title: &str,
    home: &str,
    json_href: &str,
    json: &str,
) -> Result<String, std::fmt::Error> {
    let page = Document { title, home, json_href, body: json::to_html(json) };
    page.render().map_err(|_| std::fmt::Error)
}
