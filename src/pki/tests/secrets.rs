//! What is read of a Secret, good, damaged and foreign.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;

use super::super::change::{Change, IssueReason};
use super::super::contents::{Defect, Foreign, Found, Part, read, write};
use super::super::state::State;
use super::{DAY, mk_changed, mk_secret, mk_secret_with, mk_state, start};

#[test]
fn what_is_written_is_read_back() {
    let state = mk_state(start());
    let overlapping = mk_changed(
        &state,
        &[Change::MakeNext(IssueReason::Renewal)],
        start() + DAY,
    );
    let promoted = mk_changed(
        &overlapping,
        &[
            Change::Promote(IssueReason::Renewal),
            Change::IssueLeaf(IssueReason::NewCa, super::mk_policy().names),
        ],
        start() + DAY,
    );
    assert_eq!(promoted.bundle.len(), 2);
    for state in [state, overlapping, promoted] {
        let found = read(&mk_secret(&state)).unwrap();
        assert_eq!((found.state, found.defects), (state, vec![]));
    }
    let mut empty = mk_secret(&State::default());
    empty.data = None;
    assert_eq!(read(&empty), Ok(Found::default()));
}

#[test]
fn writing_leaves_what_is_not_berths() {
    let mut old = mk_secret(&mk_state(start()));
    old.metadata.annotations = Some([("note".to_owned(), "mine".to_owned())].into());
    let data = old.data.as_mut().unwrap();
    data.insert("other".to_owned(), ByteString(b"kept".to_vec()));
    data.insert("ca-next.key".to_owned(), ByteString(b"gone".to_vec()));
    let state = mk_state(start() + DAY);
    let new = write(&state, Some(&old), "ns", "berth-tls");
    assert_eq!(new.metadata, old.metadata);
    let keys: Vec<&str> = new.data.iter().flatten().map(|(key, _)| &**key).collect();
    let expect = [
        "ca-horizon.json",
        "ca.crt",
        "ca.key",
        "other",
        "tls.crt",
        "tls.key",
    ];
    assert_eq!(keys, expect);
    assert_eq!(read(&new).unwrap().state, state);
}

/// What is wrong with the Secret when one part is something else, and whether a CA that signs and a
/// leaf are left.
#[track_caller]
fn check(part: Part, bytes: Option<&[u8]>, defects: &[Defect], left: (bool, bool)) {
    let found = read(&mk_secret_with(&mk_state(start()), part, bytes)).unwrap();
    let State { signer, leaf, .. } = &found.state;
    assert_eq!(found.defects, defects);
    assert_eq!((signer.is_some(), leaf.is_some()), left);
}

const JUNK: Option<&[u8]> = Some(b"junk");

#[test]
fn without_its_ca_nothing_in_a_secret_has_a_meaning() {
    let strangers = [Part::SignerKey, Part::Leaf].map(Defect::Stranger);
    let and = |defect: fn(Part) -> Defect| [&[defect(Part::Bundle)][..], &strangers].concat();
    let nothing = (false, false);
    check(Part::Bundle, None, &and(Defect::Missing), nothing);
    check(Part::Bundle, JUNK, &and(Defect::Unreadable), nothing);
    let leaf = mk_state(start()).leaf.unwrap().certificate.id.pem();
    let leaf = Some(leaf.as_bytes());
    check(Part::Bundle, leaf, &and(Defect::Unreadable), nothing);
}

#[test]
fn a_damaged_part_is_named_and_the_others_are_kept() {
    let other = mk_secret(&mk_state(start() + DAY)).data.unwrap();
    let [key, leaf] = [Part::SignerKey, Part::Leaf].map(|part| other[part.name()].0.as_slice());
    let (missing, unreadable, stranger) = (Defect::Missing, Defect::Unreadable, Defect::Stranger);
    for (part, bytes, defect, left) in [
        (
            Part::SignerKey,
            None,
            missing(Part::SignerKey),
            (false, true),
        ),
        (
            Part::SignerKey,
            Some(&[0xff; 100][..]),
            unreadable(Part::SignerKey),
            (false, true),
        ),
        (
            Part::SignerKey,
            Some(key),
            stranger(Part::SignerKey),
            (false, true),
        ),
        (Part::NextKey, JUNK, unreadable(Part::NextKey), (true, true)),
        (
            Part::NextKey,
            Some(key),
            stranger(Part::NextKey),
            (true, true),
        ),
        (Part::Horizon, None, missing(Part::Horizon), (true, true)),
        (
            Part::Horizon,
            Some(b"["),
            unreadable(Part::Horizon),
            (true, true),
        ),
        (Part::Leaf, None, missing(Part::Leaf), (true, false)),
        (Part::Leaf, Some(b""), unreadable(Part::Leaf), (true, false)),
        (
            Part::Leaf,
            Some(leaf),
            stranger(Part::LeafKey),
            (true, false),
        ),
        (Part::LeafKey, None, missing(Part::LeafKey), (true, false)),
        (
            Part::LeafKey,
            JUNK,
            unreadable(Part::LeafKey),
            (true, false),
        ),
        (
            Part::LeafKey,
            Some(key),
            stranger(Part::LeafKey),
            (true, false),
        ),
    ] {
        check(part, bytes, &[defect], left);
    }
}

