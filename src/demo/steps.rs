//! What the demo asks, what it has to be told, and how it shows that.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use serde::Deserialize;
use serde_json::Value;

use crate::demo::DemoError;
use crate::demo::client::Client;
use crate::demo::table::table;

/// The cluster that the requests came from.
pub(super) const CLUSTER: &str = include_str!("../../tests/data/captures/cluster.json");

/// A captured request: its name and its body.
type Capture = (&'static str, &'static str);

macro_rules! capture {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../tests/data/captures/", $name, ".json")),
        )
    };
}

const MUTATE: &str = "/mutate?timeout=10s";
const FILTER: &str = "/scheduler/filter";
const PRIORITIZE: &str = "/scheduler/prioritize";
const APISERVER: &str = "kube-apiserver-admission";
const SCHEDULER: &str = "kube-scheduler";

/// One part of the demo.
pub(super) enum Step {
    /// Objects that are created.
    Reviews(Reviews),
    /// Nodes that a pod may land on.
    Filter(Filter),
    /// Which nodes are better for it.
    Prioritize(Prioritize),
    /// A VM that berth does not know.
    Unknown(Unknown),
    /// What the people who run berth see.
    Operations(Operations),
}

/// A step that was played.
pub(super) struct Played {
    pub(super) text: String,
    pub(super) asked: usize,
    pub(super) unexpected: Vec<String>,
}

/// All steps in order.
pub(super) fn all() -> Vec<Step> {
    vec![
        Step::Reviews(reviews()),
        Step::Filter(Filter {
            title: "kube-scheduler looks for a target for VM web. By itself it has left out el9-0, where the VM runs, and\n   the nodes without the VM's machine type, which KubeVirt 1.5.1 and newer select nodes by.",
            capture: capture!("filter-names-migration"),
            expected: vec![
                ("el9-1", FITS),
                ("el9-2", FITS),
                ("el9-3", FITS),
                ("el9-nochassis", "OVN chassis not registered"),
            ],
        }),
        Step::Filter(Filter {
            title: "The same for VM legacy with KubeVirt before 1.5.1, which does not select nodes by machine type.\n   kube-scheduler has left out el10-2 alone, where the VM runs.",
            capture: capture!("filter-names-migration-no-selector"),
            expected: vec![
                ("el10-0", "machine type pc-q35-rhel9.2.0 not supported"),
                ("el10-1", "machine type pc-q35-rhel9.2.0 not supported"),
                ("el9-0", FITS),
                ("el9-1", FITS),
                ("el9-2", FITS),
                ("el9-3", FITS),
                ("el9-nochassis", "OVN chassis not registered"),
                (
                    "old-nolabels",
                    "machine type pc-q35-rhel9.2.0 not supported",
                ),
            ],
        }),
        Step::Prioritize(Prioritize {
            title: "Which of the nodes that fit are better? A migration is on its way to el9-0 already. With OVN's\n   southbound database, nodes where the VM's network is there already would be ahead of all others.",
            capture: capture!("prioritize-names-migration-no-selector"),
            expected: vec![("el9-0", 9), ("el9-1", 10), ("el9-2", 10), ("el9-3", 10)],
        }),
        Step::Filter(Filter {
            title: "The first launch of a VM is not a migration: berth keeps out of it.",
            capture: capture!("filter-names-launch"),
            expected: vec![
                ("el9-0", FITS),
                ("el9-1", FITS),
                ("el9-2", FITS),
                ("el9-3", FITS),
                ("el9-nochassis", FITS),
            ],
        }),
        Step::Unknown(Unknown {
            capture: capture!("filter-nodes-migration-no-selector"),
            expected: "berth: VirtualMachineInstance default/legacy2 with UID fae1048e-9cdf-4188-993a-a34a1722432e is not known",
        }),
        Step::Operations(Operations {
            series: vec![
                (
                    r#"berth_admission_requests_total{kind="VirtualMachine",operation="CREATE",outcome="patched"}"#,
                    "3",
                ),
                (
                    r#"berth_nodes_judged_total{reason="machine_type",verdict="rejected"}"#,
                    "3",
                ),
                (
                    r#"berth_nodes_judged_total{reason="none",verdict="passed"}"#,
                    "7",
                ),
                (r#"berth_chassis_ready{node="el9-nochassis"}"#, "0"),
            ],
        }),
    ]
}

/// What is shown for a node that passes.
const FITS: &str = "fits";

impl Step {
    /// Asks, checks and shows.
    pub(super) async fn play(&self, client: &Client) -> Result<Played, DemoError> {
        match self {
            Self::Reviews(reviews) => reviews.play(client).await,
            Self::Filter(filter) => filter.play(client).await,
            Self::Prioritize(prioritize) => prioritize.play(client).await,
            Self::Unknown(unknown) => unknown.play(client).await,
            Self::Operations(operations) => operations.play(client).await,
        }
    }

    /// The requests that the step makes to the HTTPS listener.
    pub(super) fn requests(&self) -> Result<Vec<Call>, DemoError> {
        let call = |path, capture: Capture| Call {
            path,
            name: capture.0,
            body: capture.1.into(),
        };
        Ok(match self {
            Self::Reviews(reviews) => reviews
                .rows
                .iter()
                .map(|row| call(MUTATE, row.capture))
                .collect(),
            Self::Filter(Filter { capture, .. }) | Self::Unknown(Unknown { capture, .. }) => {
                vec![call(FILTER, *capture)]
            }
            Self::Prioritize(prioritize) => vec![Call {
                body: prioritize.body()?.into(),
                ..call(PRIORITIZE, prioritize.capture)
            }],
            Self::Operations(_) => Vec::new(),
        })
    }
}

/// A request to the HTTPS listener.
pub(super) struct Call {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) body: Cow<'static, str>,
}

