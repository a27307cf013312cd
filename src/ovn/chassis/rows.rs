//! Rows of the southbound database, decoded.

use std::sync::Arc;

use ovsdb::{Datum, Row, Uuid};

use crate::decide::version::Version;
use crate::escape::is_control;
use crate::text::LONGEST_NAME;

/// A row of `SB_Global`.
#[derive(Debug)]
pub(super) struct Global {
    pub(super) nb_cfg: Option<i64>,
    pub(super) updates_off: bool,
    pub(super) northd: Option<Version>,
}

#[derive(Debug, PartialEq)]
pub(super) struct RawChassis {
    pub(super) name: Arc<str>,
    pub(super) hostname: Arc<str>,
    pub(super) remote: bool,
    pub(super) encaps: Vec<Uuid>,
}

#[derive(Debug)]
pub(super) struct PrivateRow {
    pub(super) name: Arc<str>,
    pub(super) nb_cfg: i64,
}

impl Global {
    pub(super) fn read(row: &Row) -> Self {
        let options = row.get("options");
        Self {
            nb_cfg: row.get("nb_cfg").and_then(Datum::integer),
            northd: options
                .and_then(|options| Version::parse(options.entry("northd_internal_version")?)),
            updates_off: options
                .is_some_and(|options| !flag(options, "enable_chassis_nb_cfg_update", true)),
        }
    }
}

/// A flag of a map, read as OVN's `smap_get_bool` does: in any case, and whatever else is written is
/// the default.
fn flag(map: &Datum, key: &str, default: bool) -> bool {
    let value = map.entry(key).unwrap_or_default();
    let other = if default { "false" } else { "true" };
    default != value.eq_ignore_ascii_case(other)
}

/// A name that may be one of a node or its chassis. Any other is claimed by no node, and would be in
/// metrics as it is.
fn name(text: &str) -> Option<&str> {
    (text.len() <= LONGEST_NAME && !text.contains(is_control)).then_some(text)
}

impl RawChassis {
    pub(super) fn read(row: &Row) -> Option<Self> {
        let text = |column| row.get(column).and_then(Datum::text);
        let other_config = row.get("other_config");
        let encaps = row.get("encaps");
        Some(Self {
            name: name(text("name")?)?.into(),
            hostname: text("hostname").and_then(name).unwrap_or_default().into(),
            remote: other_config.is_some_and(|config| flag(config, "is-remote", false)),
            encaps: encaps.map(|ids| ids.uuids().collect()).unwrap_or_default(),
        })
    }
}

impl PrivateRow {
    pub(super) fn read(row: &Row) -> Option<Self> {
        Some(Self {
            name: name(row.get("name")?.text()?)?.into(),
            nb_cfg: row.get("nb_cfg")?.integer()?,
        })
    }
}
