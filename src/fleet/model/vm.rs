//! A `VirtualMachine`, from whose template a VMI is made.

use serde::Deserialize;

use super::Metadata;
use super::vmi::VmiSpec;

/// A `VirtualMachine`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vm {
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    pub spec: VmSpec,
    /// Status.
    pub status: VmStatus,
}

/// The spec of a VM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmSpec {
    /// The VMI that is made from it.
    pub template: Template,
    /// The instance type, whose fields are not in the template.
    pub instancetype: Option<Matcher>,
    /// The preference, whose fields are not in the template.
    pub preference: Option<Matcher>,
    /// The data volumes that are made when the VM starts.
    pub data_volume_templates: Vec<DataVolumeTemplate>,
}

/// A data volume that is made with its VM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct DataVolumeTemplate {
    /// Its metadata.
    pub metadata: Metadata,
}

/// A reference to an instance type or a preference.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Matcher {
    /// Its name.
    pub name: String,
}

/// The template of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Template {
    /// The VMI's metadata.
    pub metadata: Metadata,
    /// The VMI's spec.
    pub spec: VmiSpec,
}

/// The status of a VM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmStatus {
    /// What people are shown, such as `Stopped`.
    pub printable_status: Option<String>,
}

impl VmStatus {
    /// Whether it says that there is a VMI with a launcher pod.
    #[must_use]
    pub fn runs(&self) -> bool {
        let status = self.printable_status.as_deref();
        matches!(status, Some("Running" | "Migrating" | "Paused"))
    }
}
