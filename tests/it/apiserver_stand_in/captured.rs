//! Requests that a kube-apiserver 1.36 with KubeVirt's definitions was sent, one after the other, are
//! answered as it answered them: the status, the headers that clients read, refusals to the byte, and
//! objects but for what the real one fills in by default.

use std::collections::BTreeMap;

use http_body_util::BodyExt;
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;

use super::client;
use crate::apiserver::{ApiServer, Verb};
use crate::support::capture;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exchange {
    name: String,
    method: String,
    /// May take values from earlier answers: `{continue of page 1}`.
    path: String,
    #[serde(default)]
    content_type: String,
    body: Option<Value>,
    #[serde(default = "json")]
    accept: String,
    #[serde(default)]
    when: When,
    status: u16,
    headers: BTreeMap<String, String>,
    /// Volatile values are replaced by words: TIME, UID, VERSION, CONTINUE.
    lines: Vec<String>,
    /// There would be more lines.
    #[serde(default)]
    goes_on: bool,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "camelCase")]
enum When {
    #[default]
    Always,
    /// Asked by somebody who may not.
    Denied,
    /// Asked by somebody unknown.
    Stranger,
    /// Asked when all states but the present were compacted.
    Compacted,
}

fn json() -> String {
    "application/json".to_owned()
}

#[tokio::test]
async fn captured_requests_are_answered_as_they_were() {
    let server = ApiServer::start();
    server.require_token("right");
    let client = client(&server).await;
    let mut values = BTreeMap::new();
    let exchanges: Vec<Exchange> = serde_json::from_str(&capture("apiserver")).unwrap();
    for exchange in exchanges {
        let name = &exchange.name;
        arrange(&server, exchange.when);
        let response = send(&client, &exchange, &values).await;
        assert_eq!(response.status(), exchange.status, "{name}");
        for (header, value) in &exchange.headers {
            assert_eq!(response.headers()[header], value, "{name}: {header}");
        }
        let wanted = exchange.goes_on.then_some(exchange.lines.len());
        let lines = lines(response, wanted).await;
        assert_eq!(lines.len(), exchange.lines.len(), "{name}: {lines:?}");
        for (line, expected) in lines.iter().zip(&exchange.lines) {
            compare(name, line, expected);
        }
        if let Some(Ok(answer)) = lines
            .first()
            .map(|line| serde_json::from_str::<Value>(line))
        {
            for field in ["continue", "resourceVersion"] {
                if let Some(value) = answer["metadata"][field].as_str() {
                    values.insert(format!("{{{field} of {name}}}"), value.to_owned());
                }
            }
        }
    }
}

fn arrange(server: &ApiServer, when: When) {
    server.require_token(match when {
        When::Stranger => "another",
        _ => "right",
    });
    for verb in [
        Verb::Get,
        Verb::List,
        Verb::Watch,
        Verb::Create,
        Verb::Patch,
    ] {
        match when {
            When::Denied => server.deny(verb, "*"),
            _ => server.allow(verb, "*"),
        }
    }
    if let When::Compacted = when {
        server.compact();
    }
}

async fn send(
    client: &Client,
    exchange: &Exchange,
    values: &BTreeMap<String, String>,
) -> Response<Body> {
    let mut path = exchange.path.clone();
    for (place, value) in values {
        path = path.replace(place, value);
    }
    let request = Request::builder()
        .method(exchange.method.as_str())
        .uri(path)
        .header("accept", &exchange.accept)
        .header("content-type", &exchange.content_type);
    let body = match &exchange.body {
        None => Body::empty(),
        Some(Value::String(body)) => Body::from(body.clone().into_bytes()),
        Some(body) => Body::from(body.to_string().into_bytes()),
    };
    client.send(request.body(body).unwrap()).await.unwrap()
}

/// All lines of a body, or so many of one that goes on.
async fn lines(response: Response<Body>, wanted: Option<usize>) -> Vec<String> {
    let mut body = response.into_body();
    let mut text = String::new();
    while wanted.is_none_or(|wanted| text.lines().count() < wanted || !text.ends_with('\n')) {
        let Some(frame) = body.frame().await else {
            break;
        };
        let data = frame.unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&data).unwrap());
    }
    let lines = text.lines().map(str::to_owned);
    lines.take(wanted.unwrap_or(usize::MAX)).collect()
}

fn compare(name: &str, line: &str, expected: &str) {
    let Ok(mut value) = serde_json::from_str::<Value>(line) else {
        assert_eq!(line, expected, "{name}");
        return;
    };
    let token = value["metadata"]["continue"].as_str().unwrap_or_default();
    let line = match token {
        "" => line.to_owned(),
        token => line.replace(token, "CONTINUE"),
    };
    replace_volatile(&mut value);
    let same: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(value, same, "{name}");
    // The order of fields: of all in a refusal, of the first in an object.
    let refusal = value["status"] == "Failure";
    let shown = if refusal { expected.len() } else { 30 };
    assert_eq!(line[..shown], expected[..shown], "{name}");
}

fn replace_volatile(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(replace_volatile),
        Value::Object(fields) => {
            // Filled in by the real one as well, and not captured.
            fields.retain(|name, value| {
                !matches!((name.as_str(), &*value), ("spec" | "status", Value::Object(fields)) if fields.is_empty())
            });
            for (name, value) in fields {
                let word = match (name.as_str(), &*value) {
                    ("creationTimestamp" | "deletionTimestamp", _) => "TIME",
                    ("uid", _) => "UID",
                    ("resourceVersion", Value::String(_)) => "VERSION",
                    ("continue", Value::String(token)) if !token.is_empty() => "CONTINUE",
                    _ => {
                        replace_volatile(value);
                        continue;
                    }
                };
                *value = word.into();
            }
        }
        _ => {}
    }
}
