//! CEL as kube-apiserver evaluates it: optional types are on.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use cel::{Context, Env, Program, Value as Cel};
use serde_json::Value;

thread_local! {
    static ENV: Arc<Env> = Arc::new(Env::stdlib().with_optional_support(true));
    /// Parsing takes longer than running, and a property runs the same ones often.
    static PROGRAMS: RefCell<HashMap<String, Rc<Program>>> = RefCell::default();
}

#[track_caller]
fn compiled(expression: &str) -> Rc<Program> {
    PROGRAMS.with_borrow_mut(|programs| {
        let program = programs.entry(expression.to_owned()).or_insert_with(|| {
            let compiled = ENV.with(|env| env.compile(expression));
            Rc::new(compiled.unwrap_or_else(|error| panic!("{expression}: {error}")))
        });
        Rc::clone(program)
    })
}

/// What an expression says of these variables.
#[track_caller]
pub(super) fn evaluate(expression: &str, variables: &Value) -> Value {
    let program = compiled(expression);
    let mut context = Context::with_env(ENV.with(Arc::clone));
    for (name, value) in variables.as_object().unwrap() {
        context.add_variable(name.as_str(), value).unwrap();
    }
    let value: Cel = program
        .execute(&context)
        .unwrap_or_else(|error| panic!("{expression}: {error}\n{variables}"));
    value.json().unwrap()
}