#[test]
fn a_leaf_of_no_ca_in_the_bundle_is_a_stranger() {
    let mut secret = mk_secret(&mk_state(start()));
    let other = mk_secret(&mk_state(start() + DAY));
    for part in [Part::Leaf, Part::LeafKey] {
        let bytes = other.data.as_ref().unwrap()[part.name()].clone();
        let data = secret.data.as_mut().unwrap();
        data.insert(part.name().to_owned(), bytes);
    }
    let found = read(&secret).unwrap();
    assert_eq!(found.defects, [Defect::Stranger(Part::Leaf)]);
    assert!(found.state.signer.is_some() && found.state.leaf.is_none());
}

#[test]
fn a_ca_of_which_nothing_is_known_may_have_leaves_as_long_as_itself() {
    let state = mk_state(start());
    let known = &state.bundle[0];
    let leaf_end = state.leaf.as_ref().unwrap().certificate.validity.not_after;
    assert_eq!(known.leaves_until, leaf_end);
    for (horizon, expect) in [
        (&b"{}"[..], known.authority.validity.not_after),
        (b"{\"00\": 5}", known.authority.validity.not_after),
        (b"junk", known.authority.validity.not_after),
        // Never before the end of the leaf that is there.
        (
            format!("{{\"{}\": 5}}", known.authority.id.serial()).as_bytes(),
            leaf_end,
        ),
    ] {
        let found = read(&mk_secret_with(&state, Part::Horizon, Some(horizon))).unwrap();
        assert_eq!(found.state.bundle[0].leaves_until, expect);
    }
}

#[test]
fn a_secret_of_somebody_else_is_not_read() {
    let good = mk_secret(&mk_state(start()));
    let change = |change: fn(&mut Secret)| {
        let mut secret = good.clone();
        change(&mut secret);
        read(&secret).map_err(|why| why.to_string())
    };
    for (changed, expect) in [
        (
            change(|secret| secret.metadata.labels = None),
            "it has no label app.kubernetes.io/managed-by: berth",
        ),
        (
            change(|secret| {
                secret.metadata.labels = Some(BTreeMap::from([(
                    "app.kubernetes.io/managed-by".to_owned(),
                    "Helm".to_owned(),
                )]));
            }),
            "its label app.kubernetes.io/managed-by is \"Helm\", not \"berth\"",
        ),
        (
            change(|secret| secret.type_ = Some("kubernetes.io/tls".to_owned())),
            "its type is kubernetes.io/tls, not Opaque",
        ),
        (
            change(|secret| {
                secret.metadata.annotations = Some(BTreeMap::from([(
                    "cert-manager.io/certificate-name".to_owned(),
                    "berth".to_owned(),
                )]));
            }),
            "it has the annotation cert-manager.io/certificate-name",
        ),
    ] {
        assert_eq!(changed, Err(expect.to_owned()));
    }
    assert_eq!(
        read(&Secret::default()),
        Err(Foreign::Unlabelled),
        "an empty one is not berth's either"
    );
}

#[test]
fn an_immutable_secret_is_read_like_another_one() {
    let mut secret = mk_secret(&mk_state(start()));
    let expect = read(&secret).unwrap();
    assert!(!expect.immutable);
    secret.immutable = Some(true);
    let expect = Found {
        immutable: true,
        ..expect
    };
    assert_eq!(read(&secret), Ok(expect));
    secret.data = None;
    let empty = Found {
        immutable: true,
        ..Found::default()
    };
    assert_eq!(read(&secret), Ok(empty));
}

#[test]
fn what_is_lost_is_put_back_and_what_came_later_is_not() {
    let old = mk_state(start());
    let next = mk_changed(
        &old,
        &[Change::MakeNext(IssueReason::Renewal)],
        start() + DAY,
    );
    let new = mk_changed(
        &next,
        &[
            Change::Promote(IssueReason::Renewal),
            Change::IssueLeaf(IssueReason::NewCa, super::mk_policy().names),
        ],
        start() + DAY,
    );
    assert_eq!(State::default().or(&next), next);
    assert_eq!(next.clone().or(&State::default()), next);
    assert_eq!(new.clone().or(&next), new);
    assert_eq!(old.clone().or(&next), old);

    let without_key = State {
        signer: None,
        ..new.clone()
    };
    let restored = without_key.or(&next);
    // The signer of before, which the bundle has still.
    assert_eq!(restored.signer, old.signer);
    assert_eq!(restored.leaf, new.leaf);

    let without_leaf = State {
        leaf: None,
        ..new.clone()
    };
    assert_eq!(without_leaf.or(&new), new);
}

#[test]
fn no_debug_shows_a_key() {
    let secret = read(&mk_secret(&mk_state(start()))).unwrap();
    let shown = format!("{secret:?}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
}
