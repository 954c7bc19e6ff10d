//! Tags, users, components, signing in, and documents without a page of their own.

use askama::Template;
use devmason_domain::{Account, Component, Project, Tag, Username};

use super::{Page, Pager, Row};
use crate::site::Site;

/// The tags of a project.
#[derive(Template)]
#[template(path = "tags.html")]
pub struct Tags<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The project.
    pub project: &'a Project,
    /// Its tags, each with its number of builds.
    pub tags: &'a [(Tag, u64)],
    /// The text that the tags shown must contain, in either case.
    pub search: &'a str,
}

impl Tags<'_> {
    const SHOWN: usize = 1000;

    fn fitting(&self) -> impl Iterator<Item = &(Tag, u64)> {
        let wanted = self.search.to_lowercase();
        self.tags.iter().filter(move |(tag, _)| tag.as_str().to_lowercase().contains(&wanted))
    }
    fn shown(&self) -> Vec<&(Tag, u64)> {
        self.fitting().take(Self::SHOWN).collect()
    }
    fn more(&self) -> usize {
        self.fitting().count().saturating_sub(Self::SHOWN)
    }
}

impl Page for Tags<'_> {
    fn title(&self) -> String {
        format!("Tags of {}", self.project.name)
    }
}

/// All users.
#[derive(Template)]
#[template(path = "users.html")]
pub struct Users<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The users.
    pub users: &'a [Account],
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl Page for Users<'_> {
    fn title(&self) -> String {
        "Users".to_owned()
    }
}

/// A user.
#[derive(Template)]
#[template(path = "user.html")]
pub struct User<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The user's name.
    pub username: &'a Username,
    /// The user's recent builds.
    pub rows: Vec<Row<'a>>,
    /// Whether the viewer may change the password.
    pub may_change: bool,
}

impl Page for User<'_> {
    fn title(&self) -> String {
        self.username.to_string()
    }
}

/// The sign-in form.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignIn<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// Where to redirect afterwards.
    pub next: &'a str,
    /// The username entered.
    pub username: &'a str,
    /// Why signing in failed.
    pub problem: &'a str,
}

impl Page for SignIn<'_> {
    fn title(&self) -> String {
        "Sign in".to_owned()
    }
}

/// A component in a list, with its type's name.
pub struct ComponentRow<'a> {
    /// The component.
    pub component: &'a Component,
    /// Its type's name.
    pub component_type: &'a str,
}

impl ComponentRow<'_> {
    fn title(&self) -> &str {
        self.component.details.title.as_ref().map_or("", |title| title.as_str())
    }
}

/// The components under test.
#[derive(Template)]
#[template(path = "components.html")]
pub struct Components<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The components.
    pub rows: Vec<ComponentRow<'a>>,
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl Page for Components<'_> {
    fn title(&self) -> String {
        "Components".to_owned()
    }
}

/// The builds that tested a component.
#[derive(Template)]
#[template(path = "component_builds.html")]
pub struct ComponentBuilds<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The component.
    pub component: &'a Component,
    /// The builds.
    pub rows: Vec<Row<'a>>,
    /// Links to the other parts of the list.
    pub pager: Pager,
}

impl Page for ComponentBuilds<'_> {
    fn title(&self) -> String {
        format!("Builds with {}", self.component.name)
    }
}

/// Why an operation failed.
#[derive(Template)]
#[template(path = "problem.html")]
pub struct ProblemPage<'a> {
    /// The page's frame.
    pub site: Site<'a>,
    /// The HTTP status.
    pub status: u16,
    /// The reason phrase of the status.
    pub reason: &'a str,
    /// The problem.
    pub message: &'a str,
}

impl ProblemPage<'_> {
    /// What to do about it.
    fn advice(&self) -> &'static str {
        match self.status {
            400 => "Go back and change what is named above.",
            401 => "Sign in with the username and password that you report with.",
            403 => {
                "If you sent a form, load its page again. Otherwise sign in as a user who may do this, or ask the project's owner."
            }
            404 => {
                "Check the address. What was here may have been deleted; the search may find it."
            }
            408 | 429 | 503 => "Wait a moment, then load the page again.",
            409 | 412 => "Somebody else was faster. Load the page again and see what it says now.",
            500 => {
                "Load the page again. If it happens again, tell an administrator: the server's log says more."
            }
            _ => "",
        }
    }
}

impl Page for ProblemPage<'_> {
    fn title(&self) -> String {
        format!("{} {}", self.status, self.reason)
    }
    fn summary(&self) -> String {
        self.message.to_owned()
    }
}

/// A document that has no page of its own.
#[derive(Template)]
#[template(path = "document.html")]
pub struct DocumentPage<'a> {
    site: Site<'a>,
    title: &'a str,
    body: String,
    is_whole: bool,
}

impl<'a> DocumentPage<'a> {
    /// Shows the text of a JSON document, formatted, with every URL in it as a link.
    pub fn new(site: Site<'a>, title: &'a str, json: &str) -> Self {
        let (body, is_whole) = crate::json::to_html(json);
        Self { site, title, body, is_whole }
    }
}

impl Page for DocumentPage<'_> {
    fn title(&self) -> String {
        self.title.to_owned()
    }
}
