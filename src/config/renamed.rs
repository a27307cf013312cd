//! Fields that have another name now: the old one is still read, with a warning.

use serde_json::{Map, Value};

use crate::config::Refusal;

/// The section, the old name in it, and the name that it has now.
const FIELDS: [(&str, &str, &str); 1] = [("lease", "contend", "leaderElection")];

/// A field that the file has under its old name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The path that the file has.
    pub old: String,
    /// The path to write instead.
    pub new: String,
}

/// Gives fields their present names.
pub(super) fn rename(document: &mut Value) -> Result<Vec<Renamed>, Refusal> {
    let mut renamed = Vec::new();
    for (section, old, new) in FIELDS {
        let fields = document.get_mut(section).and_then(Value::as_object_mut);
        let Some((fields, value)) = fields.and_then(|fields| take(fields, old)) else {
            continue;
        };
        if fields.get(new).is_some_and(|value| !value.is_null()) {
            return Err(Refusal::Combination(format!(
                "{section}.{old}: is the old name of {section}.{new}, which is set too: leave {section}.{old} out"
            )));
        }
        fields.insert(new.to_owned(), value);
        renamed.push(Renamed {
            old: format!("{section}.{old}"),
            new: format!("{section}.{new}"),
        });
    }
    Ok(renamed)
}

fn take<'a>(
    fields: &'a mut Map<String, Value>,
    name: &str,
) -> Option<(&'a mut Map<String, Value>, Value)> {
    let value = fields.remove(name)?;
    Some((fields, value))
}

#[cfg(test)]
mod tests {
    use super::Renamed;
    use crate::config::{Config, LeaderElection};

    #[test]
    fn reads_an_old_name_with_a_warning() {
        let config = Config::parse("lease: {contend: Always}").unwrap();
        assert_eq!(config.lease.leader_election, LeaderElection::Always);
        let renamed = Renamed {
            old: "lease.contend".to_owned(),
            new: "lease.leaderElection".to_owned(),
        };
        assert_eq!(config.renamed, [renamed]);
        let config = Config::parse("lease: {leaderElection: Always}").unwrap();
        assert_eq!(config.lease.leader_election, LeaderElection::Always);
        assert_eq!(config.renamed, []);
    }

    #[test]
    fn refuses_an_old_name_beside_the_new_one() {
        let both = "lease: {contend: Always, leaderElection: Never}";
        assert_eq!(
            Config::parse(both).unwrap_err().to_string(),
            "lease.contend: is the old name of lease.leaderElection, which is set too: leave lease.contend out"
        );
    }
}