/// Objects under review.
pub(super) struct Reviews {
    pub(super) rows: Vec<Review>,
}

/// One object under review.
pub(super) struct Review {
    capture: Capture,
    binding: &'static str,
    pub(super) expected: Expected,
}

/// What has to come of a review.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Expected {
    /// The annotation is added here.
    AddedAt(&'static str),
    /// Nothing is changed, nothing is said.
    Untouched,
    /// Nothing is changed, and this is the first warning.
    Warned(&'static str),
}

impl Review {
    /// Kind and name of the object under review.
    fn object(&self) -> Result<String, DemoError> {
        let review: Value = decode(MUTATE, self.capture.1)?;
        let text = |pointer| review.pointer(pointer).and_then(Value::as_str);
        let kind = text("/request/kind/kind").unwrap_or_default();
        let name = text("/request/name").unwrap_or_default();
        Ok(format!("{kind} {name}"))
    }
}

fn reviews() -> Reviews {
    let row = |capture, binding, expected| Review {
        capture,
        binding,
        expected,
    };
    Reviews {
        rows: vec![
            row(
                capture!("admission-create-vm-bridge"),
                "bridge",
                Expected::AddedAt("/spec/template/metadata/annotations"),
            ),
            row(
                capture!("admission-create-vm-no-interfaces"),
                "KubeVirt's default: bridge",
                Expected::AddedAt("/spec/template/metadata/annotations"),
            ),
            row(
                capture!("admission-create-vm-template-annotations"),
                "bridge",
                Expected::AddedAt("/spec/template/metadata/annotations"),
            ),
            row(
                capture!("admission-create-vmi-by-virt-controller"),
                "bridge",
                Expected::AddedAt("/metadata/annotations"),
            ),
            row(
                capture!("admission-create-vmpool-bridge"),
                "bridge",
                Expected::AddedAt(
                    "/spec/virtualMachineTemplate/spec/template/metadata/annotations",
                ),
            ),
            row(
                capture!("admission-create-vm-masquerade"),
                "masquerade",
                Expected::Untouched,
            ),
            row(
                capture!("admission-create-vm-annotated-false"),
                "bridge, key there: \"false\"",
                Expected::Warned(
                    "kubevirt.io/allow-pod-bridge-network-live-migration: any value allows it; opt out by berth.dev/inject: disabled instead",
                ),
            ),
            row(
                capture!("admission-update-vm-bridge"),
                "bridge; only a label changes",
                Expected::Untouched,
            ),
        ],
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReviewReply {
    response: ReviewResponse,
}

#[derive(Deserialize)]
struct ReviewResponse {
    allowed: bool,
    patch: Option<ByteString>,
    #[serde(default)]
    warnings: Vec<String>,
}

impl Reviews {
    async fn play(&self, client: &Client) -> Result<Played, DemoError> {
        let mut rows = Vec::new();
        let mut warnings = String::new();
        let mut unexpected = Vec::new();
        for review in &self.rows {
            let body = client.post(MUTATE, APISERVER, review.capture.1).await?;
            let reply: ReviewReply = decode(MUTATE, &body)?;
            let got = Outcome::of(&reply.response);
            if !got.is(review.expected) {
                unexpected.push(format!(
                    "{}: {:?} instead of {:?}",
                    review.capture.0, got, review.expected
                ));
            }
            for warning in &reply.response.warnings {
                warnings.extend(["   warning:\n   ", warning, "\n"]);
            }
            rows.push([review.object()?, review.binding.to_owned(), got.to_string()]);
        }
        let text = format!(
            "kube-apiserver asks before an object is stored. A VM on the pod network by bridge can only\n   \
             migrate with the annotation kubevirt.io/allow-pod-bridge-network-live-migration.\n\n{}\n{warnings}",
            table(["object", "bound by", "berth's answer"], &rows)
        );
        Ok(Played {
            text,
            asked: self.rows.len(),
            unexpected,
        })
    }
}

/// What came of a review.
#[derive(Debug)]
struct Outcome {
    allowed: bool,
    /// The annotations that the patch adds to.
    added_at: Option<String>,
    warning: Option<String>,
}

impl Outcome {
    fn of(response: &ReviewResponse) -> Self {
        let patch: Value = response
            .patch
            .as_ref()
            .and_then(|patch| serde_json::from_slice(&patch.0).ok())
            .unwrap_or_default();
        let added = patch.pointer("/0/path").and_then(Value::as_str);
        Self {
            allowed: response.allowed,
            added_at: added.map(|path| {
                let key = "/kubevirt.io~1allow-pod-bridge-network-live-migration";
                path.trim_end_matches(key).to_owned()
            }),
            warning: response.warnings.first().cloned(),
        }
    }

    fn is(&self, expected: Expected) -> bool {
        let (added_at, warning) = match expected {
            Expected::AddedAt(path) => (Some(path), None),
            Expected::Untouched => (None, None),
            Expected::Warned(text) => (None, Some(text)),
        };
        self.allowed && self.added_at.as_deref() == added_at && self.warning.as_deref() == warning
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.added_at, &self.warning) {
            (Some(path), _) if path == "/metadata/annotations" => f.write_str("annotation added"),
            (Some(_), _) => f.write_str("annotation added to its VMI template"),
            (None, None) => f.write_str("left alone"),
            (None, Some(_)) => f.write_str("left alone, with a warning"),
        }
    }
}

/// Nodes that a pod may land on.
pub(super) struct Filter {
    title: &'static str,
    capture: Capture,
    pub(super) expected: Vec<(&'static str, &'static str)>,
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
    fn verdict(&self, node: &str) -> &str {
        let passed = self.node_names.as_deref().unwrap_or_default();
        if passed.iter().any(|name| name == node) {
            return FITS;
        }
        self.failed_and_unresolvable_nodes
            .get(node)
            .or_else(|| self.failed_nodes.get(node))
            .map_or("no answer", String::as_str)
    }
}

impl Filter {
    async fn play(&self, client: &Client) -> Result<Played, DemoError> {
        let body = client.post(FILTER, SCHEDULER, self.capture.1).await?;
        let reply: FilterReply = decode(FILTER, &body)?;
        let mut rows = Vec::new();
        let mut unexpected = Vec::new();
        for (node, expected) in &self.expected {
            let verdict = reply.verdict(node);
            if verdict != *expected {
                unexpected.push(format!("{node}: {verdict} instead of {expected}"));
            }
            rows.push([(*node).to_owned(), verdict.to_owned()]);
        }
        Ok(Played {
            text: format!(
                "{}\n\n{}",
                self.title,
                table(["node", "berth's verdict"], &rows)
            ),
            asked: self.expected.len(),
            unexpected,
        })
    }
}

/// Nodes that are better or worse for a pod.
pub(super) struct Prioritize {
    title: &'static str,
    capture: Capture,
    pub(super) expected: Vec<(&'static str, u8)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostPriority {
    host: String,
    score: u8,
}

impl Prioritize {
    /// The capture is of a kube-scheduler without berth's filter. With it only the nodes that pass are left
    /// to ask about.
    fn body(&self) -> Result<String, DemoError> {
        let mut args: Value = decode(PRIORITIZE, self.capture.1)?;
        args["NodeNames"] = self.expected.iter().map(|(node, _)| *node).collect();
        Ok(args.to_string())
    }

    async fn play(&self, client: &Client) -> Result<Played, DemoError> {
        let body = client.post(PRIORITIZE, SCHEDULER, &self.body()?).await?;
        let reply: Vec<HostPriority> = decode(PRIORITIZE, &body)?;
        let mut rows = Vec::new();
        let mut unexpected = Vec::new();
        for (node, expected) in &self.expected {
            let found = reply.iter().find(|one| one.host == *node);
            let score = found.map_or_else(|| "no answer".to_owned(), |one| one.score.to_string());
            if score != expected.to_string() {
                unexpected.push(format!("{node}: {score} instead of {expected}"));
            }
            rows.push([(*node).to_owned(), format!("{score} of 10")]);
        }
        Ok(Played {
            text: format!(
                "{}\n\n{}",
                self.title,
                table(["node", "berth's score"], &rows)
            ),
            asked: self.expected.len(),
            unexpected,
        })
    }
}

/// A VM that berth does not know.
pub(super) struct Unknown {
    capture: Capture,
    pub(super) expected: &'static str,
}

impl Unknown {
    async fn play(&self, client: &Client) -> Result<Played, DemoError> {
        let body = client.post(FILTER, SCHEDULER, self.capture.1).await?;
        let reply: FilterReply = decode(FILTER, &body)?;
        let mut unexpected = Vec::new();
        if reply.error != self.expected {
            unexpected.push(format!("{:?} instead of {:?}", reply.error, self.expected));
        }
        Ok(Played {
            text: format!(
                "A VM that berth has not seen yet gets an error, not a guess. kube-scheduler tries again or, where the\n   extender is ignorable, goes on without berth.\n\n   {}\n",
                reply.error
            ),
            asked: 1,
            unexpected,
        })
    }
}

/// What the people who run berth see.
pub(super) struct Operations {
    pub(super) series: Vec<(&'static str, &'static str)>,
}

impl Operations {
    async fn play(&self, client: &Client) -> Result<Played, DemoError> {
        let ready = client.get("/readyz").await?;
        let metrics = client.get("/metrics").await?;
        let mut unexpected = Vec::new();
        if ready.trim() != "ok" {
            unexpected.push(format!("/readyz: {ready}"));
        }
        let mut text = format!(
            "Prometheus and the kubelet ask the admin port. /readyz says {}; some of /metrics:\n\n",
            ready.trim()
        );
        for (series, expected) in &self.series {
            let found = metrics
                .lines()
                .find_map(|line| line.strip_prefix(series))
                .map_or("missing", str::trim);
            if found != *expected {
                unexpected.push(format!("{series}: {found} instead of {expected}"));
            }
            text.extend(["   ", series, " ", found, "\n"]);
        }
        Ok(Played {
            text,
            asked: 1 + self.series.len(),
            unexpected,
        })
    }
}

fn decode<'a, T: Deserialize<'a>>(path: &str, body: &'a str) -> Result<T, DemoError> {
    serde_json::from_str(body).map_err(|error| DemoError::Call {
        request: format!("POST {path}"),
        problem: format!("{error}: {body}"),
    })
}
