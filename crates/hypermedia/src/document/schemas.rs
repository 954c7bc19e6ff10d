//! The schemas of all documents, as in `/openapi.json`, derived from the documents' types.

use devmason_domain::Receipt;
use schemars::generate::{Contract, SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, json_schema};
use serde_json::{Map, Value};

use super::*;
use crate::Collection;

/// The schemas by name (JSON Schema 2020-12, as in OpenAPI 3.1).
pub fn schemas() -> Map<String, Value> {
    let mut sent = generator(Contract::Deserialize);
    sent.subschema_for::<IncomingBuild>();
    sent.subschema_for::<IncomingStep>();
    sent.subschema_for::<IncomingLog>();
    sent.subschema_for::<IncomingClosing>();
    sent.subschema_for::<IncomingProject>();
    sent.subschema_for::<IncomingUser>();
    sent.subschema_for::<IncomingIssue>();
    sent.subschema_for::<IncomingTrack>();
    sent.subschema_for::<IncomingComponentType>();
    sent.subschema_for::<IncomingComponent>();
    let mut all = sent.take_definitions(true);
    // A new object requires members that a change may omit.
    if let Some(mut new) = all.get("ComponentChange").cloned() {
        new["required"] = serde_json::json!(["name", "componenttype"]);
        all.insert("NewComponent".to_owned(), new);
    }
    if let Some(mut new) = all.get("IssueChange").cloned() {
        new["required"] = serde_json::json!(["title", "match"]);
        all.insert("NewIssue".to_owned(), new);
    }

    let mut got = generator(Contract::Serialize);
    got.subschema_for::<BuildListDocument<'_>>();
    got.subschema_for::<ProjectListDocument<'_>>();
    got.subschema_for::<StepDocument<'_>>();
    got.subschema_for::<LogMatchesDocument>();
    got.subschema_for::<UserListDocument<'_>>();
    got.subschema_for::<TagListDocument<'_>>();
    got.subschema_for::<TestListDocument<'_>>();
    got.subschema_for::<HistoryDocument<'_>>();
    got.subschema_for::<ComparisonDocument>();
    got.subschema_for::<SearchDocument>();
    got.subschema_for::<AdministrationDocument>();
    got.subschema_for::<InsightDocument>();
    got.subschema_for::<RevisionDocument>();
    got.subschema_for::<TrackListDocument>();
    got.subschema_for::<TrackHealthDocument>();
    got.subschema_for::<TrackTestListDocument>();
    got.subschema_for::<TrackGridDocument>();
    got.subschema_for::<SignatureDocument>();
    got.subschema_for::<IssueListDocument<'_>>();
    got.subschema_for::<ReceiptDocument>();
    got.subschema_for::<Receipt>();
    got.subschema_for::<SessionDocument<'_>>();
    got.subschema_for::<StatusDocument<'_>>();
    got.subschema_for::<ErrorDocument<'_>>();
    let mut objects = Map::new();
    for collection in Collection::ALL {
        let (name, object) = match collection {
            Collection::ComponentTypes => of::<ComponentTypeObject<'_>>(&mut got),
            Collection::Components => of::<ComponentObject<'_>>(&mut got),
            Collection::Projects => of::<ProjectObject<'_>>(&mut got),
            Collection::Builds => of::<BuildObject<'_>>(&mut got),
            Collection::Steps => of::<StepObject<'_>>(&mut got),
            Collection::Tests => of::<TestObject<'_>>(&mut got),
            Collection::Tags => of::<TagObject<'_>>(&mut got),
            Collection::Users => of::<UserObject<'_>>(&mut got),
            Collection::Issues => of::<IssueObject<'_>>(&mut got),
            Collection::Tracks => of::<TrackObject<'_>>(&mut got),
        };
        let (one, many) = (collection.singular(), collection.plural());
        objects.insert(format!("One{name}"), OneObject::<()>::schema(one, &object));
        objects.insert(format!("{name}s"), ObjectList::<()>::schema(many, &object));
    }
    all.extend(got.take_definitions(true));
    // `fields` leaves out all members but those that it names.
    for chosen in ["Insight", "Revision"] {
        if let Some(Value::Object(schema)) = all.get_mut(chosen) {
            schema.remove("required");
        }
    }
    all.extend(objects);
    all
}

fn generator(contract: Contract) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.contract = contract;
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    settings.into_generator()
}

/// A type's name and schema.
fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> (String, Value) {
    (T::schema_name().into_owned(), generator.subschema_for::<T>().into())
}

impl<T> OneObject<T> {
    fn schema(name: &str, object: &Value) -> Value {
        json_schema!({"type": "object", "required": [name], "properties": {name: object}}).into()
    }
}

impl<T> ObjectList<T> {
    fn schema(name: &str, object: &Value) -> Value {
        json_schema!({
            "type": "object", "required": [name, "_meta"],
            "properties": {
                name: {"type": "array", "items": object},
                "_meta": {
                    "type": "object", "required": ["count"],
                    "properties": {"count": {"type": "integer", "minimum": 0}},
                },
            },
        })
        .into()
    }
}
