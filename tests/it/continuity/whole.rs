//! The whole northbound database, to compare what was there before with what is there after.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ovn_lab::Lab;

/// The columns of `NB_Global` by which OVN and its clients count.
const COUNTERS: [&str; 6] = [
    "nb_cfg",
    "nb_cfg_timestamp",
    "sb_cfg",
    "sb_cfg_timestamp",
    "hv_cfg",
    "hv_cfg_timestamp",
];

/// How long northd may take to write the state of ports.
const PATIENCE: Duration = Duration::from_secs(10);

/// Each column of each row but for the counters, by its table, its row and its name.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Whole(BTreeMap<String, Value>);

impl Whole {
    pub(super) fn read(lab: &Lab) -> Self {
        let at = lab.northbound.unix();
        let dir = lab.northbound.socket();
        let args = ["dump", "--format=json", &at, "OVN_Northbound"];
        let said = lab.ovn.run("ovsdb-client", dir.parent().unwrap(), &args);
        let tables = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
        let mut columns = BTreeMap::new();
        for table in tables {
            let table = table.unwrap();
            let caption = table["caption"].as_str().unwrap();
            let headings = table["headings"].as_array().unwrap();
            for row in table["data"].as_array().unwrap() {
                let id = headings.iter().position(|name| name == "_uuid").unwrap();
                for (name, value) in headings.iter().zip(row.as_array().unwrap()) {
                    let name = name.as_str().unwrap();
                    if !COUNTERS.contains(&name) {
                        let key = format!("{caption}, {}, {name}", row[id][1]);
                        columns.insert(key, value.clone());
                    }
                }
            }
        }
        Self(columns)
    }

    /// Fails unless the database is as it was then.
    #[track_caller]
    pub(super) fn is_back(&self, lab: &Lab) {
        let start = Instant::now();
        let mut now = Self::read(lab);
        while now != *self && start.elapsed() < PATIENCE {
            now = Self::read(lab);
        }
        let keys = self.0.keys().chain(now.0.keys());
        let changed: BTreeMap<_, _> = keys
            .map(|key| (key, (self.0.get(key), now.0.get(key))))
            .filter(|(_, (before, after))| before != after)
            .collect();
        assert!(changed.is_empty(), "{changed:#?}");
    }
}
