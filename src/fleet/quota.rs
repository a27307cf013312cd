//! Whether the quotas of a namespace leave room for one more pod.

use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::fit::Lack;
use crate::fleet::model::{Quota, Resources};

/// The quotas of a namespace that a pod with these requests would exceed, and those that are not judged.
/// What a pod is limited to is not known here, so that quotas on limits are not judged.
#[must_use]
pub fn exceeded<'f>(fleet: &Fleet, namespace: &str, requests: &Resources) -> Vec<Finding<'f>> {
    let mut found = Vec::new();
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
        if let Some(detail) = exceeds(quota, requests) {
            found.push(Finding::of(
                Cause::QuotaExceeded,
                &format!("{key}: {detail}"),
            ));
        }
    }
    found
}

/// The first resource of a quota that would be exceeded.
fn exceeds(quota: &Quota, requests: &Resources) -> Option<String> {
    quota.hard.iter().find_map(|(name, hard)| {
        let resource = name.strip_prefix("requests.").unwrap_or(name);
        let resource = resource.strip_prefix("count/").unwrap_or(resource);
        let wanted = *requests.get(resource)?;
        let used = quota.used.get(name).copied().unwrap_or_default();
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
