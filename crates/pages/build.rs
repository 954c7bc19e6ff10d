//! Renders the documentation in `docs/` to HTML, for `/docs`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Stands for the server's path prefix in links.
const BASE: &str = "~base~";

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    let docs = root.join("docs");
    let python = root.join("clients/python/README.md");
    println!("cargo::rerun-if-changed={}", docs.display());
    println!("cargo::rerun-if-changed={}", python.display());
    let mut pages = Vec::new();
    let mut images = Vec::new();
    collect(&docs, "", &mut pages, &mut images)?;
    pages.push(("python".to_owned(), python));
    pages.sort();
    images.sort();
    let known: Vec<String> = pages.iter().map(|(path, _)| path.clone()).collect();
    let mut code = String::from("pub(crate) static DOCS: &[Doc] = &[\n");
    for (number, (path, file)) in pages.iter().enumerate() {
        let (title, html) = render(&fs::read_to_string(file)?, path, &known);
        let target = out.join(format!("doc{number}.html"));
        fs::write(&target, html)?;
        let _ = writeln!(
            code,
            "Doc {{ path: {path:?}, title: {title:?}, html: include_str!({target:?}) }},"
        );
    }
    code += "];\npub(crate) static IMAGES: &[(&str, &[u8])] = &[\n";
    for (name, file) in images {
        let file = file.canonicalize()?;
        let _ = writeln!(code, "({name:?}, include_bytes!({file:?})),");
    }
    code += "];\n";
    fs::write(out.join("docs.rs"), code)
}

/// Finds the pages and the images in a directory, each with its path under `/docs`.
fn collect(
    directory: &Path,
    prefix: &str,
    pages: &mut Vec<(String, PathBuf)>,
    images: &mut Vec<(String, PathBuf)>,
) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file.is_dir() {
            collect(&file, &format!("{prefix}{name}/"), pages, images)?;
        } else if let Some(stem) = name.strip_suffix(".md") {
            let path = if name == "README.md" { prefix.trim_end_matches('/') } else { stem };
            let path =
                if name == "README.md" { path.to_owned() } else { format!("{prefix}{path}") };
            pages.push((path, file));
        } else if name.ends_with(".png") {
            images.push((format!("{prefix}{name}"), file));
        }
    }
    Ok(())
}

/// The title of a page, and its HTML.
fn render(markdown: &str, path: &str, known: &[String]) -> (String, String) {
    let mut title = String::new();
    let mut anchors: HashMap<String, usize> = HashMap::new();
    let mut events: Vec<Event<'_>> = Vec::new();
    // Links that lead out of the documentation become plain text.
    let mut unlinked = 0;
    let mut heading: Option<(usize, String)> = None;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                heading = Some((events.len(), String::new()));
                events.push(event);
            }
            Event::End(TagEnd::Heading(level)) => {
                if let Some((start, text)) = heading.take() {
                    if title.is_empty() {
                        title.clone_from(&text);
                    }
                    let anchor = anchor(&text, &mut anchors);
                    events[start] = Event::Start(Tag::Heading {
                        level,
                        id: Some(anchor.into()),
                        classes: Vec::new(),
                        attrs: Vec::new(),
                    });
                }
                events.push(event);
            }
            Event::Text(ref text) | Event::Code(ref text) => {
                if let Some((_, heading)) = &mut heading {
                    heading.push_str(text);
                }
                events.push(event);
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                match destination(&dest_url, path, known) {
                    Some(dest_url) => {
                        events.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
                    }
                    None => unlinked += 1,
                }
            }
            Event::End(TagEnd::Link) if unlinked > 0 => unlinked -= 1,
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                let dest_url = format!("{BASE}/docs/{}", joined(path, &dest_url)).into();
                events.push(Event::Start(Tag::Image { link_type, dest_url, title, id }));
            }
            // A table may be wider than the screen.
            Event::Start(Tag::Table(_)) => {
                events.push(Event::Html(
                    "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table\">"
                        .into(),
                ));
                events.push(event);
            }
            Event::End(TagEnd::Table) => {
                events.push(event);
                events.push(Event::Html("</div>".into()));
            }
            Event::Start(Tag::CodeBlock(_)) => {
                events.push(Event::Html(
                    "<div class=\"code\" tabindex=\"0\" role=\"region\" aria-label=\"Code\">"
                        .into(),
                ));
                events.push(event);
            }
            Event::End(TagEnd::CodeBlock) => {
                events.push(event);
                events.push(Event::Html("</div>".into()));
            }
            event => events.push(event),
        }
    }
    let mut text = String::new();
    html::push_html(&mut text, events.into_iter());
    (title, text)
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(text: &str, known: &mut HashMap<String, usize>) -> String {
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    let anchor: String = kept.flat_map(char::to_lowercase).collect::<String>().replace(' ', "-");
    let times = known.entry(anchor.clone()).or_default();
    *times += 1;
    if *times == 1 { anchor } else { format!("{anchor}-{}", *times - 1) }
}

/// The path of a link relative to a page, without its `..`s.
fn joined(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." => {}
            ".." if parts.pop().is_none() => parts.push(".."),
            ".." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Where a link leads under `/docs`; `None` if it leads to a file that the server does not have.
fn destination<'a>(link: &CowStr<'a>, page: &str, known: &[String]) -> Option<CowStr<'a>> {
    if link.starts_with('#') || link.contains("://") || link.starts_with("mailto:") {
        return Some(link.clone());
    }
    let (file, anchor) = match link.split_once('#') {
        Some((file, anchor)) => (file, format!("#{anchor}")),
        None => (&**link, String::new()),
    };
    let file =
        if page == "python" { joined("../clients/python/x", file) } else { joined(page, file) };
    let path = match file.strip_suffix(".md").unwrap_or(file.trim_end_matches('/')) {
        "README" => "",
        "../clients/python/README" => "python",
        path => path.strip_prefix("../docs/").unwrap_or(path),
    };
    // A directory has its own list.
    let is_known = known.iter().any(|known| known == path);
    is_known
        .then(|| format!("{BASE}/docs/{path}").trim_end_matches('/').to_owned() + &anchor)
        .map(Into::into)
}
