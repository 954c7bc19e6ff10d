//! A browser: it requests pages, sends their forms and keeps its session.

use devmason_domain::Password;
use devmason_repository::NewAccount;

use crate::*;

impl Server {
    /// Requests a page as a browser does, with its session cookie if there is one.
    pub(crate) fn page(&self, path: &str, cookie: &str) -> Response {
        let request = self.request("GET", path).header("Accept", "text/html");
        let request = request.header("Upgrade-Insecure-Requests", "1");
        let request = if cookie.is_empty() { request } else { request.header("Cookie", cookie) };
        let page = request.send();
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        page
    }

    /// Sends a form as a program that pretends to be a browser does.
    pub(super) fn form(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Response {
        self.posted(path, cookie, fields).send()
    }

    /// Sends a form as a browser does, which gets a page in any case.
    pub(super) fn browser_form(
        &self,
        path: &str,
        cookie: &str,
        fields: &[(&str, &str)],
    ) -> Response {
        self.posted(path, cookie, fields).header("Sec-Fetch-Mode", "navigate").send()
    }

    fn posted(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Request {
        let encode =
            |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        self.request("POST", path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Origin", &format!("http://{}", self.address))
            .header("Cookie", cookie)
            .body(body.join("&").as_bytes())
    }

    /// Creates an administrator, as the command does.
    pub(super) fn administrator(&self, name: &str) {
        let repository = open(&self.database.url, &Options::default()).unwrap();
        let password_hash = Password::new(format!("{name}-pw")).unwrap().hash(4).unwrap();
        let new = NewAccount { username: name.parse().unwrap(), password_hash };
        assert!(repository.user_create(&new).unwrap().is_some());
    }

    pub(super) fn sign_in(&self, user: &str) -> String {
        self.sign_in_to(user, "/pony")
    }

    pub(super) fn sign_in_to(&self, user: &str, next: &str) -> String {
        let fields = [("username", user), ("password", &format!("{user}-pw")), ("next", next)];
        let answer = self.form("/api/v1/session", "", &fields);
        assert_eq!((answer.status, answer.header("location")), (303, next));
        let cookie = answer.header("set-cookie");
        for word in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        cookie.split(';').next().unwrap().to_owned()
    }
}

/// The token in the forms of a page.
pub(super) fn token(page: &Response) -> String {
    let text = page.text();
    let at = text.find("name=\"_token\" value=\"").unwrap_or_else(|| panic!("{text}"));
    text[at + 21..].split('"').next().unwrap().to_owned()
}

pub(super) fn filled() -> Server {
    let server = Server::new();
    server.as_user("ann").send("PUT", "/pony", r#"{"name":"<i>Pony</i>"}"#);
    server
}
