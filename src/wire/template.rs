//! Whether an update changes the VMI template of an object.
//!
//! The two templates are compared as KubeVirt compares them, which is by value: the order of keys does
//! not count, and what is null or empty counts as absent, because a typed client leaves it out or writes
//! it in whatever else it changes.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer as JsonDeserializer;
use serde_json::value::RawValue;

use crate::wire::kubevirt::Kind;
use crate::wire::{Map, Text};

/// The fields that hold a map or a plain struct, so that `{}` says nothing. Elsewhere `{}` chooses
/// something, as `bridge: {}` does.
const EMPTY_IS_ABSENT: [&str; 10] = [
    "metadata",
    "labels",
    "annotations",
    "domain",
    "devices",
    "resources",
    "requests",
    "limits",
    "nodeSelector",
    "acpi",
];

/// Whether the VMI template of `object` differs from that of `old`.
///
/// # Errors
/// What can't be compared, and why.
pub fn changes(kind: Kind, old: &str, object: &str) -> Result<bool, &'static str> {
    let old = find(kind, old).ok_or("the old object has no template")?;
    // Reading an object without a template fails later, with a better message.
    let Some(new) = find(kind, object) else {
        return Ok(true);
    };
    if old == new {
        return Ok(false);
    }
    let hasher = RandomState::new();
    let old = digest(old, &hasher).map_err(|_| "the old template can't be read")?;
    let new = digest(new, &hasher).map_err(|_| "the template can't be read")?;
    Ok(old != new)
}

/// The template of an object, unless it is absent, null or in something that can't be read.
fn find(kind: Kind, object: &str) -> Option<&str> {
    match kind {
        Kind::VirtualMachineInstance => (object != "null").then_some(object),
        Kind::VirtualMachine | Kind::VirtualMachineInstanceReplicaSet => template(object),
        Kind::VirtualMachinePool => template(spec(object)?.virtual_machine_template?.get()),
    }
}

fn template(object: &str) -> Option<&str> {
    Some(spec(object)?.template?.get())
}

fn spec(object: &str) -> Option<Spec<'_>> {
    let Map(Object { spec: Map(spec) }) = serde_json::from_str(object).ok()?;
    Some(spec)
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    spec: Map<Spec<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    template: Option<&'a RawValue>,
    virtual_machine_template: Option<&'a RawValue>,
}

/// A digest that two texts share if they are the same value. Trees of both would take many times the memory
/// of a text that is made for it.
fn digest(text: &str, hasher: &RandomState) -> Result<Option<u64>, serde_json::Error> {
    let mut deserializer = JsonDeserializer::from_str(text);
    let digest = Digest {
        hasher,
        empty_is_absent: true,
    };
    digest.deserialize(&mut deserializer)
}

/// Reads a value to its digest, which is `None` for a value that counts as absent.
#[derive(Clone, Copy)]
struct Digest<'h> {
    hasher: &'h RandomState,
    /// An empty object counts as absent.
    empty_is_absent: bool,
}

