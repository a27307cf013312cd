//! Cordons and taints, as kube-scheduler's plugins `NodeUnschedulable` and `TaintToleration` see them, and nodes
//! that are not ready. kube-scheduler looks at the taints of those alone, which follow the condition within
//! seconds; a migration to such a node fails whatever the VM tolerates.

use k8s_openapi::api::core::v1::{Taint, Toleration};

use crate::decide::causes::Cause;
use crate::fleet::model::Node;

const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const NO_SCHEDULE: &str = "NoSchedule";

/// What of the node's state and taints keeps a pod with these tolerations away, each with its detail.
pub(super) fn misfits(tolerations: &[Toleration], node: &Node) -> Vec<(Cause, String)> {
    let mut misfits = Vec::new();
    let mut add = |cause, detail: String| {
        let is_new = match cause {
            Cause::Taint => true,
            _ => misfits.iter().all(|(known, _)| *known != cause),
        };
        if is_new {
            misfits.push((cause, detail));
        }
    };
    if node.is_drained {
        // Its cordon says no more, and what tolerates that is evicted all the same.
        add(Cause::Drained, String::new());
    } else if node.unschedulable && !tolerates_cordon(tolerations) {
        add(Cause::Cordoned, String::new());
    }
    for taint in &node.taints {
        if !matches!(taint.effect.as_str(), NO_SCHEDULE | "NoExecute")
            || tolerates(tolerations, taint)
        {
            continue;
        }
        match taint.key.as_str() {
            UNSCHEDULABLE if node.is_drained => {}
            UNSCHEDULABLE => add(Cause::Cordoned, String::new()),
            NOT_READY | UNREACHABLE => add(Cause::NodeNotReady, taint.key.clone()),
            _ => add(Cause::Taint, text(taint)),
        }
    }
    if let Some(ready) = &node.not_ready {
        add(
            Cause::NodeNotReady,
            format!("its condition Ready is {ready}"),
        );
    }
    misfits
}

/// A taint as kubectl writes it: `KEY=VALUE:EFFECT`.
fn text(taint: &Taint) -> String {
    match taint.value.as_deref() {
        None | Some("") => format!("{}:{}", taint.key, taint.effect),
        Some(value) => format!("{}={value}:{}", taint.key, taint.effect),
    }
}

fn tolerates_cordon(tolerations: &[Toleration]) -> bool {
    let cordon = Taint {
        key: UNSCHEDULABLE.to_owned(),
        effect: NO_SCHEDULE.to_owned(),
        ..Taint::default()
    };
    tolerates(tolerations, &cordon)
}

fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations
        .iter()
        .any(|toleration| is_tolerated(toleration, taint))
}

/// `Toleration.ToleratesTaint`, with the feature gate `TaintTolerationComparisonOperators` on: without
/// it, kube-apiserver accepts no pod with `Lt` or `Gt`.
fn is_tolerated(toleration: &Toleration, taint: &Taint) -> bool {
    let is_any_or = |text: &Option<String>, this: &str| {
        text.as_deref()
            .is_none_or(|text| text.is_empty() || text == this)
    };
    if !is_any_or(&toleration.effect, &taint.effect) || !is_any_or(&toleration.key, &taint.key) {
        return false;
    }
    let wanted = toleration.value.as_deref().unwrap_or_default();
    let value = taint.value.as_deref().unwrap_or_default();
    match toleration.operator.as_deref() {
        None | Some("" | "Equal") => wanted == value,
        Some("Exists") => true,
        Some("Lt") => integers(wanted, value).is_some_and(|(wanted, value)| value < wanted),
        Some("Gt") => integers(wanted, value).is_some_and(|(wanted, value)| value > wanted),
        Some(_) => false,
    }
}

fn integers(wanted: &str, value: &str) -> Option<(i64, i64)> {
    Some((integer(wanted)?, integer(value)?))
}

/// A decimal integer in its shortest form: no leading zero, no `+`.
fn integer(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
