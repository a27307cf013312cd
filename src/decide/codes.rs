//! Every code: the checks of a node, the causes of the commands for people, the known bugs and what berth
//! requires, in one list.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::decide::advisories::Advisory;
use crate::decide::causes::Cause;
use crate::decide::checks::{Check, Severity};
use crate::decide::requirements::Requirement;

/// A code. Codes are in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// A check that a node has to pass.
    Check(Check),
    /// Anything else that the commands for people find.
    Cause(Cause),
    /// A known bug of a release that runs.
    Advisory(Advisory),
    /// Something that berth requires and is not so.
    Requirement(Requirement),
}

impl Ord for Code {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id().cmp(other.id())
    }
}

impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Code {
    /// Every code, in the order of the codes.
    pub fn all() -> impl Iterator<Item = Self> {
        let checks = Check::ALL.into_iter().map(Self::Check);
        let causes = Cause::ALL.into_iter().map(Self::Cause);
        let advisories = Advisory::ALL.into_iter().map(Self::Advisory);
        let requirements = Requirement::ALL.into_iter().map(Self::Requirement);
        let others = advisories.chain(requirements);
        let mut all: Vec<Self> = checks.chain(causes).chain(others).collect();
        all.sort_unstable();
        all.into_iter()
    }

    /// The code of this text, as it is printed anywhere: `BRT0102`, `0102`, `MachineType`, `machine_type` as in
    /// metrics and logs, or the text of the code, such as `OVN agents not ready`; in upper or lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters = |text: &str| -> String {
            let letters = text.chars().filter(char::is_ascii_alphanumeric);
            letters.map(|letter| letter.to_ascii_lowercase()).collect()
        };
        let asked = letters(text);
        // `machine type pc-q35-rhel9.2.0 not supported`.
        let machine_type = text.split(' ').nth(2).filter(|word| *word != "not");
        Self::all().find(|code| {
            let number = code.id().trim_start_matches("BRT");
            let text = code.text(machine_type);
            [code.id(), number, code.name(), text.as_ref()]
                .into_iter()
                .any(|known| letters(known) == asked)
        })
    }

    /// `BRT` and four digits.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Check(check) => check.row().code,
            Self::Cause(cause) => cause.row().code,
            Self::Advisory(advisory) => advisory.row().code,
            Self::Requirement(requirement) => requirement.row().code,
        }
    }

    /// The name in CamelCase.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Check(check) => check.code_name(),
            Self::Cause(cause) => cause.code_name(),
            Self::Advisory(advisory) => advisory.code_name(),
            Self::Requirement(requirement) => requirement.code_name(),
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Check(check) => check.row().severity,
            Self::Cause(cause) => cause.row().severity,
            Self::Advisory(advisory) => advisory.row().severity,
            Self::Requirement(requirement) => requirement.row().severity,
        }
    }

    /// What is wrong, in a few words. `machine_type` is the VM's, for the one check that names it.
    #[must_use]
    pub fn text(self, machine_type: Option<&str>) -> Cow<'static, str> {
        match self {
            Self::Check(check) => check.text(machine_type),
            Self::Cause(cause) => cause.row().text.into(),
            Self::Advisory(advisory) => advisory.row().text.into(),
            Self::Requirement(requirement) => requirement.row().text.into(),
        }
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Check(check) => check.row().meaning,
            Self::Cause(cause) => cause.row().meaning,
            Self::Advisory(advisory) => advisory.row().symptom,
            Self::Requirement(requirement) => requirement.row().meaning,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Check(check) => check.row().remedy,
            Self::Cause(cause) => cause.row().remedy,
            Self::Advisory(advisory) => advisory.row().remedy,
            Self::Requirement(requirement) => requirement.row().remedy,
        }
    }

    /// The section about it in `docs/codes.md`.
    #[must_use]
    pub fn docs(self) -> String {
        format!("docs/codes.md#{}-{}", self.id(), self.name()).to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_in_order_and_none_is_used_twice() {
        let ids: Vec<&str> = Code::all().map(Code::id).collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        let names: BTreeSet<&str> = Code::all().map(Code::name).collect();
        assert_eq!(names.len(), ids.len());
        for id in ids {
            let digits = id.strip_prefix("BRT").unwrap();
            assert!(digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()));
        }
    }

    #[test]
    fn a_code_is_found_by_its_number_and_by_its_name() {
        for text in [
            "BRT0102",
            "brt0102",
            "0102",
            "MachineType",
            "machinetype",
            "machine_type",
            "machine-type",
        ] {
            let code = Code::parse(text);
            assert_eq!(code, Some(Code::Check(Check::MachineType)), "{text}");
        }
        assert_eq!(Code::parse("NoTarget"), Some(Code::Cause(Cause::NoTarget)));
        let lost = Some(Code::Advisory(Advisory::PortGroupsLost));
        assert_eq!(Code::parse("0512"), lost);
        assert_eq!(Code::parse("portgroupslost"), lost);
        for text in [
            "machine type q35 not supported",
            "machine type not supported",
        ] {
            let code = Code::parse(text);
            assert_eq!(code, Some(Code::Check(Check::MachineType)), "{text}");
        }
        let agents = Some(Code::Check(Check::AgentsNotReady));
        assert_eq!(Code::parse("OVN agents not ready"), agents);
        assert_eq!(Code::parse("OVN_AGENTS_NOT_READY"), agents);
        for text in ["", "_", "BRT", "102", "BRT9999", "machine"] {
            assert_eq!(Code::parse(text), None, "{text}");
        }
    }
}
