//! JSON-RPC 1.0 as OVSDB speaks it (RFC 7047 §4): a message's bytes to its parts, and back. Either
//! side may ask; what is inside `params` and `result` stays as it came.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::ovn::json::quoted;

/// A message, borrowed from its bytes.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// The other side asks.
    Request {
        /// What for, such as `echo`.
        method: Cow<'a, str>,
        /// With what.
        params: &'a RawValue,
        /// To be given back.
        id: &'a RawValue,
    },
    /// The other side tells.
    Notification(Notification<'a>),
    /// The other side answers.
    Reply {
        /// As it was asked under.
        id: &'a RawValue,
        /// The result, or the error.
        outcome: Result<&'a RawValue, &'a RawValue>,
    },
}

/// What a server tells without being asked.
#[derive(Clone, Copy, Debug)]
pub enum Notification<'a> {
    /// Changes of what `monitor` asked for.
    Update {
        /// The monitor's name.
        monitor: &'a RawValue,
        /// `<table-updates>`.
        updates: &'a RawValue,
    },
    /// Changes of what `monitor_cond` asked for.
    Update2 {
        /// The monitor's name.
        monitor: &'a RawValue,
        /// `<table-updates2>`.
        updates: &'a RawValue,
    },
    /// Changes of what `monitor_cond_since` asked for.
    Update3 {
        /// The monitor's name.
        monitor: &'a RawValue,
        /// The last transaction in it.
        last: &'a RawValue,
        /// `<table-updates2>`.
        updates: &'a RawValue,
    },
    /// The database of a monitor is gone.
    MonitorCanceled {
        /// The monitor's name.
        monitor: &'a RawValue,
    },
    /// `locked`, `stolen`, or what a later server may say.
    Other,
}

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// They are not JSON, or not of the form of a message.
    #[error("a message can't be read: {0}")]
    Json(String),
    /// Neither a method nor an id.
    #[error("a message neither asks nor answers")]
    Shapeless,
    /// An update without its parts.
    #[error("the params of {0} can't be read")]
    Params(&'static str),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// Reads a message.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RpcError> {
        let envelope: Envelope<'a> = serde_json::from_slice(bytes)
            .map_err(|error| RpcError::Json(quoted(&error.to_string()).into_owned()))?;
        let Envelope {
            method,
            params,
            id,
            result,
            error,
        } = envelope;
        let params = params.unwrap_or(RawValue::NULL);
        match (method, id) {
            (Some(method), Some(id)) => Ok(Self::Request { method, params, id }),
            (Some(method), None) => Notification::parse(&method, params).map(Self::Notification),
            (None, Some(id)) => Ok(Self::Reply {
                id,
                outcome: error.map_or(Ok(result.unwrap_or(RawValue::NULL)), Err),
            }),
            (None, None) => Err(RpcError::Shapeless),
        }
    }
}

impl<'a> Notification<'a> {
    fn parse(method: &str, params: &'a RawValue) -> Result<Self, RpcError> {
        Ok(match method {
            "update" => {
                let (monitor, updates) = parts(params, "update")?;
                Self::Update { monitor, updates }
            }
            "update2" => {
                let (monitor, updates) = parts(params, "update2")?;
                Self::Update2 { monitor, updates }
            }
            "update3" => {
                let (monitor, last, updates) = parts(params, "update3")?;
                Self::Update3 {
                    monitor,
                    last,
                    updates,
                }
            }
            "monitor_canceled" => {
                let (monitor,) = parts(params, "monitor_canceled")?;
                Self::MonitorCanceled { monitor }
            }
            _ => Self::Other,
        })
    }
}

fn parts<'a, T: Deserialize<'a>>(
    params: &'a RawValue,
    method: &'static str,
) -> Result<T, RpcError> {
    serde_json::from_str(params.get()).map_err(|_| RpcError::Params(method))
}

/// The bytes of a request.
#[must_use]
pub fn request(id: u64, method: &str, params: &Value) -> Vec<u8> {
    json!({ "method": method, "params": params, "id": id })
        .to_string()
        .into_bytes()
}

