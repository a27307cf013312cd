//! Lists and watches in pieces of any length.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::*;

const LARGEST: usize = 120;

/// What a stream comes to, in pieces of this length.
fn parse(text: &str, piece: usize) -> Result<Vec<Parsed>, NotAnObject> {
    let mut splitter = Splitter::new(LARGEST);
    let mut parsed = Vec::new();
    for bytes in text.as_bytes().chunks(piece) {
        splitter.push(bytes, |part| parsed.push(part))?;
    }
    Ok(parsed)
}

#[track_caller]
fn check(text: &str, expect: &[Parsed]) {
    for piece in [1, 2, 3, 7, 64, usize::MAX] {
        assert_eq!(
            parse(text, piece).as_deref(),
            Ok(expect),
            "{text} by {piece}"
        );
    }
}

fn whole(text: &str) -> Part {
    Part::Whole(text.into())
}

fn list(metadata: &str) -> Parsed {
    Parsed::Document(Document {
        metadata: metadata.into(),
        ..Document::default()
    })
}

fn event(kind: &str, object: Part) -> Parsed {
    Parsed::Document(Document {
        event: format!("{kind:?}").into(),
        object: Some(object),
        ..Document::default()
    })
}

#[test]
fn a_list_comes_apart_into_its_items_and_its_metadata() {
    let items = [
        r#"{"a":"]}\",{"}"#,
        "null",
        "7",
        "[[],{}]",
        "{}",
        r#""x,]""#,
    ];
    for text in [
        format!(
            r#"{{"kind":"L","metadata":{{"continue":"c"}},"items":[{}]}}"#,
            items.join(",")
        ),
        format!(
            r#" {{ "items" : [{}], "more":{{"items":[1]}}, "metadata":{{"continue":"c"}} }} "#,
            items.join(",")
        ),
    ] {
        let mut expect: Vec<Parsed> = items.iter().map(|item| Parsed::Item(whole(item))).collect();
        expect.push(list(r#"{"continue":"c"}"#));
        check(&text, &expect);
    }
    for empty in ["null", "[]", "[ ]", "7", "{}"] {
        check(&format!(r#"{{"items":{empty}}}"#), &[list("")]);
    }
}

#[test]
fn a_watch_comes_apart_into_its_events() {
    check(
        "{\"type\":\"ADDED\",\"object\":{\"items\":[{}]}}\n{\"object\":{},\"type\":\"DELETED\"}\n{\"type\":",
        &[
            event("ADDED", whole(r#"{"items":[{}]}"#)),
            event("DELETED", whole("{}")),
        ],
    );
}

#[test]
fn an_object_that_is_too_large_leaves_its_name_and_its_neighbours() {
    let long = "x".repeat(LARGEST);
    let many = vec![r#"{"name":"no"}"#; 20].join(",");
    for large in [
        format!(
            r#"{{"metadata":{{"annotations":{{"name":"{long}"}},"name":"a","namespace":"n","resourceVersion":"7"}},"status":{{"name":"no"}}}}"#
        ),
        format!(
            r#"{{"metadata":{{"name":"a","namespace":"n","resourceVersion":"7","ownerReferences":[{many}]}},"spec":{{"name":"no"}}}}"#
        ),
        format!(
            r#"{{"spec":[{many}],"metadata":{{"name":"a","namespace":"n","resourceVersion":"7"}}}}"#
        ),
    ] {
        let named = Part::TooLarge(Named {
            name: "a".to_owned(),
            namespace: "n".to_owned(),
            resource_version: "7".to_owned(),
            bytes: large.len(),
        });
        check(
            &format!(r#"{{"items":[{{}},{large},{{}}]}}"#),
            &[
                Parsed::Item(whole("{}")),
                Parsed::Item(named.clone()),
                Parsed::Item(whole("{}")),
                list(""),
            ],
        );
        check(
            &format!(r#"{{"type":"ADDED","object":{large}}}"#),
            &[event("ADDED", named)],
        );
    }
}

#[test]
fn what_is_no_object_is_an_error() {
    for (text, byte) in [("<html>", b'<'), ("[]", b'['), ("{} x", b'x')] {
        assert_eq!(parse(text, 1), Err(NotAnObject(byte)), "{text}");
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        "[a\\[\\]{}\",:\\\\\n\u{e9}]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let key = select(vec![
            "metadata",
            "name",
            "namespace",
            "items",
            "object",
            "]\\\"",
        ]);
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((key, inner), 0..5).prop_map(|fields| {
                let fields = fields.into_iter();
                fields.map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    /// Whatever is in a list, and however its bytes come.
    #[test]
    fn the_items_of_a_list_are_those_that_serde_reads(
        items in vec(json(), 0..6), more in json(), pretty: bool, piece in 1..20_usize,
    ) {
        let list = json!({"a": more, "items": items, "metadata": {"a": more}, "z": more});
        let text = if pretty {
            serde_json::to_string_pretty(&list).unwrap()
        } else {
            list.to_string()
        };
        let mut splitter = Splitter::default();
        let (mut read, mut metadata) = (Vec::new(), None);
        for bytes in text.as_bytes().chunks(piece) {
            splitter
                .push(bytes, |parsed| match parsed {
                    Parsed::Item(Part::Whole(text)) => {
                        read.push(serde_json::from_slice::<Value>(&text).unwrap());
                    }
                    Parsed::Document(list) => {
                        metadata = Some(serde_json::from_slice::<Value>(&list.metadata).unwrap());
                    }
                    Parsed::Item(Part::TooLarge(named)) => panic!("{named:?}"),
                })
                .unwrap();
        }
        prop_assert_eq!(read, items);
        prop_assert_eq!(metadata, Some(json!({"a": more})));
    }

    #[test]
    fn any_bytes_are_taken_or_refused(
        bytes in vec(select(b"{}[]\",:\\ a\xff".to_vec()), 0..200),
    ) {
        let mut splitter = Splitter::new(20);
        for byte in bytes.chunks(3) {
            if splitter.push(byte, drop).is_err() {
                break;
            }
        }
        let taken = splitter.taken.map_or(0, |taken| taken.text.len());
        prop_assert!(taken <= 200 && splitter.word.len() <= LONGEST_WORD + 1);
    }
}
