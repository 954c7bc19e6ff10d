//! Components with their types, and the names of objects in a list.

use crate::*;

pub(super) fn names(answer: &Answer, plural: &str) -> Vec<String> {
    let json = answer.json();
    json[plural]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["name"].as_str().unwrap().to_owned())
        .collect()
}

/// A component type with its components.
pub(super) fn with_components(server: &Server, component_type: &str, components: &[&str]) {
    let body = format!(r#"{{"name":"{component_type}"}}"#);
    assert_eq!(server.post("/api/v1/componenttypes", &body).status, 201);
    for name in components {
        let body = format!(r#"{{"name":"{name}","componenttype":"{component_type}"}}"#);
        assert_eq!(server.post("/api/v1/components", &body).status, 201, "{name}");
    }
}
