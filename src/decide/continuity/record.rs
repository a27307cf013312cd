//! What berth remembers in the northbound database of what it wrote there: entries of
//! `NB_Global.external_ids`, written in the same transactions. Every replica finds them, also after a
//! crash, and no port carries a mark that its owner would overwrite.

use std::collections::BTreeMap;

use crate::decide::continuity::pair::Pair;

/// A pair that berth wrote to a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairRecord {
    /// The namespace of the VM.
    pub namespace: String,
    /// The name of the VM.
    pub vm: String,
    /// The UID of its VMI.
    pub vmi_uid: String,
    /// The UID of the migration.
    pub migration: String,
    /// What was written.
    pub pair: Pair,
    /// Whether the port named a chassis before: releases of Kube-OVN that never do leave one that is named
    /// for ever.
    pub named_chassis: bool,
}

/// A warm port that berth made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmRecord {
    /// When a migration last needed it, in seconds since the epoch.
    pub used: u64,
    /// The `nb_cfg` with which its chassis has the flows.
    pub nb_cfg: i64,
}

/// All records: of pairs by the id of their port, of warm ports by their name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The pairs.
    pub pairs: BTreeMap<String, PairRecord>,
    /// The warm ports.
    pub warm: BTreeMap<String, WarmRecord>,
    /// Keys of berth whose value can't be read.
    pub damaged: Vec<String>,
}

const PAIR: &str = "berth-pair:";
const WARM: &str = "berth-warm:";

/// The last word of a pair's record: whether the port named a chassis before.
const NAMED: &str = "named";
const UNNAMED: &str = "unnamed";

/// The key of the record of a port's pair.
#[must_use]
pub fn pair_key(port: &str) -> String {
    format!("{PAIR}{port}")
}

/// The key of the record of a warm port.
#[must_use]
pub fn warm_key(name: &str) -> String {
    format!("{WARM}{name}")
}

impl Records {
    /// Reads the entries that are berth's.
    #[must_use]
    pub fn read<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut records = Self::default();
        for (key, value) in entries {
            let is_read = if let Some(port) = key.strip_prefix(PAIR) {
                let pair = PairRecord::read(value).map(|pair| (port.to_owned(), pair));
                records.pairs.extend(pair.clone());
                pair.is_some()
            } else if let Some(name) = key.strip_prefix(WARM) {
                let warm = WarmRecord::read(value).map(|warm| (name.to_owned(), warm));
                records.warm.extend(warm.clone());
                warm.is_some()
            } else {
                continue;
            };
            if !is_read {
                records.damaged.push(key.to_owned());
            }
        }
        records
    }
}

impl PairRecord {
    /// The value of its entry.
    #[must_use]
    pub fn value(&self) -> String {
        let Self {
            namespace,
            vm,
            vmi_uid,
            migration,
            pair: Pair { source, target },
            named_chassis,
        } = self;
        let before = if *named_chassis { NAMED } else { UNNAMED };
        format!("{namespace}/{vm} {vmi_uid} {migration} {source} {target} {before}")
    }

    fn read(value: &str) -> Option<Self> {
        let words: Vec<_> = value.split(' ').collect();
        let [
            vm,
            vmi_uid,
            migration,
            source,
            target,
            before @ (NAMED | UNNAMED),
        ] = words.as_slice()
        else {
            return None;
        };
        let (namespace, vm) = vm.split_once('/')?;
        Some(Self {
            namespace: namespace.to_owned(),
            vm: vm.to_owned(),
            vmi_uid: (*vmi_uid).to_owned(),
            migration: (*migration).to_owned(),
            pair: Pair {
                source: (*source).to_owned(),
                target: (*target).to_owned(),
            },
            named_chassis: *before == NAMED,
        })
    }
}

impl WarmRecord {
    /// The value of its entry.
    #[must_use]
    pub fn value(&self) -> String {
        format!("{} {}", self.used, self.nb_cfg)
    }

    fn read(value: &str) -> Option<Self> {
        let (used, nb_cfg) = value.split_once(' ')?;
        Some(Self {
            used: used.parse().ok()?,
            nb_cfg: nb_cfg.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_they_were_written_and_entries_of_others_are_left_out() {
        let pair = PairRecord {
            namespace: "default".to_owned(),
            vm: "web".to_owned(),
            vmi_uid: "v-1".to_owned(),
            migration: "m-1".to_owned(),
            pair: Pair {
                source: "a".to_owned(),
                target: "b".to_owned(),
            },
            named_chassis: true,
        };
        let warm = WarmRecord {
            used: 1_700_000_000,
            nb_cfg: 7,
        };
        assert_eq!(pair.value(), "default/web v-1 m-1 a b named");
        assert_eq!(warm.value(), "1700000000 7");
        let entries = [
            (pair_key("p"), pair.value()),
            (warm_key("w"), warm.value()),
            ("vendor".to_owned(), "kube-ovn".to_owned()),
            (pair_key("q"), "default/web v-1 m-1 a b".to_owned()),
            (pair_key("r"), "web v-1 m-1 a b named".to_owned()),
            (warm_key("x"), "soon 7".to_owned()),
        ];
        let entries = entries.iter().map(|(key, value)| (&**key, &**value));
        assert_eq!(
            Records::read(entries),
            Records {
                pairs: [("p".to_owned(), pair)].into(),
                warm: [("w".to_owned(), warm)].into(),
                damaged: vec![pair_key("q"), pair_key("r"), warm_key("x")],
            }
        );
    }
}
