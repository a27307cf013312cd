//! Other people's shapes, to and from berth's own: admission reviews, extender calls, Kubernetes
//! and KubeVirt objects. Only the fields that berth uses are read; what is passed on is passed on
//! as the bytes that came.

pub mod admission;
pub mod extender;
mod gather;
pub mod kubevirt;
mod map;
pub mod names;
pub mod objects;
pub mod patch;
pub mod preempt;
pub mod prioritize;
mod reply;
mod scan;
pub mod template;
mod text;

use crate::text::{LONGEST_NAME, LONGEST_TEXT, shorten};

use map::Map;
pub use reply::{Outgoing, Reply};
pub use text::Text;

/// Reads a JSON object. Serde takes an array for a struct as well; Kubernetes does not.
fn read_object<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
    if text.trim_ascii_start().starts_with('[') {
        return Err(serde::de::Error::custom("expected an object, not an array"));
    }
    serde_json::from_str(text)
}

/// What is wrong with a JSON object, and in which field of it: for people, who never saw the bytes.
/// A second, slower reading, for when the first has failed.
fn explain_object<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Option<String> {
    if text.trim_ascii_start().starts_with('[') {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let error = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err()?;
    let problem = shorten(error.inner(), LONGEST_TEXT);
    let problem = problem.split(" at line ").next().unwrap_or_default();
    Some(match shorten(error.path(), LONGEST_NAME).as_str() {
        "." => problem.to_owned(),
        path => format!("{problem} in {path}"),
    })
}

/// Encodes one of the answers of this module. Their maps have string keys and nothing in them
/// refuses to serialize, so an error can't come up; were it to, an empty body is a clear failure
/// for the caller and no panic for berth.
fn encode<T: serde::Serialize + ?Sized>(answer: &T) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap_or_default()
}
