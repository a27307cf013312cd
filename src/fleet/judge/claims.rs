//! The claims of a VM's disks, and the volumes that they are bound to.

use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::fleet::finding::Finding;
use crate::fleet::judge::{Body, Judge};
use crate::fleet::kind::Kind;
use crate::fleet::model::VmiVolume;

/// What is known of the claims of a VM.
#[derive(Debug, Default)]
pub(super) struct Claims<'f> {
    /// The volumes that they are bound to, by name.
    pub(super) volumes: Vec<&'f str>,
    /// What is wrong with them.
    pub(super) findings: Vec<Finding<'f>>,
    /// Those that were not read, and volumes that were not.
    pub(super) unread: Vec<String>,
}

impl<'f> Judge<'f> {
    pub(super) fn claims(&self, body: &Body<'f>) -> Claims<'f> {
        let mut claims = Claims::default();
        let Some(subject) = body.subject() else {
            return claims;
        };
        for name in subject.spec.volumes.iter().filter_map(VmiVolume::claim) {
            let key = ObjectKey::new(subject.namespace, name);
            let Some(claim) = self.fleet.claims.get(&key) else {
                if is_made_at_start(body, name) {
                    claims
                        .findings
                        .push(Finding::of(Cause::ClaimNotBound, name));
                } else if self.fleet.may_have(Kind::PersistentVolumeClaim, &key) {
                    claims.unread.push(format!("claim {name}"));
                } else {
                    claims
                        .findings
                        .push(Finding::of(Cause::ClaimNotFound, name));
                }
                continue;
            };
            let Some(volume) = claim.volume.as_deref().filter(|volume| !volume.is_empty()) else {
                claims
                    .findings
                    .push(Finding::of(Cause::ClaimNotBound, name));
                continue;
            };
            let key = ObjectKey::new("", volume);
            if self.fleet.volumes.contains_key(volume) {
                claims.volumes.push(volume);
            } else if self.fleet.may_have(Kind::PersistentVolume, &key) {
                claims
                    .unread
                    .push(format!("volume {volume} of claim {name}"));
            } else {
                let detail = format!("{name}, whose volume {volume} does not exist");
                claims
                    .findings
                    .push(Finding::of(Cause::ClaimNotFound, &detail));
            }
        }
        claims
    }
}

/// Whether a claim is that of a data volume which KubeVirt makes when the VM starts.
fn is_made_at_start(body: &Body<'_>, name: &str) -> bool {
    let templates = body.vm.map(|vm| &vm.spec.data_volume_templates);
    let mut templates = templates.into_iter().flatten();
    body.vmi.is_none() && templates.any(|template| template.metadata.name == name)
}
