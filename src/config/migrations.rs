//! What happens when migrations are created.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::decide::policy::MigrationAdmission;

/// The creation of migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Migrations {
    /// What `/validate` answers when a migration is created that no node can take: `Warn` allows it
    /// with warnings, `Deny` refuses it if a user makes it, `Off` allows every migration without a
    /// verdict. Evacuations, workload updates, decentralized migrations and migrations that cannot
    /// be judged are never refused.
    #[serde(deserialize_with = "MigrationAdmissionText::deserialize")]
    #[schemars(with = "MigrationAdmissionText")]
    pub admission: MigrationAdmission,
}

/// What happens to the creation of a migration that no node can take.
#[derive(Deserialize, JsonSchema)]
#[serde(remote = "MigrationAdmission")]
#[schemars(rename = "MigrationAdmission")]
enum MigrationAdmissionText {
    /// It is allowed, with warnings.
    Warn,
    /// It is refused if a user makes it, and allowed with warnings otherwise.
    Deny,
    /// It is allowed, and not judged.
    Off,
}
