//! `--suppress`: findings that a person leaves out, of all VMs or of one. They change the exit code alone.

use crate::cluster::object::ObjectKey;
use crate::decide::codes::Code;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::judge::{Body, Kind};
use crate::{telemetry, text};

use super::{kind_of, object_kind};

/// Why `--suppress` is refused.
#[derive(Debug, thiserror::Error)]
pub enum SuppressError {
    /// It is not written as it has to be.
    #[error(
        "--suppress {0:?}: write CODE or CODE=KIND/NAMESPACE/NAME, as in BRT0413=vm/default/web, and the flag once for each"
    )]
    Form(String),
    /// There is no such code.
    #[error("--suppress {0:?}: {1}")]
    NoCode(String, String),
}

/// What is left out.
#[derive(Debug, Default)]
pub(crate) struct Suppressions<'a>(Vec<Suppressed<'a>>);

/// A code that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Suppressed<'a> {
    /// As it was written.
    text: &'a str,
    code: Code,
    /// Kind, namespace and name of the VM, unless it is left out of all.
    object: Option<(Kind, &'a str, &'a str)>,
}

impl<'a> Suppressions<'a> {
    pub(crate) fn parse(texts: &'a [String]) -> Result<Self, SuppressError> {
        let rules = texts.iter().map(|text| Suppressed::parse(text));
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// Whether a finding is left out, of a VM or of the cluster as a whole.
    pub(crate) fn leave_out(&self, found: &Finding<'_>, body: Option<&Body<'_>>) -> bool {
        let vm = body.map(|body| (body.kind, body.namespace(), body.name()));
        self.leave_out_code(found.code.id(), vm)
    }

    /// Whether a code is left out, of the VM of this kind, namespace and name or of all.
    pub(crate) fn leave_out_code(&self, code: &str, vm: Option<(Kind, &str, &str)>) -> bool {
        self.0.iter().any(|rule| {
            rule.code.id() == code && rule.object.is_none_or(|object| vm == Some(object))
        })
    }

    /// Says on standard error which rules are about no VM and so leave out nothing. `listed` is the namespace whose
    /// VMs were listed, if not those of all.
    pub(crate) fn warn(&self, fleet: &Fleet, listed: Option<&str>) {
        for rule in &self.0 {
            if let Some(problem) = rule.problem(fleet, listed) {
                telemetry::warn(&format!("--suppress {:?}: {problem}", rule.text));
            }
        }
    }
}

impl<'a> Suppressed<'a> {
    fn parse(text: &'a str) -> Result<Self, SuppressError> {
        let refused = || SuppressError::Form(text.to_owned());
        let (code, object) = match text.split_once('=') {
            Some((code, object)) => (code, Some(object)),
            None => (text, None),
        };
        if text.contains(',') {
            return Err(refused());
        }
        let object = match object {
            None => None,
            Some(object) => {
                let parts: Vec<&str> = object.split('/').collect();
                let [kind, namespace, name] = parts[..] else {
                    return Err(refused());
                };
                Some((kind_of(kind).ok_or_else(refused)?, namespace, name))
            }
        };
        let known = Code::parse(code);
        let code = known.ok_or_else(|| SuppressError::NoCode(text.to_owned(), no_code(code)))?;
        Ok(Self { text, code, object })
    }

    /// Why it is about no VM of those that were listed.
    fn problem(&self, fleet: &Fleet, listed: Option<&str>) -> Option<String> {
        let (kind, namespace, name) = self.object?;
        if listed.is_some_and(|listed| listed != namespace) {
            return None;
        }
        let key = ObjectKey::new(namespace, name);
        let kinds = [Kind::VirtualMachine, Kind::VirtualMachineInstance];
        if kinds
            .into_iter()
            .any(|kind| fleet.may_have(object_kind(kind), &key))
        {
            return None;
        }
        match (
            kind,
            fleet.vms.contains_key(&key),
            fleet.vmis.contains_key(&key),
        ) {
            (Kind::VirtualMachine, true, _) | (Kind::VirtualMachineInstance, false, true) => None,
            (Kind::VirtualMachineInstance, true, _) => {
                Some(format!("the VMI is judged as its VM: write vm/{key}"))
            }
            (Kind::VirtualMachine, false, true) => {
                Some(format!("the VMI has no VM: write vmi/{key}"))
            }
            (Kind::VirtualMachine, false, false) => Some(format!("there is no VM {key}")),
            (Kind::VirtualMachineInstance, false, false) => Some(format!("there is no VMI {key}")),
        }
    }
}

/// What is said of a code that there is not, with the one that is closest.
pub(crate) fn no_code(word: &str) -> String {
    let codes: Vec<Code> = Code::all().collect();
    let has_digits = word.contains(|c: char| c.is_ascii_digit());
    let known = codes.iter().map(|code| {
        let id = if word.starts_with(|c: char| c.is_ascii_digit()) {
            code.id().trim_start_matches("BRT")
        } else {
            code.id()
        };
        if has_digits { id } else { code.name() }
    });
    let known: Vec<&str> = known.collect();
    // `202` is short for `0202`.
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let whole = if is_number {
        format!("{word:0>4}")
    } else {
        word.to_owned()
    };
    let close = text::closest(&whole, &known).and_then(Code::parse);
    let close = close.map(|code| format!(" (did you mean {} {}?)", code.id(), code.name()));
    format!(
        "there is no code {word:?}{}; `berth explain` lists all of them",
        close.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_there_is_not_is_answered_with_the_closest_one() {
        for (word, expect) in [
            (
                "ShutDownByDrian",
                " (did you mean BRT0413 ShutDownByDrain?)",
            ),
            ("no_targets", " (did you mean BRT0401 NoTarget?)"),
            ("BRT0143", " (did you mean BRT0413 ShutDownByDrain?)"),
            ("0143", " (did you mean BRT0413 ShutDownByDrain?)"),
            ("x", ""),
        ] {
            let expect =
                format!("there is no code {word:?}{expect}; `berth explain` lists all of them");
            assert_eq!(no_code(word), expect);
        }
    }
}
