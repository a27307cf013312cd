//! Asks the service what a step asks, and shows the answers.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde::Deserialize;
use serde_json::Value;

use crate::demo::DemoError;
use crate::demo::client::Client;
use crate::demo::steps::{Call, FITS, LEFT_ALONE, Question, Review, Rows, Step};
use crate::demo::table::table;

/// A step that was played.
pub(super) struct Played {
    pub(super) text: String,
    pub(super) answers: Vec<Answer>,
}

/// An answer beside the expected one.
pub(super) struct Answer {
    subject: String,
    got: String,
    expected: &'static str,
}

impl Answer {
    /// What is wrong with it; `None` if it is the expected one.
    pub(super) fn problem(&self) -> Option<String> {
        let Self {
            subject,
            got,
            expected,
        } = self;
        (got != expected).then(|| format!("{subject}: {got:?} instead of {expected:?}"))
    }
}

impl Step {
    /// Asks, and shows the answers.
    pub(super) async fn play(&self, client: &Client) -> Result<Played, DemoError> {
        let (body, answers) = match &self.question {
            Question::Reviews(reviews) => review(client, reviews).await?,
            Question::Filter(call, rows) => {
                let reply: FilterReply = client.post(call).await?;
                nodes("berth's verdict", rows, |node| reply.verdict(node))
            }
            Question::Prioritize(call, rows) => {
                let reply: Vec<HostPriority> = client.post(call).await?;
                let score = |node: &str| {
                    let found = reply.iter().find(|priority| priority.host == node)?;
                    Some(format!("{} of 10", found.score))
                };
                nodes("berth's score", rows, score)
            }
            Question::UnknownVmi(call, expected) => {
                let FilterReply { error, .. } = client.post(call).await?;
                (
                    format!("   {error}\n"),
                    vec![answer("the error", error, expected)],
                )
            }
            Question::Admin(rows) => admin(client, rows).await?,
        };
        let text = format!("{}\n\n{body}", self.title);
        Ok(Played { text, answers })
    }
}

fn answer(subject: &str, got: String, expected: &'static str) -> Answer {
    Answer {
        subject: subject.to_owned(),
        got,
        expected,
    }
}

async fn review(client: &Client, reviews: &[Review]) -> Result<(String, Vec<Answer>), DemoError> {
    let mut rows = Vec::new();
    let mut warnings = String::new();
    let mut answers = Vec::new();
    for Review {
        call,
        binding,
        expected,
    } in reviews
    {
        let reply: Value = client.post(call).await?;
        let response = &reply["response"];
        for warning in response["warnings"].as_array().into_iter().flatten() {
            let warning = warning.as_str().unwrap_or_default();
            warnings.extend(["   warning:\n   ", warning, "\n"]);
        }
        let got = outcome(response);
        rows.push([
            object(call),
            (*binding).to_owned(),
            summary(&got).to_owned(),
        ]);
        answers.push(answer(call.name, got, expected));
    }
    let table = table(["object", "bound by", "berth's answer"], &rows);
    Ok((format!("{table}\n{warnings}"), answers))
}

/// Kind and name of the object under review.
fn object(call: &Call) -> String {
    let review: Value = serde_json::from_str(&call.body).unwrap_or_default();
    let request = &review["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{} {}",
        text(&request["kind"]["kind"]),
        text(&request["name"])
    )
}

/// What comes of a review: where the annotation is added, what the warnings are.
fn outcome(response: &Value) -> String {
    const KEY: &str = "/kubevirt.io~1allow-pod-bridge-network-live-migration";
    let mut parts = Vec::new();
    if response["allowed"] != true {
        parts.push("not allowed".to_owned());
    }
    let patch = ByteString::deserialize(&response["patch"]).unwrap_or_default();
    let patch: Value = serde_json::from_slice(&patch.0).unwrap_or_default();
    if let Some(key) = patch[0]["path"].as_str() {
        let annotations = key.trim_end_matches(KEY);
        parts.push(format!("annotation added at {annotations}"));
    }
    let warnings = response["warnings"].as_array().into_iter().flatten();
    parts.extend(warnings.filter_map(Value::as_str).map(str::to_owned));
    if parts.is_empty() {
        return LEFT_ALONE.to_owned();
    }
    parts.join("; ")
}

fn summary(outcome: &str) -> &str {
    match outcome {
        LEFT_ALONE => LEFT_ALONE,
        "annotation added at /metadata/annotations" => "annotation added",
        _ if outcome.starts_with("annotation added") => "annotation added to its VMI template",
        _ => "left alone, with a warning",
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterReply {
    node_names: Option<Vec<String>>,
    failed_nodes: BTreeMap<String, String>,
    failed_and_unresolvable_nodes: BTreeMap<String, String>,
    error: String,
}

impl FilterReply {
    fn verdict(&self, node: &str) -> Option<String> {
        if self.node_names.iter().flatten().any(|name| name == node) {
            return Some(FITS.to_owned());
        }
        let failed = self.failed_and_unresolvable_nodes.get(node);
        failed.or_else(|| self.failed_nodes.get(node)).cloned()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostPriority {
    host: String,
    score: u8,
}

fn nodes(
    heading: &str,
    rows: &Rows,
    answer_for: impl Fn(&str) -> Option<String>,
) -> (String, Vec<Answer>) {
    let answers: Vec<Answer> = rows
        .iter()
        .map(|(node, expected)| {
            let got = answer_for(node).unwrap_or_else(|| "no answer".to_owned());
            answer(node, got, expected)
        })
        .collect();
    let cells: Vec<_> = answers
        .iter()
        .map(|answer| [answer.subject.clone(), answer.got.clone()])
        .collect();
    (table(["node", heading], &cells), answers)
}

async fn admin(client: &Client, rows: &Rows) -> Result<(String, Vec<Answer>), DemoError> {
    let page = format!(
        "/readyz {}\n{}",
        client.get("/readyz").await?.trim(),
        client.get("/metrics").await?
    );
    let mut text = String::new();
    let mut answers = Vec::new();
    for (name, expected) in rows {
        let found = page.lines().find_map(|line| line.strip_prefix(name));
        let found = found.map_or("missing", str::trim);
        text.extend(["   ", name, " ", found, "\n"]);
        answers.push(answer(name, found.to_owned(), expected));
    }
    Ok((text, answers))
}
