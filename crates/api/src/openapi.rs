//! stub
use serde_json::{Value, json};
/// stub
pub fn document(server: &str) -> Value { json!({"servers":[{"url":server}]}) }