impl<'de> DeserializeSeed<'de> for Digest<'_> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Digest<'_> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(self.hasher.hash_one(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(self.hasher.hash_one(i128::from(value))))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(self.hasher.hash_one(i128::from(value))))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(self.hasher.hash_one(value.to_bits())))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(self.hasher.hash_one(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let item = Self {
            empty_is_absent: false,
            ..self
        };
        let mut digest = None;
        while let Some(item) = items.next_element_seed(item)? {
            digest = Some(self.hasher.hash_one((digest, item)));
        }
        Ok(digest)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let (mut sum, mut is_empty) = (0_u64, true);
        while let Some(Text(key)) = fields.next_key()? {
            let field = Self {
                empty_is_absent: EMPTY_IS_ABSENT.contains(&&*key),
                ..self
            };
            if let Some(value) = fields.next_value_seed(field)? {
                // A sum, so that the order of the fields does not count.
                sum = sum.wrapping_add(self.hasher.hash_one((&*key, value)));
                is_empty = false;
            }
        }
        let is_absent = is_empty && self.empty_is_absent;
        Ok((!is_absent).then(|| self.hasher.hash_one(("object", sum))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both orders of the templates of a VM are compared.
    #[track_caller]
    fn check(old: &str, new: &str, expect: Result<bool, &str>) {
        for (old, new) in [(old, new), (new, old)] {
            let vm = |template: &str| format!(r#"{{"spec":{{"template":{template}}}}}"#);
            let changes = changes(Kind::VirtualMachine, &vm(old), &vm(new));
            assert_eq!(changes, expect, "{old} {new}");
        }
    }

    #[test]
    fn order_whitespace_and_escapes_do_not_count() {
        for (old, new) in [
            (
                r#"{"a":1,"b":[true,2.5]}"#,
                r#"{ "b" : [ true, 2.5 ],"a":1 }"#,
            ),
            (r#"{"a":"b/c"}"#, r#"{"\u0061":"b\/c"}"#),
            (r#"{"a":{"b":{},"c":1}}"#, r#"{"a":{"c":1,"b":{}}}"#),
        ] {
            check(old, new, Ok(false));
        }
    }

    #[test]
    fn null_and_what_is_empty_count_as_absent() {
        let metadata = ["{}", r#"{"metadata":null}"#, r#"{"metadata":{}}"#];
        let annotations = [
            r#"{"metadata":{"annotations":null}}"#,
            r#"{"metadata":{"annotations":{},"labels":{},"creationTimestamp":null}}"#,
            r#"{"metadata":{"annotations":{"a":null}}}"#,
        ];
        for old in metadata {
            for new in annotations {
                check(old, new, Ok(false));
            }
        }
        let bare = r#"{"spec":{"domain":{"cpu":{"cores":1}}}}"#;
        for new in [
            r#"{"spec":{"domain":{"cpu":{"cores":1},"devices":{},"resources":{}}}}"#,
            r#"{"spec":{"domain":{"cpu":{"cores":1},"resources":{"requests":{}}},"networks":[]}}"#,
            r#"{"spec":{"domain":{"cpu":{"cores":1},"devices":{"interfaces":[]}},"volumes":null}}"#,
        ] {
            check(bare, new, Ok(false));
        }
    }

    #[test]
    fn every_other_difference_counts() {
        for (old, new) in [
            (r#"{"metadata":{"labels":{"a":"b"}}}"#, "{}"),
            (r#"{"metadata":{"labels":{"a":""}}}"#, "{}"),
            (
                r#"{"metadata":{"labels":{"a":"b"}}}"#,
                r#"{"metadata":{"labels":{"b":"a"}}}"#,
            ),
            (
                r#"{"metadata":{"labels":{"a":"b"}}}"#,
                r#"{"metadata":{"annotations":{"a":"b"}}}"#,
            ),
            (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
            (r#"{"a":[1]}"#, r#"{"a":[1,null]}"#),
            (r#"{"a":[[1],2]}"#, r#"{"a":[[1,2]]}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":1}"#, r#"{"a":true}"#),
            (r#"{"a":0}"#, "{}"),
            (r#"{"a":false}"#, "{}"),
            (r#"{"a":""}"#, "{}"),
            // An empty object that chooses something.
            (
                r#"{"name":"default","bridge":{}}"#,
                r#"{"name":"default","masquerade":{}}"#,
            ),
            (r#"{"devices":{"rng":{}}}"#, r#"{"devices":{}}"#),
            (
                r#"{"networks":[{"name":"a","pod":{}}]}"#,
                r#"{"networks":[{"name":"a"}]}"#,
            ),
        ] {
            check(old, new, Ok(true));
        }
    }

    #[test]
    fn templates_that_cannot_be_compared_are_errors() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        for (kind, old, new, expect) in [
            (
                Kind::VirtualMachine,
                "7",
                r#"{"spec":{"template":{}}}"#,
                "the old object has no template",
            ),
            (
                Kind::VirtualMachine,
                r#"{"spec":{}}"#,
                r#"{"spec":{"template":{}}}"#,
                "the old object has no template",
            ),
            (
                Kind::VirtualMachine,
                r#"{"spec":{"template":null}}"#,
                r#"{"spec":{"template":{}}}"#,
                "the old object has no template",
            ),
            (
                Kind::VirtualMachinePool,
                r#"{"spec":{"template":{}}}"#,
                r#"{"spec":{"virtualMachineTemplate":{"spec":{"template":{}}}}}"#,
                "the old object has no template",
            ),
            (
                Kind::VirtualMachine,
                &format!(r#"{{"spec":{{"template":{deep}}}}}"#),
                r#"{"spec":{"template":{}}}"#,
                "the old template can't be read",
            ),
            (
                Kind::VirtualMachine,
                r#"{"spec":{"template":{}}}"#,
                r#"{"spec":{"template":{"a":1e999}}}"#,
                "the template can't be read",
            ),
        ] {
            assert_eq!(changes(kind, old, new), Err(expect), "{old} {new}");
        }
        // An object without a template is left to the code that reads it.
        let old = r#"{"spec":{"template":{}}}"#;
        assert_eq!(changes(Kind::VirtualMachine, old, "{}"), Ok(true));
    }

    #[test]
    fn the_template_of_a_pool_is_that_of_its_vmis() {
        let pool = |run: &str, cores: u8| {
            format!(
                r#"{{"spec":{{"virtualMachineTemplate":{{"spec":{{"runStrategy":"{run}","template":{{"cores":{cores}}}}}}}}}}}"#
            )
        };
        for (new, expect) in [
            (pool("Always", 1), false),
            (pool("Manual", 1), false),
            (pool("Always", 2), true),
        ] {
            let changes = changes(Kind::VirtualMachinePool, &pool("Always", 1), &new);
            assert_eq!(changes, Ok(expect), "{new}");
        }
    }
}
