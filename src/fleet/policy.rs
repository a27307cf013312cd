//! The migration policy that applies to a VM, and whether a migration can end in the time that it has.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::model::{Labels, MigrationOptions, PolicySelectors};
use crate::fleet::quantity;

/// The seconds that a migration may take for each GiB, where nothing is set (KubeVirt v1.9.0
/// `pkg/virt-config`).
const COMPLETION_TIMEOUT_PER_GIB: i64 = 150;

/// What is found of the policy of a VM with these labels.
#[must_use]
pub fn findings(fleet: &Fleet, namespace: &str, labels: &Labels) -> Vec<Finding<'static>> {
    let none = Labels::new();
    let policy = applying(
        fleet,
        labels,
        fleet.namespaces.get(namespace).unwrap_or(&none),
    );
    let mut findings = Vec::new();
    if let Some((name, options)) = policy {
        let detail = format!("{name}{}", settings(options));
        findings.push(Finding::of(Cause::PolicyApplies, &detail));
    }
    let cr = fleet.kubevirt.as_ref();
    let cr = cr.map(|cr| &cr.spec.configuration.migrations.options);
    findings.extend(too_slow(policy.map(|(_, options)| options), cr));
    findings
}

/// The policy that KubeVirt takes, by name: of those that match the one with the most labels, of these
/// the one with the most labels of the VMI, of these the first by name (v1.9.0
/// `virt-controller/watch/migration/migrationpolicy.go`, `matchPolicy`).
fn applying<'f>(
    fleet: &'f Fleet,
    vmi: &Labels,
    namespace: &Labels,
) -> Option<(&'f str, &'f MigrationOptions)> {
    let matching = fleet.policies.iter().filter_map(|(name, policy)| {
        let selectors = policy.spec.selectors.as_ref()?;
        let score = score(selectors, vmi, namespace)?;
        Some((score, name.as_str(), &policy.spec.options))
    });
    // `max_by` would take the last of equals.
    let best = matching.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, name, options)| (name, options))
}

/// How many labels a policy that matches names in all, and how many of them are the VMI's. A VMI without
/// labels matches every policy, as in KubeVirt.
fn score(selectors: &PolicySelectors, vmi: &Labels, namespace: &Labels) -> Option<(usize, usize)> {
    if vmi.is_empty() {
        return Some((0, 0));
    }
    let count = |wanted: &Labels, labels: &Labels| {
        let matches = wanted
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        matches.then_some(wanted.len())
    };
    let of_vmi = count(&selectors.virtual_machine_instance_selector, vmi)?;
    let of_namespace = count(&selectors.namespace_selector, namespace)?;
    Some((of_vmi + of_namespace, of_vmi))
}

/// ` (post-copy, 64Mi/s)`: what a policy sets; empty where that is nothing.
fn settings(options: &MigrationOptions) -> String {
    let MigrationOptions {
        allow_post_copy,
        allow_workload_disruption,
        allow_auto_converge,
        bandwidth_per_migration,
        completion_timeout_per_gi_b,
    } = options;
    let flags = [
        ("post-copy", allow_post_copy),
        ("workload disruption", allow_workload_disruption),
        ("auto-converge", allow_auto_converge),
    ];
    let flags = flags.into_iter().filter_map(|(name, value)| {
        let refusal = if (*value)? { "" } else { "no " };
        Some(format!("{refusal}{name}"))
    });
    let bandwidth = bandwidth_per_migration.iter();
    let bandwidth = bandwidth.map(|Quantity(bandwidth)| format!("{bandwidth}/s"));
    let timeout = completion_timeout_per_gi_b.iter();
    let timeout = timeout.map(|seconds| format!("{seconds} s for each GiB"));
    let all: Vec<String> = flags.chain(bandwidth).chain(timeout).collect();
    if all.is_empty() {
        return String::new();
    }
    format!(" ({})", all.join(", "))
}

/// Copying memory once takes longer than a migration may take, and nothing else ends it.
fn too_slow(
    policy: Option<&MigrationOptions>,
    cr: Option<&MigrationOptions>,
) -> Option<Finding<'static>> {
    let bandwidth = set(policy, cr, |options| {
        options.bandwidth_per_migration.clone()
    })?;
    let bytes = quantity::amount("memory", &bandwidth.0).ok()?;
    let timeout = set(policy, cr, |options| options.completion_timeout_per_gi_b);
    let timeout = timeout.unwrap_or(COMPLETION_TIMEOUT_PER_GIB);
    let ends_otherwise = set(policy, cr, |options| options.allow_post_copy) == Some(true)
        || disruption(policy, cr) == Some(true);
    let in_time = bytes.saturating_mul(timeout);
    if bytes <= 0 || timeout <= 0 || ends_otherwise || in_time >= 1 << 30 {
        return None;
    }
    let detail = format!(
        "{}/s, {timeout} s for each GiB, of which {} MiB are copied",
        bandwidth.0,
        in_time >> 20
    );
    Some(Finding::of(Cause::BandwidthTooLow, &detail))
}

/// Whether the guest may be disrupted: a policy that sets post-copy alone sets this as well (v1.9.0
/// `applyMigrationPolicySpec`).
fn disruption(policy: Option<&MigrationOptions>, cr: Option<&MigrationOptions>) -> Option<bool> {
    let of_policy =
        policy.and_then(|policy| policy.allow_workload_disruption.or(policy.allow_post_copy));
    of_policy.or_else(|| cr?.allow_workload_disruption)
}

/// What the policy sets, or else the KubeVirt CR.
fn set<T>(
    policy: Option<&MigrationOptions>,
    cr: Option<&MigrationOptions>,
    read: impl Fn(&MigrationOptions) -> Option<T>,
) -> Option<T> {
    policy.and_then(&read).or_else(|| cr.and_then(&read))
}

#[cfg(test)]
mod tests;
