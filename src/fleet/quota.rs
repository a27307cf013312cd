//! Whether the quotas of a namespace leave room for one more pod.

use std::collections::HashMap;

use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::fit::Lack;
use crate::fleet::model::{Quota, Resources};

/// What the pods of a plan change of what is used: those that arrive take, and those that leave give back.
#[derive(Clone, Debug, Default)]
pub struct Changes<'f>(HashMap<&'f str, Resources>);

impl<'f> Changes<'f> {
    /// A pod with these requests arrives in a namespace.
    pub fn arrive(&mut self, namespace: &'f str, requests: &Resources) {
        self.change(namespace, requests, i64::saturating_add);
    }

    /// A pod with these requests leaves a namespace.
    pub fn leave(&mut self, namespace: &'f str, requests: &Resources) {
        self.change(namespace, requests, i64::saturating_sub);
    }

    fn change(&mut self, namespace: &'f str, requests: &Resources, by: impl Fn(i64, i64) -> i64) {
        let changed = self.0.entry(namespace).or_default();
        for (resource, amount) in requests {
            let changed = changed.entry(resource.clone()).or_default();
            *changed = by(*changed, *amount);
        }
    }
}

/// Whether a namespace has a quota.
#[must_use]
pub fn has_any(fleet: &Fleet, namespace: &str) -> bool {
    fleet.quotas.keys().any(|key| key.is_in(namespace))
}

/// The quotas of a namespace that a pod with these requests would exceed, and those that are not judged.
/// What a pod is limited to is not known here, so that quotas on limits are not judged.
#[must_use]
pub fn exceeded<'f>(
    fleet: &Fleet,
    namespace: &str,
    requests: &Resources,
    changes: &Changes<'_>,
) -> Vec<Finding<'f>> {
    let mut found = Vec::new();
    let of_namespace = changes.0.get(namespace);
    let quotas = fleet.quotas.iter().filter(|(key, _)| key.is_in(namespace));
    for (key, quota) in quotas {
        if quota.is_scoped {
            found.push(Finding::of(Cause::QuotaNotJudged, &key.to_string()));
            continue;
        }
        if quota.hard.keys().any(|name| name.starts_with("limits.")) {
            let detail = format!("{key}: limits");
            found.push(Finding::of(Cause::QuotaNotJudged, &detail));
        }
        if let Some(detail) = exceeds(quota, requests, of_namespace) {
            found.push(Finding::of(
                Cause::QuotaExceeded,
                &format!("{key}: {detail}"),
            ));
        }
    }
    found
}

/// The first resource of a quota that would be exceeded.
fn exceeds(quota: &Quota, requests: &Resources, changed: Option<&Resources>) -> Option<String> {
    quota.hard.iter().find_map(|(name, hard)| {
        let resource = name.strip_prefix("requests.").unwrap_or(name);
        let resource = resource.strip_prefix("count/").unwrap_or(resource);
        let wanted = *requests.get(resource)?;
        let used = quota.used.get(name).copied().unwrap_or_default();
        let changed = changed.and_then(|changed| changed.get(resource).copied());
        let used = used.saturating_add(changed.unwrap_or_default());
        let left = hard.saturating_sub(used);
        (wanted > left).then(|| {
            let lack = Lack {
                resource,
                requested: wanted,
                free: left.max(0),
            };
            lack.text()
        })
    })
}
