//! Rights: those of the person who installs berth, and those of berth's service account.

use super::line::{Asked, Line};
use crate::decide::requirements::Requirement;

/// An action on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Action {
    /// `list`, `create` and so on.
    pub verb: &'static str,
    /// The API group; the core group is empty.
    pub group: &'static str,
    /// The plural, with its subresource behind a slash.
    pub resource: &'static str,
    /// The name of the one object that it is about; empty for all of them.
    pub name: &'static str,
    /// Whether it is about berth's own namespace alone.
    pub is_own: bool,
}

/// What the service account needs the action for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read the cluster, and what the leader does.
    Always,
    /// To issue certificates, which cert-manager may do in its place.
    Certificates,
}

const fn action(
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    name: &'static str,
    is_own: bool,
) -> Action {
    Action {
        verb,
        group,
        resource,
        name,
        is_own,
    }
}

const KUBEVIRT: &str = "kubevirt.io";
const ADMISSION: &str = "admissionregistration.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

/// The rights that the roles of `manifests/base` give the service account.
#[rustfmt::skip]
pub const OF_BERTH: [(Purpose, Action); 25] = [
    (Purpose::Always, action("list", "", "nodes", "", false)),
    (Purpose::Always, action("watch", "", "nodes", "", false)),
    (Purpose::Always, action("list", "", "namespaces", "", false)),
    (Purpose::Always, action("watch", "", "namespaces", "", false)),
    (Purpose::Always, action("list", "", "pods", "", false)),
    (Purpose::Always, action("watch", "", "pods", "", false)),
    (Purpose::Always, action("get", KUBEVIRT, "virtualmachineinstances", "", false)),
    (Purpose::Always, action("list", KUBEVIRT, "virtualmachineinstances", "", false)),
    (Purpose::Always, action("watch", KUBEVIRT, "virtualmachineinstances", "", false)),
    (Purpose::Always, action("list", KUBEVIRT, "virtualmachineinstancemigrations", "", false)),
    (Purpose::Always, action("watch", KUBEVIRT, "virtualmachineinstancemigrations", "", false)),
    (Purpose::Always, action("list", KUBEVIRT, "kubevirts", "", false)),
    (Purpose::Always, action("watch", KUBEVIRT, "kubevirts", "", false)),
    (Purpose::Always, action("patch", "", "nodes/status", "", false)),
    (Purpose::Always, action("get", "coordination.k8s.io", "leases", "berth", true)),
    (Purpose::Always, action("update", "coordination.k8s.io", "leases", "berth", true)),
    (Purpose::Certificates, action("get", "", "secrets", "berth-tls", true)),
    (Purpose::Certificates, action("watch", "", "secrets", "berth-tls", true)),
    (Purpose::Certificates, action("update", "", "secrets", "berth-tls", true)),
    (Purpose::Certificates, action("get", ADMISSION, "mutatingwebhookconfigurations", "berth", false)),
    (Purpose::Certificates, action("watch", ADMISSION, "mutatingwebhookconfigurations", "berth", false)),
    (Purpose::Certificates, action("patch", ADMISSION, "mutatingwebhookconfigurations", "berth", false)),
    (Purpose::Certificates, action("get", ADMISSION, "validatingwebhookconfigurations", "berth", false)),
    (Purpose::Certificates, action("watch", ADMISSION, "validatingwebhookconfigurations", "berth", false)),
    (Purpose::Certificates, action("patch", ADMISSION, "validatingwebhookconfigurations", "berth", false)),
];

/// What a person who installs berth creates: every kind in `manifests/base` and its overlays.
#[rustfmt::skip]
pub const OF_INSTALLER: [Action; 18] = [
    action("create", "", "namespaces", "", false),
    action("create", "", "serviceaccounts", "", true),
    action("create", "", "configmaps", "", true),
    action("create", "", "secrets", "", true),
    action("create", "", "services", "", true),
    action("create", "apps", "deployments", "", true),
    action("create", "apps", "daemonsets", "", true),
    action("create", "policy", "poddisruptionbudgets", "", true),
    action("create", "networking.k8s.io", "networkpolicies", "", true),
    action("create", "coordination.k8s.io", "leases", "", true),
    action("create", RBAC, "clusterroles", "", false),
    action("create", RBAC, "clusterrolebindings", "", false),
    action("create", RBAC, "roles", "", true),
    action("create", RBAC, "rolebindings", "", true),
    action("create", ADMISSION, "mutatingwebhookconfigurations", "", false),
    action("create", ADMISSION, "validatingwebhookconfigurations", "", false),
    action("create", ADMISSION, "validatingadmissionpolicies", "", false),
    action("create", ADMISSION, "validatingadmissionpolicybindings", "", false),
];

impl Action {
    /// `list nodes`, `get secrets berth-tls`, `patch mutatingwebhookconfigurations.admissionregistration.k8s.io`.
    fn shown(&self) -> String {
        let Self {
            verb,
            group,
            resource,
            name,
            ..
        } = self;
        let group = if group.is_empty() {
            String::new()
        } else {
            format!(".{group}")
        };
        let name = if name.is_empty() {
            String::new()
        } else {
            format!(" {name}")
        };
        format!("{verb} {resource}{group}{name}")
    }
}

/// Whether all of the actions are allowed.
pub(super) fn judge(requirement: Requirement, reviews: &[(Action, Asked<bool>)]) -> Line {
    let denied: Vec<String> = reviews
        .iter()
        .filter(|(_, allowed)| matches!(allowed, Ok(false)))
        .map(|(action, _)| action.shown())
        .collect();
    if !denied.is_empty() {
        return Line::unmet(requirement, &denied.join(", "));
    }
    let fault = reviews
        .iter()
        .find_map(|(_, allowed)| allowed.as_ref().err());
    match fault {
        Some(fault) => Line::unanswered(requirement, fault),
        None => Line::met(requirement, ""),
    }
}
