//! The JSON Schema of the file.

use serde_json::{Value, json};

use crate::config::Config;

impl Config {
    /// The JSON Schema of the file.
    #[must_use]
    pub fn schema() -> schemars::Schema {
        let mut schema = schemars::schema_for!(Self);
        if let Some(Value::Object(types)) = schema.get_mut("$defs") {
            types.values_mut().for_each(allow_null);
        }
        if let Some(fields) = schema.get_mut("properties") {
            allow_null_in(fields);
        }
        schema
    }
}

/// Lets each field of a type be null, which counts as left out.
fn allow_null(schema: &mut Value) {
    if let Some(fields) = schema.get_mut("properties") {
        allow_null_in(fields);
    }
}

fn allow_null_in(fields: &mut Value) {
    let fields = fields.as_object_mut().into_iter().flatten();
    for (_, field) in fields {
        let Value::Object(field) = field else {
            continue;
        };
        if let Some(reference) = field.remove("$ref") {
            let either = json!([{ "$ref": reference }, { "type": "null" }]);
            field.insert("anyOf".to_owned(), either);
        } else if let Some(kind @ Value::String(_)) = field.get_mut("type") {
            *kind = json!([kind, "null"]);
        }
    }
}
