//! What a pod asks for, as kube-scheduler adds it up (`k8s.io/component-helpers`,
//! `resource/helpers.go`, `PodRequests`, with the defaults of Kubernetes 1.36).

use super::amounts;
use super::core::{Container, ContainerStatus, PodSpec, PodStatus};
use crate::fleet::model::Resources;

/// What is asked for, and one of `pods`.
pub(super) fn of(spec: &PodSpec, status: &PodStatus) -> Result<Resources, String> {
    let is_infeasible = is_resize_infeasible(status);
    let asked = |container: &Container, statuses: &[ContainerStatus], field: String| {
        let asked = amounts(&container.resources.requests, &field)?;
        let mut statuses = statuses.iter();
        let status = statuses.find(|status| status.name == container.name);
        match status.filter(|status| status.resources.is_some()) {
            Some(status) => resized(asked, status, is_infeasible),
            None => Ok(asked),
        }
    };

    let mut total = Resources::new();
    for (index, container) in spec.containers.iter().enumerate() {
        let field = format!("spec.containers[{index}].resources.requests");
        add(
            &mut total,
            &asked(container, &status.container_statuses, field)?,
        );
    }
    let mut sidecars = Resources::new();
    let mut largest = Resources::new();
    for (index, container) in spec.init_containers.iter().enumerate() {
        let field = format!("spec.initContainers[{index}].resources.requests");
        if is_sidecar(container) {
            let asked = asked(container, &status.init_container_statuses, field)?;
            add(&mut total, &asked);
            add(&mut sidecars, &asked);
            raise(&mut largest, &sidecars);
        } else {
            // With the sidecars that were started before it.
            let mut asked = asked(container, &[], field)?;
            add(&mut asked, &sidecars);
            raise(&mut largest, &asked);
        }
    }
    raise(&mut total, &largest);
    let of_pod = amounts(&spec.resources.requests, "spec.resources.requests")?;
    total.extend(of_pod.into_iter().filter(|(name, _)| is_of_pods(name)));
    add(&mut total, &amounts(&spec.overhead, "spec.overhead")?);
    total.insert("pods".to_owned(), 1);
    Ok(total)
}

/// An init container that goes on running beside the containers.
pub(super) fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// Whether a pod may ask for a resource as a whole, over what its containers ask for.
fn is_of_pods(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}

/// What counts for a container while its resources are changed: the most of what is asked for, given
/// and allocated.
fn resized(
    asked: Resources,
    status: &ContainerStatus,
    is_infeasible: bool,
) -> Result<Resources, String> {
    let mut counted = if is_infeasible {
        Resources::new()
    } else {
        asked
    };
    let given = status.resources.iter().map(|all| &all.requests);
    for quantities in given.chain([&status.allocated_resources]) {
        raise(
            &mut counted,
            &amounts(quantities, "status.containerStatuses")?,
        );
    }
    Ok(counted)
}

/// The node has no room for what the pod was changed to ask for.
fn is_resize_infeasible(status: &PodStatus) -> bool {
    let mut conditions = status.conditions.iter();
    let pending = conditions.find(|condition| condition.kind == "PodResizePending");
    pending.is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible"))
}

fn add(to: &mut Resources, more: &Resources) {
    for (name, amount) in more {
        let sum = to.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*amount);
    }
}

fn raise(to: &mut Resources, others: &Resources) {
    for (name, amount) in others {
        let largest = to.entry(name.clone()).or_insert(*amount);
        *largest = (*largest).max(*amount);
    }
}
