//! What the demo asks, and what it expects.

use std::borrow::Cow;

use serde_json::Value;

use crate::demo::DemoError;

/// The cluster that the requests came from.
pub(super) const CLUSTER: &str = include_str!("../../tests/data/captures/cluster.json");

pub(super) const MUTATE: &str = "/mutate?timeout=10s";
const FILTER: &str = "/scheduler/filter";
const PRIORITIZE: &str = "/scheduler/prioritize";

/// The text for a node that passes.
pub(super) const FITS: &str = "fits";

/// The text for an object that is not changed, without a warning.
pub(super) const LEFT_ALONE: &str = "left alone";

/// A captured request to the HTTPS listener.
pub(super) struct Call {
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    pub(super) body: Cow<'static, str>,
}

macro_rules! call {
    ($path:expr, $name:literal) => {
        Call {
            path: $path,
            name: $name,
            body: include_str!(concat!("../../tests/data/captures/", $name, ".json")).into(),
        }
    };
}

/// One part of the demo.
pub(super) struct Step {
    pub(super) title: &'static str,
    pub(super) question: Question,
}

/// Nodes or metrics, each with the expected answer.
pub(super) type Rows = Vec<(&'static str, &'static str)>;

pub(super) enum Question {
    /// Objects that are created or changed.
    Reviews(Vec<Review>),
    /// The nodes that a pod may land on.
    Filter(Call, Rows),
    /// The scores of nodes.
    Prioritize(Call, Rows),
    /// A VM that berth does not know, and the expected error.
    UnknownVmi(Call, &'static str),
    /// Readiness, and these series of `/metrics`.
    Admin(Rows),
}

/// An object under review.
pub(super) struct Review {
    pub(super) call: Call,
    pub(super) binding: &'static str,
    /// As [`super::play`] writes it: the path of the added annotation, the warning, or [`LEFT_ALONE`].
    pub(super) expected: &'static str,
}

impl Step {
    /// The requests to the HTTPS listener.
    pub(super) fn calls(&self) -> Vec<&Call> {
        match &self.question {
            Question::Reviews(reviews) => reviews.iter().map(|review| &review.call).collect(),
            Question::Filter(call, _)
            | Question::Prioritize(call, _)
            | Question::UnknownVmi(call, _) => vec![call],
            Question::Admin(_) => Vec::new(),
        }
    }
}

/// All steps in order.
pub(super) fn all() -> Result<Vec<Step>, DemoError> {
    let step = |title, question| Step { title, question };
    Ok(vec![
        step(
            "kube-apiserver asks before an object is stored. A VM on the pod network by bridge can only\n   migrate with the annotation kubevirt.io/allow-pod-bridge-network-live-migration.",
            Question::Reviews(reviews()),
        ),
        step(
            "kube-scheduler looks for a target for VM web. By itself it has left out el9-0, where the VM runs, and\n   the nodes without the VM's machine type, which KubeVirt 1.5.1 and newer select nodes by.",
            Question::Filter(
                call!(FILTER, "filter-names-migration"),
                vec![
                    ("el9-1", FITS),
                    ("el9-2", FITS),
                    ("el9-3", FITS),
                    ("el9-nochassis", "OVN chassis not registered"),
                ],
            ),
        ),
        step(
            "The same for VM legacy with KubeVirt before 1.5.1, which does not select nodes by machine type.\n   kube-scheduler has left out el10-2 alone, where the VM runs.",
            Question::Filter(
                call!(FILTER, "filter-names-migration-no-selector"),
                vec![
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
            ),
        ),
        step(
            "Which of the nodes that fit are better? A migration is on its way to el9-0 already. With OVN's\n   southbound database, nodes where the VM's network is there already would be ahead of all others.",
            prioritize(vec![
                ("el9-0", "9 of 10"),
                ("el9-1", "10 of 10"),
                ("el9-2", "10 of 10"),
                ("el9-3", "10 of 10"),
            ])?,
        ),
        step(
            "The first launch of a VM is not a migration: berth keeps out of it.",
            Question::Filter(
                call!(FILTER, "filter-names-launch"),
                vec![
                    ("el9-0", FITS),
                    ("el9-1", FITS),
                    ("el9-2", FITS),
                    ("el9-3", FITS),
                    ("el9-nochassis", FITS),
                ],
            ),
        ),
        step(
            "A VM that berth has not seen yet gets an error, not a guess. kube-scheduler tries again or, where the\n   extender is ignorable, goes on without berth.",
            Question::UnknownVmi(
                call!(FILTER, "filter-nodes-migration-no-selector"),
                "berth: VirtualMachineInstance default/legacy2 with UID fae1048e-9cdf-4188-993a-a34a1722432e is not known",
            ),
        ),
        step(
            "Prometheus and the kubelet ask the admin port. The answer of /readyz, and some of /metrics:",
            Question::Admin(vec![
                ("/readyz", "ok"),
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
            ]),
        ),
    ])
}

fn reviews() -> Vec<Review> {
    const TEMPLATE: &str = "annotation added at /spec/template/metadata/annotations";
    let review = |call, binding, expected| Review {
        call,
        binding,
        expected,
    };
    vec![
        review(
            call!(MUTATE, "admission-create-vm-bridge"),
            "bridge",
            TEMPLATE,
        ),
        review(
            call!(MUTATE, "admission-create-vm-no-interfaces"),
            "KubeVirt's default: bridge",
            TEMPLATE,
        ),
        review(
            call!(MUTATE, "admission-create-vm-template-annotations"),
            "bridge",
            TEMPLATE,
        ),
        review(
            call!(MUTATE, "admission-create-vmi-by-virt-controller"),
            "bridge",
            "annotation added at /metadata/annotations",
        ),
        review(
            call!(MUTATE, "admission-create-vmpool-bridge"),
            "bridge",
            "annotation added at /spec/virtualMachineTemplate/spec/template/metadata/annotations",
        ),
        review(
            call!(MUTATE, "admission-create-vm-masquerade"),
            "masquerade",
            LEFT_ALONE,
        ),
        review(
            call!(MUTATE, "admission-create-vm-annotated-false"),
            "bridge, key there: \"false\"",
            "kubevirt.io/allow-pod-bridge-network-live-migration: any value allows it; opt out by berth.dev/inject: disabled instead",
        ),
        review(
            call!(MUTATE, "admission-update-vm-bridge"),
            "bridge; only a label changes",
            LEFT_ALONE,
        ),
    ]
}

/// The capture is of a kube-scheduler without berth's filter. With it only the nodes that pass are left
/// to ask about.
fn prioritize(rows: Rows) -> Result<Question, DemoError> {
    let mut call = call!(PRIORITIZE, "prioritize-names-migration-no-selector");
    let mut args: Value = serde_json::from_str(&call.body)
        .map_err(|error| DemoError::call("POST", PRIORITIZE, &error))?;
    args["NodeNames"] = rows.iter().map(|(node, _)| *node).collect();
    call.body = args.to_string().into();
    Ok(Question::Prioritize(call, rows))
}