/// The bytes of an answer to an `echo`.
#[must_use]
pub fn echo_reply(id: &RawValue, params: &RawValue) -> Vec<u8> {
    format!(r#"{{"id":{id},"result":{params},"error":null}}"#).into_bytes()
}

/// The bytes of an answer to a request for anything else.
#[must_use]
pub fn unknown_method(id: &RawValue) -> Vec<u8> {
    format!(r#"{{"id":{id},"result":null,"error":"unknown method"}}"#).into_bytes()
}

/// The words of an error: servers send a string, or an object with `error` and `details`.
#[must_use]
pub fn words(error: &RawValue) -> String {
    if error.get().len() > LONGEST_ERROR {
        return quoted(error.get()).into_owned();
    }
    let json: Value = serde_json::from_str(error.get()).unwrap_or_default();
    let text = |json: &Value| json.as_str().map(str::to_owned);
    let said = text(&json).or_else(|| {
        let name = text(json.get("error")?)?;
        Some(match json.get("details").and_then(text) {
            Some(details) => format!("{name}: {details}"),
            None => name,
        })
    });
    said.unwrap_or_else(|| error.get().to_owned())
}

/// An error that is longer is shown by its beginning, and not read.
const LONGEST_ERROR: usize = 4096;

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
            Ok(Message::Notification(notification)) => match notification {
                Notification::Update { monitor, updates } => format!("{monitor}: 1 {updates}"),
                Notification::Update2 { monitor, updates } => format!("{monitor}: 2 {updates}"),
                Notification::Update3 {
                    monitor,
                    last,
                    updates,
                } => format!("{monitor}: 3 {last} {updates}"),
                Notification::MonitorCanceled { monitor } => format!("{monitor}: canceled"),
                Notification::Other => "other".to_owned(),
            },
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
                r#""m": 1 {}"#,
            ),
            (
                r#"{"method":"update2","params":[["a"],{}],"id":null}"#,
                r#"["a"]: 2 {}"#,
            ),
            (
                r#"{"id":null,"method":"update3","params":["m","t",{}]}"#,
                r#""m": 3 "t" {}"#,
            ),
            (
                r#"{"method":"monitor_canceled","params":["m"],"id":null}"#,
                r#""m": canceled"#,
            ),
            (r#"{"method":"locked","params":["l"],"id":null}"#, "other"),
            (r#"{"\u006dethod":"stolen","params":[]}"#, "other"),
        ] {
            assert_eq!(told(bytes), expect, "{bytes}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, expect) in [
            ("{}", "a message neither asks nor answers"),
            (r#"{"result":{}}"#, "a message neither asks nor answers"),
            (
                r#"{"method":"update","params":["m"],"id":null}"#,
                "the params of update can't be read",
            ),
            (
                r#"{"method":"update3","params":["m",{}]}"#,
                "the params of update3 can't be read",
            ),
            (
                r#"{"method":"update2"}"#,
                "the params of update2 can't be read",
            ),
        ] {
            assert_eq!(told(bytes), expect, "{bytes}");
        }
        for bytes in [r#"{"method":1}"#, r#"{"a":}"#, "{]"] {
            assert!(
                told(bytes).starts_with("a message can't be read: "),
                "{bytes}"
            );
        }
        assert!(matches!(
            Message::parse(b"{\"id\":1,\"result\":\"\xff\"}"),
            Err(RpcError::Json(_))
        ));
    }

    #[test]
    fn what_is_sent_is_one_message() {
        let request = request(3, "get_schema", &json!(["D"]));
        assert_eq!(
            String::from_utf8(request.clone()).unwrap(),
            r#"{"id":3,"method":"get_schema","params":["D"]}"#
        );
        let asked = r#"{"id":[1],"method":"echo","params":["\u00e4"]}"#;
        let Ok(Message::Request { params, id, .. }) = Message::parse(asked.as_bytes()) else {
            panic!("{asked}");
        };
        assert_eq!(
            String::from_utf8(echo_reply(id, params)).unwrap(),
            r#"{"id":[1],"result":["\u00e4"],"error":null}"#
        );
        assert_eq!(
            told(std::str::from_utf8(&unknown_method(id)).unwrap()),
            "[1] fails: unknown method"
        );
    }
}
