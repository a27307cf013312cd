//! JSON-RPC 1.0 as OVSDB speaks it (RFC 7047 §4): a message's bytes to its parts, and back. Either
//! side may send requests; what is inside `params` and `result` stays as it came.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};
use crate::json::{quoted, unreadable};

/// A message, borrowed from its bytes.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// The other side wants an answer.
    Request {
        /// What for, such as `echo`.
        method: Cow<'a, str>,
        /// With what.
        params: &'a RawValue,
        /// To be given back.
        id: &'a RawValue,
    },
    /// The other side tells something.
    Notification {
        /// What it is, such as `update2`.
        method: Cow<'a, str>,
        /// The content.
        params: &'a RawValue,
    },
    /// The other side answers a request.
    Reply {
        /// The id of the request.
        id: &'a RawValue,
        /// The result, or the error.
        outcome: Result<&'a RawValue, &'a RawValue>,
    },
}

impl<'a> Message<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// It is not JSON, or has neither a method nor an id.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(borrow)]
            method: Option<Cow<'a, str>>,
            #[serde(borrow)]
            params: Option<&'a RawValue>,
            #[serde(borrow)]
            id: Option<&'a RawValue>,
            #[serde(borrow)]
            result: Option<&'a RawValue>,
            #[serde(borrow)]
            error: Option<&'a RawValue>,
        }
        let Envelope {
            method,
            params,
            id,
            result,
            error,
        } = serde_json::from_slice(bytes).map_err(|error| unreadable("a message", &error))?;
        let params = params.unwrap_or(RawValue::NULL);
        match (method, id) {
            (Some(method), Some(id)) => Ok(Self::Request { method, params, id }),
            (Some(method), None) => Ok(Self::Notification { method, params }),
            (None, Some(id)) => Ok(Self::Reply {
                id,
                outcome: error.map_or(Ok(result.unwrap_or(RawValue::NULL)), Err),
            }),
            (None, None) => Err(Error::unreadable("a message neither asks nor answers")),
        }
    }
}

/// The bytes of a request.
#[must_use]
pub fn request(id: u64, method: &str, params: &Value) -> Vec<u8> {
    json!({ "method": method, "params": params, "id": id })
        .to_string()
        .into_bytes()
}

/// The longest request that is answered, in bytes. Servers send an echo of a few.
const LONGEST_REQUEST: usize = 64 << 10;

/// The bytes of the answer to a request of a server: an `echo` is repeated, and nothing else is known.
pub(crate) fn answer(method: &str, params: &RawValue, id: &RawValue) -> Result<Vec<u8>, Error> {
    if params.get().len() + id.get().len() > LONGEST_REQUEST {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("a request of the server is longer than {LONGEST_REQUEST} bytes"),
        ));
    }
    let answer = if method == "echo" {
        format!(r#"{{"id":{id},"result":{params},"error":null}}"#)
    } else {
        format!(r#"{{"id":{id},"result":null,"error":"unknown method"}}"#)
    };
    Ok(answer.into_bytes())
}

/// An error that is longer is shown by its beginning, and not read.
const LONGEST_ERROR: usize = 4096;

/// The words of an error: servers send a string, or an object with `error` and `details`.
pub(crate) fn words(error: &RawValue) -> String {
    let text = error.get();
    let words = (text.len() <= LONGEST_ERROR).then(|| words_of(&serde_json::from_str(text).ok()?));
    quoted(words.flatten().as_deref().unwrap_or(text)).into_owned()
}

/// The words of an `<error>` (RFC 7047 §3.1), or of a string.
pub(crate) fn words_of(error: &Value) -> Option<String> {
    if let Some(text) = error.as_str() {
        return Some(text.to_owned());
    }
    let name = error.get("error")?.as_str()?;
    Some(match error.get("details").and_then(Value::as_str) {
        Some(details) => format!("{name}: {details}"),
        None => name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message in one line.
    fn told(bytes: &str) -> String {
        match Message::parse(bytes.as_bytes()) {
            Ok(Message::Request { method, params, id }) => format!("{id} asks {method} {params}"),
            Ok(Message::Reply {
                id,
                outcome: Ok(result),
            }) => format!("{id} is {result}"),
            Ok(Message::Reply {
                id,
                outcome: Err(error),
            }) => format!("{id} fails: {}", words(error)),
            Ok(Message::Notification { method, params }) => format!("{method}: {params}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_kind_of_message_is_told_apart() {
        for (bytes, expect) in [
            (
                r#"{"method":"echo","params":[1, 2],"id":"echo"}"#,
                r#""echo" asks echo [1, 2]"#,
            ),
            (
                r#"{"id":7,"result":{"a":1},"error":null}"#,
                r#"7 is {"a":1}"#,
            ),
            (r#"{"id":7,"result":null,"error":null}"#, "7 is null"),
            (r#"{"id":7,"error":"no"}"#, "7 fails: no"),
            (
                r#"{"id":7,"result":null,"error":{"error":"unknown database","details":"x","syntax":""}}"#,
                "7 fails: unknown database: x",
            ),
            (
                r#"{"id":7,"result":null,"error":{"error":"canceled"}}"#,
                "7 fails: canceled",
            ),
            (r#"{"id":7,"result":null,"error":[1]}"#, "7 fails: [1]"),
            (
                r#"{"method":"update","params":["m",{}],"id":null}"#,
                r#"update: ["m",{}]"#,
            ),
            (
                r#"{"\u006dethod":"stolen","params":["l"]}"#,
                r#"stolen: ["l"]"#,
            ),
            (r#"{"method":"update2"}"#, "update2: null"),
        ] {
            assert_eq!(told(bytes), expect, "{bytes}");
        }
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        for bytes in ["{}", r#"{"result":{}}"#] {
            assert_eq!(told(bytes), "a message neither asks nor answers", "{bytes}");
        }
        for bytes in [r#"{"method":1}"#, r#"{"a":}"#, "{]"] {
            assert!(
                told(bytes).starts_with("a message can't be read: "),
                "{bytes}"
            );
        }
        let not_utf8 = Message::parse(b"{\"id\":1,\"result\":\"\xff\"}").unwrap_err();
        assert_eq!(not_utf8.kind(), ErrorKind::Unreadable);
    }

    #[test]
    fn a_request_is_one_message_and_an_answer_has_the_id_it_came_with() {
        let request = request(3, "get_schema", &json!(["D"]));
        assert_eq!(
            String::from_utf8(request).unwrap(),
            r#"{"id":3,"method":"get_schema","params":["D"]}"#
        );
        let asked = |method: &str| {
            let asked = format!(r#"{{"id":[1],"method":"{method}","params":["\u00e4"]}}"#);
            let Ok(Message::Request { method, params, id }) = Message::parse(asked.as_bytes())
            else {
                panic!("{asked}");
            };
            String::from_utf8(answer(&method, params, id).unwrap()).unwrap()
        };
        assert_eq!(
            asked("echo"),
            r#"{"id":[1],"result":["\u00e4"],"error":null}"#
        );
        assert_eq!(told(&asked("steal")), "[1] fails: unknown method");
    }
}
