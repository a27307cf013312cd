//! What is judged: a VM or a VMI.

use strum::IntoStaticStr;

use crate::cluster::object::ObjectKey;
use crate::fleet::Fleet;
use crate::fleet::kind;
use crate::fleet::migratable::Subject;
use crate::fleet::model::{Labels, Vm, Vmi};

/// What was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
pub enum Kind {
    /// A VM, with its VMI if it runs.
    VirtualMachine,
    /// A VMI without a VM.
    VirtualMachineInstance,
}

/// A VM to be judged: its object, the VMI that runs, or both.
#[derive(Clone, Copy, Debug)]
pub struct Body<'f> {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace and name.
    pub key: &'f ObjectKey,
    /// The VM.
    pub vm: Option<&'f Vm>,
    /// The VMI that has not ended.
    pub vmi: Option<&'f Vmi>,
}

impl<'f> Body<'f> {
    /// Every VM of a cluster: each counts once, whether it runs or not.
    pub fn all(fleet: &'f Fleet) -> impl Iterator<Item = Self> {
        let vms = fleet.vms.iter().map(|(key, vm)| Self {
            kind: Kind::VirtualMachine,
            key,
            vm: Some(vm),
            vmi: fleet.vmis.get(key).filter(|vmi| !has_ended(vmi)),
        });
        let alone = fleet
            .vmis
            .iter()
            .filter(|(key, vmi)| !fleet.vms.contains_key(*key) && !has_ended(vmi));
        let alone = alone.map(|(key, vmi)| Self {
            kind: Kind::VirtualMachineInstance,
            key,
            vm: None,
            vmi: Some(vmi),
        });
        vms.chain(alone)
    }

    /// What a VM says of itself that has a VMI, where that VMI was not read or is damaged.
    #[must_use]
    pub fn lacks_vmi(&self, fleet: &Fleet) -> Option<&'f str> {
        if fleet.vmis.contains_key(self.key) {
            return None;
        }
        let status = &self.vm?.status;
        let vmi = (kind::Kind::VirtualMachineInstance, self.key.clone());
        let is_damaged = fleet.unread.objects.contains(&vmi);
        let says = || status.printable_status.as_deref().unwrap_or("unknown");
        (status.runs() || is_damaged).then(says)
    }

    /// Whether it is of this kind. A VM that runs is of both.
    #[must_use]
    pub const fn is(&self, kind: Kind) -> bool {
        match kind {
            Kind::VirtualMachine => self.vm.is_some(),
            Kind::VirtualMachineInstance => self.vmi.is_some(),
        }
    }

    /// The node that it runs on.
    #[must_use]
    pub fn node(&self) -> Option<&'f str> {
        let status = &self.vmi?.status;
        // Unknown: virt-handler can't be reached, and the VM is where it was.
        let runs = matches!(status.phase.as_deref(), Some("Running" | "Unknown"));
        status.node_name.as_deref().filter(|_| runs)
    }

    /// The node on which it starts, if it has one and does not run yet.
    #[must_use]
    pub fn starts_on(&self) -> Option<&'f str> {
        let node = self.vmi?.status.node_name.as_deref();
        node.filter(|_| self.node().is_none())
    }

    /// The node to which a migration that is not over takes it.
    #[must_use]
    pub fn migrates_to(&self) -> Option<&'f str> {
        let state = self.vmi?.status.migration_state.as_ref();
        let state = state.filter(|state| !state.completed && !state.failed);
        let target = state.and_then(|state| state.target_node.as_deref());
        target.filter(|target| Some(*target) != self.node())
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &'f str {
        let metadata = self.vm.map(|vm| &vm.metadata);
        let metadata = metadata.or(self.vmi.map(|vmi| &vmi.metadata));
        metadata.map_or("", |metadata| metadata.namespace.as_str())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'f str {
        let metadata = self.vm.map(|vm| &vm.metadata);
        let metadata = metadata.or(self.vmi.map(|vmi| &vmi.metadata));
        metadata.map_or("", |metadata| metadata.name.as_str())
    }

    /// The labels that its VMI has, or will have.
    pub(super) fn labels(&self) -> &'f Labels {
        static NONE: Labels = Labels::new();
        let of_vmi = self.vmi.map(|vmi| &vmi.metadata.labels);
        let of_template = self.vm.map(|vm| &vm.spec.template.metadata.labels);
        of_vmi.or(of_template).unwrap_or(&NONE)
    }

    pub(super) fn subject(&self) -> Option<Subject<'f>> {
        if let Some(vmi) = self.vmi {
            return Some(Subject {
                namespace: &vmi.metadata.namespace,
                annotations: &vmi.metadata.annotations,
                spec: &vmi.spec,
                status: Some(&vmi.status),
                is_partial: false,
            });
        }
        let vm = self.vm?;
        Some(Subject {
            namespace: &vm.metadata.namespace,
            annotations: &vm.spec.template.metadata.annotations,
            spec: &vm.spec.template.spec,
            status: None,
            is_partial: vm.spec.instancetype.is_some() || vm.spec.preference.is_some(),
        })
    }
}

/// Whether a VMI has ended, so that its launcher pod is gone or will go.
pub(crate) fn has_ended(vmi: &Vmi) -> bool {
    matches!(vmi.status.phase.as_deref(), Some("Succeeded" | "Failed"))
}
