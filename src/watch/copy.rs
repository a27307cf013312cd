//! How far KubeVirt has copied a VM: what virt-handler of the source says in its metrics, read through the API
//! server. Who may not read them sees the stages without the rates.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::core::{ObjectMeta, Request};
use kube::{Client, Resource};
use serde::{Deserialize, Serialize};

use crate::api::within;
use crate::continuity::Observed;
use crate::domain::MigrationPhase;

/// How long the API server may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// virt-handler serves its metrics here, with TLS (KubeVirt `generate/components/daemonsets.go`).
const PORT: u16 = 8443;

/// How far the VM's memory and disks are copied, in bytes and bytes a second. KubeVirt gives each while the
/// migration runs; which of them depends on its release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Copied {
    /// What is to be copied in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) total_bytes: Option<f64>,
    /// What was copied; more than the total where memory was written again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) processed_bytes: Option<f64>,
    /// What is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remaining_bytes: Option<f64>,
    /// How fast it is copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes_per_second: Option<f64>,
    /// How fast the VM writes memory again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dirty_bytes_per_second: Option<f64>,
}

impl Copied {
    /// Of the metrics of a virt-handler, those of one VM.
    fn read(metrics: &str, namespace: &str, vm: &str) -> Option<Self> {
        let mut copied = Self::default();
        let is_of_vm = |labels: &str| {
            label(labels, "namespace") == Some(namespace) && label(labels, "name") == Some(vm)
        };
        for line in metrics.lines() {
            let Some(rest) = line.strip_prefix("kubevirt_vmi_migration_") else {
                continue;
            };
            let Some((name, rest)) = rest.split_once('{') else {
                continue;
            };
            let Some((labels, value)) = rest.rsplit_once('}') else {
                continue;
            };
            let value = value
                .split_whitespace()
                .next()
                .and_then(|value| value.parse().ok());
            if !is_of_vm(labels) {
                continue;
            }
            match name {
                "data_bytes_total" | "data_total_bytes" => copied.total_bytes = value,
                "data_processed_bytes" => copied.processed_bytes = value,
                "data_remaining_bytes" => copied.remaining_bytes = value,
                "memory_transfer_rate_bytes" | "disk_transfer_rate_bytes" => {
                    copied.bytes_per_second = value;
                }
                "dirty_memory_rate_bytes" => copied.dirty_bytes_per_second = value,
                _ => {}
            }
        }
        (copied != Self::default()).then_some(copied)
    }
}

/// The value of a label in `a="x",b="y"`. Names of Kubernetes have nothing that would be escaped.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        (key.trim() == name).then_some(value)
    })
}

/// Reads how far a VM is copied.
pub(super) struct Copying {
    client: Client,
    /// The virt-handler of the source, by its node.
    handler: Option<(String, Handler)>,
}

#[derive(Clone, Debug)]
struct Handler {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct PodNames {
    items: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    metadata: ObjectMeta,
}

impl Copying {
    pub(super) const fn new(client: Client) -> Self {
        Self {
            client,
            handler: None,
        }
    }

    /// How far it is now; `None` where it is not being copied, or where that can't be read.
    pub(super) async fn look(&mut self, observed: &Observed) -> Option<Copied> {
        if observed.timeline.phase != MigrationPhase::Running {
            return None;
        }
        let source = observed.timeline.source.as_deref()?;
        if self.handler.as_ref().is_none_or(|(node, _)| node != source) {
            let handler = self.find(source).await?;
            self.handler = Some((source.to_owned(), handler));
        }
        let (_, Handler { namespace, name }) = self.handler.as_ref()?;
        let path = format!("/api/v1/namespaces/{namespace}/pods/https:{name}:{PORT}/proxy/metrics");
        let request = axum::http::Request::get(path).body(Vec::new()).ok()?;
        let metrics = within(TIMEOUT, self.client.request_text(request))
            .await
            .ok()?;
        Copied::read(&metrics, &observed.namespace, &observed.vm)
    }

    async fn find(&self, node: &str) -> Option<Handler> {
        let params = ListParams::default()
            .labels("kubevirt.io=virt-handler")
            .fields(&format!("spec.nodeName={node}"));
        let request = Request::new(Pod::url_path(&(), None)).list(&params).ok()?;
        let pods: PodNames = within(TIMEOUT, self.client.request(request)).await.ok()?;
        let first = pods.items.into_iter().next()?;
        Some(Handler {
            namespace: first.metadata.namespace?,
            name: first.metadata.name?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"# HELP kubevirt_vmi_migration_data_bytes_total The total Guest OS data to be migrated to the new VM.
# TYPE kubevirt_vmi_migration_data_bytes_total counter
kubevirt_vmi_migration_data_bytes_total{name="web",namespace="default",node="a"} 8.589934592e+09
kubevirt_vmi_migration_data_processed_bytes{name="web",namespace="default",node="a"} 3.0e+09
kubevirt_vmi_migration_data_processed_bytes{name="web",namespace="other",node="a"} 7
kubevirt_vmi_migration_data_remaining_bytes{name="web",namespace="default",node="a"} 5589934592 1700000000000
kubevirt_vmi_migration_dirty_memory_rate_bytes{name="web",namespace="default",node="a"} 1048576
kubevirt_vmi_migration_memory_transfer_rate_bytes{name="web",namespace="default",node="a"} 134217728
kubevirt_vmi_memory_used_bytes{name="web",namespace="default"} 9
kubevirt_vmi_migration_data_remaining_bytes{name="db",namespace="default" 8
"#;

    #[test]
    fn the_metrics_of_one_vm_are_read_and_whatever_else_is_there_is_left() {
        assert_eq!(
            Copied::read(METRICS, "default", "web"),
            Some(Copied {
                total_bytes: Some(8_589_934_592.0),
                processed_bytes: Some(3e9),
                remaining_bytes: Some(5_589_934_592.0),
                bytes_per_second: Some(134_217_728.0),
                dirty_bytes_per_second: Some(1_048_576.0),
            })
        );
        assert_eq!(Copied::read(METRICS, "default", "db"), None);
        let old = r#"kubevirt_vmi_migration_data_total_bytes{namespace="default",name="web"} 5
kubevirt_vmi_migration_disk_transfer_rate_bytes{namespace="default",name="web"} 6"#;
        assert_eq!(
            Copied::read(old, "default", "web"),
            Some(Copied {
                total_bytes: Some(5.0),
                bytes_per_second: Some(6.0),
                ..Copied::default()
            })
        );
    }
}
