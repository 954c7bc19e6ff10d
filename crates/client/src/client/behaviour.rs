//! Tests.

#![expect(clippy::unwrap_used, reason = "tests")]
use super::*;

#[test]
fn a_server_is_a_url_without_credentials() {
    for bad in [
        "",
        "ci.example.org",
        "ftp://ann:secret@ci.example.org",
        "http://ann:secret@ci.example.org",
        "http://ann:sec/ret@ci.example.org",
    ] {
        let problem = Client::new(bad, None).unwrap_err().to_string();
        assert!(problem.starts_with("server: ") && !problem.contains("ann:"), "{bad}: {problem}");
    }
    assert_eq!(
        Client::new("http://ci.example.org/x/", None).unwrap().server(),
        "http://ci.example.org/x"
    );
}

#[test]
fn credentials_are_never_shown() {
    let credentials = Credentials { user: "ann".to_owned(), password: "secret".to_owned() };
    let client = Client::new("http://ci.example.org", Some(credentials)).unwrap();
    assert!(!format!("{client:?}").contains("secret"));
}

#[test]
fn credentials_go_to_the_servers_own_origin_alone() {
    let client = Client::new("http://ci.example.org:8080/x", None).unwrap();
    let own = |url: &str| client.is_own(&reqwest::Url::parse(url).unwrap());
    assert!(own("http://ci.example.org:8080/y"));
    assert!(!own("https://ci.example.org:8080/x") && !own("http://evil.example.org/x"));
}
