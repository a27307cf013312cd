//! The options of a port that migrates. With `requested-chassis=SOURCE,TARGET` OVN binds the port on both
//! chassis, and with `activation-strategy=rarp` the target's end is blocked until its VM announces itself
//! (ovn-nb(5), `Logical_Switch_Port`, `options`). Kube-OVN writes the same pair, sometimes late and
//! sometimes never (kube-ovn#6823, #7416), and leaves a port alone that has it.

use std::collections::BTreeMap;

/// The column `options` of a logical switch port.
pub type Options = BTreeMap<String, String>;

/// The option with the names of the chassis that may bind a port.
pub const REQUESTED_CHASSIS: &str = "requested-chassis";

/// The option that says when an additional chassis starts to forward.
pub const ACTIVATION_STRATEGY: &str = "activation-strategy";

/// The strategy that Kube-OVN and berth use.
const RARP: &str = "rarp";

/// Whether the options name a chassis that alone may bind the port.
#[must_use]
pub fn names_chassis(options: &Options) -> bool {
    requested(options).is_some()
}

/// The two ends of a migration, by the names of their nodes, as Kube-OVN writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The node that the VM runs on.
    pub source: String,
    /// The node that it migrates to.
    pub target: String,
}

/// What becomes of a port before its VM's target pod is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// It gets these options.
    Write(Options),
    /// It has the pair already.
    Present,
    /// It has other options, which are not berth's to change.
    Foreign,
}

/// How far the migration is for which berth wrote a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is under way.
    UnderWay,
    /// It has ended.
    Ended {
        /// Whether Kube-OVN had the time to finish the port itself.
        is_due: bool,
    },
}

/// What becomes of a port for which berth wrote a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upkeep {
    /// It is as it has to be for now.
    Leave,
    /// Somebody removed the pair while the migration runs: it gets it again.
    Restore,
    /// Its migration has ended, and the pair is left: one chassis takes its place, or none.
    Finish,
    /// It is not berth's any more: nothing is to be remembered of it.
    Forget,
}

impl Pair {
    fn value(&self) -> String {
        format!("{},{}", self.source, self.target)
    }

    /// The options with the pair in them.
    #[must_use]
    pub fn added_to(&self, options: &Options) -> Options {
        let mut options = options.clone();
        options.insert(REQUESTED_CHASSIS.to_owned(), self.value());
        options.insert(ACTIVATION_STRATEGY.to_owned(), RARP.to_owned());
        options
    }

    /// Whether the options hold this pair.
    #[must_use]
    pub fn is_in(&self, options: &Options) -> bool {
        requested(options) == Some(self.value().as_str()) && strategy(options) == Some(RARP)
    }

    /// What becomes of a port with these options. `source_names` are all names of the source's chassis: of
    /// its node and its own. `ours` is the pair that berth wrote to the port for the same migration
    /// or for one that has ended: kube-scheduler may choose another node after a bind that failed, and
    /// so may a retry.
    #[must_use]
    pub fn prepare(
        &self,
        options: &Options,
        source_names: &[&str],
        ours: Option<&Self>,
    ) -> Preparation {
        if self.is_in(options) {
            return Preparation::Present;
        }
        if ours.is_some_and(|ours| ours.is_in(options)) {
            return Preparation::Write(self.added_to(options));
        }
        let is_source = |name: &str| source_names.contains(&name);
        match (requested(options), strategy(options)) {
            // As before a VM's first migration, or after an earlier one.
            (None, None) => Preparation::Write(self.added_to(options)),
            (Some(name), None) if is_source(name) => Preparation::Write(self.added_to(options)),
            _ => Preparation::Foreign,
        }
    }

    /// What becomes of a port that berth wrote this pair to; `None` if the port is gone.
    #[must_use]
    pub fn keep_up(&self, options: Option<&Options>, progress: Progress) -> Upkeep {
        let Some(options) = options else {
            return Upkeep::Forget;
        };
        match progress {
            Progress::UnderWay => match (requested(options), strategy(options)) {
                // Another pod of the VM was deleted.
                (None, None) => Upkeep::Restore,
                // An older migration was finished late, some releases with the nodes of this one.
                (Some(name), None) if name == self.source || name == self.target => Upkeep::Restore,
                // As berth wrote it, or another's.
                _ => Upkeep::Leave,
            },
            Progress::Ended { .. } if !self.is_in(options) => Upkeep::Forget,
            Progress::Ended { is_due: false } => Upkeep::Leave,
            Progress::Ended { is_due: true } => Upkeep::Finish,
        }
    }
}

/// The options of a port after its migration: one chassis may bind it, or any.
#[must_use]
pub fn finished(options: &Options, chassis: Option<&str>) -> Options {
    let mut options = options.clone();
    options.remove(ACTIVATION_STRATEGY);
    match chassis {
        Some(name) => options.insert(REQUESTED_CHASSIS.to_owned(), name.to_owned()),
        None => options.remove(REQUESTED_CHASSIS),
    };
    options
}

fn requested(options: &Options) -> Option<&str> {
    let value = options.get(REQUESTED_CHASSIS)?;
    (!value.is_empty()).then_some(value)
}

fn strategy(options: &Options) -> Option<&str> {
    let value = options.get(ACTIVATION_STRATEGY)?;
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests;
