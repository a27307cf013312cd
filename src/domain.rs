//! What berth knows about a cluster: nodes, virtual machine instances and the facts that a decision
//! needs of them. Nothing here knows a protocol.

mod agent;
mod chassis;
mod machine_type;
mod migration;
mod network;
mod node;
mod set;
mod vmi;

pub use agent::{Agent, AgentSet, AgentState, Agents};
pub use chassis::{ChassisIdentity, ChassisRow, Southbound};
pub use machine_type::{MachineType, MachineTypes};
pub use migration::{LatestMigration, MigrationEnd, MigrationPhase, UnixTime};
pub use network::{Network, Provider};
pub use node::{ChassisClaim, ChassisReady, NodeFacts, Status};
pub use set::{Member, Set};
pub use vmi::{Binding, DefaultBinding, Sender, Vmi};
