//! Other people's shapes, to and from berth's own: admission reviews, extender calls, Kubernetes
//! and KubeVirt objects. Only the fields that berth uses are read; what is passed on is passed on
//! as the bytes that came.

pub mod admission;
pub mod bind;
pub mod extender;
mod gather;
pub mod kubevirt;
mod map;
pub mod objects;
pub mod patch;
pub mod preempt;
pub mod prioritize;
mod reply;
pub mod template;
mod text;

use serde::de::Error as _;

use crate::text::{LONGEST_NAME, LONGEST_TEXT, shorten};

use map::Map;
pub use reply::{Outgoing, Reply};
pub use text::Text;

/// Reads a JSON object. Serde takes an array for a struct as well; Kubernetes does not.
fn read_object<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    if text.trim_ascii_start().starts_with('[') {
        return Err(not_an_object());
    }
    serde_json::from_str(text)
}

fn not_an_object() -> serde_json::Error {
    serde_json::Error::custom("expected an object, not an array")
}

/// Reads an object that could not be read once more, for the field that is wrong.
fn error_with_path<'a, T: serde::Deserialize<'a>>(
    text: &'a str,
) -> Option<serde_path_to_error::Error<serde_json::Error>> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()
}

/// Reads an object. The error names the field, because its reader does not see the bytes.
///
/// # Errors
/// What is wrong, and the path of the field.
pub fn read_or_explain<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    read_object(text).map_err(|error| {
        let located = error_with_path::<T>(text).filter(|_| text.starts_with('{'));
        let Some(located) = located else {
            return shorten(error, LONGEST_TEXT);
        };
        let problem = shorten(located.inner(), LONGEST_TEXT);
        let problem = problem.split(" at line ").next().unwrap_or_default();
        match shorten(located.path(), LONGEST_NAME).as_str() {
            "." => problem.to_owned(),
            path => format!("{problem} in {path}"),
        }
    })
}

/// Encodes one of the answers of this module. Their maps have string keys and nothing in them
/// refuses to serialize, so an error can't come up; were it to, an empty body is a clear failure
/// for the caller and no panic for berth.
fn encode<T: serde::Serialize + ?Sized>(answer: &T) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap_or_default()
}
