//! What if: a cluster in which some nodes are as others are, or lack machine types. The objects of the
//! commands and those of berth's own checks change alike.

use std::sync::Arc;

use super::Fleet;
use super::model::{Labels, Node};
use super::target::labels::MACHINE_TYPE;
use crate::domain::{MachineTypes, NodeFacts};
use crate::snapshot::Snapshot;

/// Nodes that are taken for something else than they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumption<'a> {
    text: &'a str,
    /// Names and globs of nodes, separated by commas.
    nodes: &'a str,
    change: Change<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change<'a> {
    /// They are as this node is.
    Like(&'a str),
    /// They lack the machine types that match.
    WithoutMachineType(&'a str),
}

/// Why nothing can be assumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssumeError {
    /// The text says nothing that can be assumed.
    #[error(
        "--assume {0:?}: write NODES=like:NODE or NODES=without:machine-type/GLOB, as in el9-*=like:el10-1; NODES are names or globs, separated by commas"
    )]
    Form(String),
    /// A node that is not there.
    #[error("--assume {text:?}: there is no node {node:?}")]
    NoNode {
        /// The assumption.
        text: String,
        /// The name or glob.
        node: String,
    },
    /// No node has a machine type that matches.
    #[error("--assume {text:?}: none of these nodes has a machine type {glob:?}")]
    NoMachineType {
        /// The assumption.
        text: String,
        /// The glob.
        glob: String,
    },
}

impl<'a> Assumption<'a> {
    /// Reads `NODES=like:NODE` or `NODES=without:machine-type/GLOB`.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &'a str) -> Result<Self, AssumeError> {
        let parts = text.split_once('=').and_then(|(nodes, change)| {
            let change = match change.split_once(':')? {
                ("like", node) => Change::Like(node),
                ("without", what) => {
                    Change::WithoutMachineType(what.strip_prefix("machine-type/")?)
                }
                _ => return None,
            };
            Some((nodes, change))
        });
        let (nodes, change) = parts
            .filter(|(nodes, change)| {
                let (Change::Like(what) | Change::WithoutMachineType(what)) = change;
                !what.is_empty() && nodes.split(',').all(|glob| !glob.is_empty())
            })
            .ok_or_else(|| AssumeError::Form(text.to_owned()))?;
        Ok(Self {
            text,
            nodes,
            change,
        })
    }

    /// The names of the nodes.
    fn nodes<'f>(&self, fleet: &'f Fleet) -> Result<Vec<&'f str>, AssumeError> {
        let mut all = Vec::new();
        for glob in self.nodes.split(',') {
            let names = fleet.nodes.keys().map(String::as_str);
            let mut matching = names.filter(|name| matches(glob, name)).peekable();
            if matching.peek().is_none() {
                return Err(self.no_node(glob));
            }
            all.extend(matching);
        }
        Ok(all)
    }

    fn no_node(&self, node: &str) -> AssumeError {
        AssumeError::NoNode {
            text: self.text.to_owned(),
            node: node.to_owned(),
        }
    }
}

/// The cluster in which all this is so. A later assumption changes what an earlier one made, and `like` takes
/// a node as it is without any of them. A VM that runs on a changed node keeps the CPU that it was started with.
///
/// # Errors
/// A node or a machine type is not there.
pub fn assume(
    fleet: &Fleet,
    snapshot: &Snapshot,
    assumptions: &[Assumption<'_>],
) -> Result<(Fleet, Snapshot), AssumeError> {
    let mut changed = fleet.clone();
    let mut view = (*snapshot.cluster).clone();
    for assumption in assumptions {
        let names = assumption.nodes(fleet)?;
        let mut is_changed = false;
        for name in names {
            let Some(node) = changed.nodes.get_mut(name) else {
                continue;
            };
            let before = node.clone();
            let facts = view.node(name).and_then(|entry| entry.facts().cloned());
            let mut facts = facts.unwrap_or_default();
            match assumption.change {
                Change::Like(other) => {
                    let model = fleet.nodes.get(other);
                    let model = model.ok_or_else(|| assumption.no_node(other))?;
                    let types = snapshot.cluster.node(other);
                    let types = types.and_then(|entry| entry.facts());
                    become_like(node, model);
                    facts.machine_types = types
                        .map(|facts| facts.machine_types.clone())
                        .unwrap_or_default();
                    is_changed = true;
                }
                Change::WithoutMachineType(glob) => {
                    is_changed |= take_types(glob, node, &mut facts);
                }
            }
            changed.before.entry(name.to_owned()).or_insert(before);
            view = view.with_facts(name, facts);
        }
        if let (Change::WithoutMachineType(glob), false) = (assumption.change, is_changed) {
            return Err(AssumeError::NoMachineType {
                text: assumption.text.to_owned(),
                glob: glob.to_owned(),
            });
        }
    }
    let snapshot = Snapshot {
        cluster: Arc::new(view),
        ..snapshot.clone()
    };
    Ok((changed, snapshot))
}

/// Gives a node what another one has. Where it stands, its taints and its state stay.
fn become_like(node: &mut Node, model: &Node) {
    let is_place = |key: &str| {
        key == "kubernetes.io/hostname"
            || key.starts_with("topology.")
            || key.starts_with("failure-domain.")
    };
    let labels = |of: &Node, place: bool| -> Labels {
        let labels = of.labels.iter().filter(|(key, _)| is_place(key) == place);
        labels
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    let mut made = labels(model, false);
    made.extend(labels(node, true));
    node.labels = made;
    node.allocatable.clone_from(&model.allocatable);
}

/// Takes machine types from a node; says whether there were any that match.
fn take_types(glob: &str, node: &mut Node, facts: &mut NodeFacts) -> bool {
    let is_taken = |name: &str| matches(glob, name);
    let before = node.labels.len();
    let name = |key: &str| key.strip_prefix(MACHINE_TYPE).is_some_and(is_taken);
    node.labels.retain(|key, _| !name(key));
    let types = &facts.machine_types;
    let left: Vec<&str> = types.iter().filter(|name| !is_taken(name)).collect();
    let has_gone = left.len() < types.iter().count();
    if has_gone {
        facts.machine_types = MachineTypes::labelled(left);
    }
    has_gone || node.labels.len() < before
}

/// Whether a name matches a glob, in which `*` stands for any text.
fn matches(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
