//! CEL as kube-apiserver evaluates it: optional types are on.

use std::sync::Arc;

use cel::{Context, Env, Value as Cel};
use serde_json::Value;

/// What an expression says of these variables.
#[track_caller]
pub(super) fn evaluate(expression: &str, variables: &Value) -> Value {
    let env = Env::stdlib().with_optional_support(true);
    let program = env
        .compile(expression)
        .unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut context = Context::with_env(Arc::new(env));
    for (name, value) in variables.as_object().unwrap() {
        context.add_variable(name.as_str(), value).unwrap();
    }
    let value: Cel = program
        .execute(&context)
        .unwrap_or_else(|error| panic!("{expression}: {error}\n{variables}"));
    value.json().unwrap()
}
