//! Whole documents, as they are sent.

use crate::*;

fn filled() -> Server {
    let server = Server::new();
    assert_eq!(
        server.as_user("Alice").send("PUT", "/pony", r#"{"name":"Pony Build"}"#).status,
        201
    );
    assert_eq!(server.as_user("Alice").send("POST", "/pony/builds", BUILD).status, 201);
    server
}

#[test]
fn a_project() {
    insta::assert_snapshot!(filled().get("/pony").shown());
}

#[test]
fn the_list_of_projects() {
    insta::assert_snapshot!(filled().get("/").shown());
}

#[test]
fn a_build() {
    let server = filled();
    let latest = server.get("/pony/builds/latest").header("location").to_owned();
    insta::assert_snapshot!(server.get(&latest).shown());
}

#[test]
fn a_list_of_builds() {
    insta::assert_snapshot!(
        filled().get("/pony/builds?fields=id,state,success,started,tags").shown()
    );
}

#[test]
fn the_builds_with_some_tags() {
    insta::assert_snapshot!(filled().get("/pony/tags/linux;python-3.11?fields=id").shown());
}

#[test]
fn the_tags_of_a_project() {
    insta::assert_snapshot!(filled().get("/pony/tags").shown());
}

#[test]
fn a_user_and_the_list_of_users() {
    let server = filled();
    insta::assert_snapshot!(server.get("/users/alice").shown());
    insta::assert_snapshot!(server.get("/users").shown());
}

#[test]
fn the_builds_of_a_user() {
    insta::assert_snapshot!(filled().get("/users/alice/builds?fields=id,links").shown());
}

#[test]
fn an_error() {
    let server = filled();
    insta::assert_snapshot!(server.get("/nobody/builds").shown());
    insta::assert_snapshot!(
        server
            .post(
                "/pony/builds",
                r#"{"success":true,"results":[{"name":"a","success":true},{"success":1}]}"#
            )
            .shown()
    );
    insta::assert_snapshot!(server.get("/pony/builds?sort=x").shown());
}

#[test]
fn the_description_has_the_resources_and_methods_that_there_are() {
    let server = filled();
    let description = server.get("/openapi.json").json();
    let slug = || "p".parse().unwrap();
    let key = || "k".parse().unwrap();
    let user = || "u".parse().unwrap();
    let Ok(Resource::Tagged(_, tags)) = Resource::parse("/p/tags/t") else { panic!() };
    let all = [
        Resource::ProjectList,
        Resource::Project(slug()),
        Resource::BuildList(slug()),
        Resource::LatestBuild(slug()),
        Resource::Build(slug(), key()),
        Resource::Progress(slug(), key()),
        Resource::TagList(slug()),
        Resource::Tagged(slug(), tags.clone()),
        Resource::LatestTagged(slug(), tags.clone()),
        Resource::TestList(slug(), "1".parse().unwrap()),
        Resource::Receipt(slug(), "1".parse().unwrap()),
        Resource::Reparse(slug(), "1".parse().unwrap()),
        Resource::StepOutput(slug(), key(), 0, Stream::Output),
        Resource::StepOutput(slug(), key(), 0, Stream::Errout),
        Resource::Events(slug(), key()),
        Resource::Session,
        Resource::Asset("x.css".to_owned()),
        Resource::TestHistory(slug(), "x".to_owned()),
        Resource::Badge(BuildsOf::Project(slug())),
        Resource::Badge(BuildsOf::Tagged(slug(), tags.clone())),
        Resource::Badge(BuildsOf::User(user())),
        Resource::Feed(BuildsOf::Project(slug())),
        Resource::Feed(BuildsOf::Tagged(slug(), tags.clone())),
        Resource::Feed(BuildsOf::User(user())),
        Resource::UserList,
        Resource::User(user()),
        Resource::UserBuilds(user()),
        Resource::LatestByUser(user()),
        Resource::ComponentsOfType("x".to_owned()),
        Resource::BuildsOfComponent("x".to_owned()),
        Resource::Health,
        Resource::Ready,
        Resource::Metrics,
        Resource::OpenApi,
    ];
    let mut all = all.to_vec();
    for collection in devmason_hypermedia::Collection::ALL {
        all.push(Resource::List(collection));
        all.push(Resource::Object(collection, "x".to_owned()));
    }
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.len(), all.len());
    for resource in all {
        let methods: Vec<String> =
            resource.methods().iter().map(|method| method.as_str().to_lowercase()).collect();
        let item = paths[resource.pattern()].as_object().unwrap();
        let described: Vec<&String> =
            item.keys().filter(|key| !matches!(key.as_str(), "parameters" | "options")).collect();
        let mut sorted: Vec<&String> = methods.iter().collect();
        sorted.sort();
        assert_eq!(described, sorted, "{}", resource.pattern());
    }
}
