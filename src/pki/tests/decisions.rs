//! What is decided, by what the Secret holds and what time it is.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::super::Names;
use super::super::change::{Change, IssueReason};
use super::super::contents::{Defect, Part};
use super::super::decide::{Action, CertificatePolicy, Facts, Published, Serving, decide};
use super::super::state::State;
use super::super::{Now, SKEW, Source};
use super::{DAY, HOUR, mk_changed, mk_now, mk_policy, mk_state, start};
use crate::tls::HostName;

struct Case<'a> {
    state: &'a State,
    defects: &'a [Defect],
    published: Published,
    serving: Option<Serving>,
    now: Now,
    policy: CertificatePolicy,
}

impl<'a> Case<'a> {
    fn new(state: &'a State, at: SystemTime) -> Self {
        Self {
            state,
            defects: &[],
            published: Published::Everything,
            serving: None,
            now: mk_now(at),
            policy: mk_policy(),
        }
    }

    fn unpublished(mut self) -> Self {
        self.published = Published::These(BTreeSet::new());
        self
    }

    fn local(mut self) -> Self {
        self.now.by = Source::Local;
        self
    }

    fn defects(mut self, defects: &'a [Defect]) -> Self {
        self.defects = defects;
        self
    }

    fn names(mut self, names: &[&str]) -> Self {
        self.policy.names = mk_names(names);
        self
    }

    fn action(&self) -> Action {
        let facts = Facts {
            state: self.state,
            defects: self.defects,
            restored: false,
            published: &self.published,
            serving: self.serving.as_ref(),
            now: self.now,
        };
        decide(facts, &self.policy)
    }

    #[track_caller]
    fn keeps_until(&self, until: SystemTime) {
        assert_eq!(self.action(), Action::Keep { until });
    }

    #[track_caller]
    fn writes(&self, changes: &[Change]) {
        assert_eq!(self.action(), Action::Write(changes.to_vec()));
    }
}

fn mk_names(names: &[&str]) -> Names {
    names
        .iter()
        .map(|name| HostName::parse(name).unwrap())
        .collect()
}

fn issue(why: IssueReason) -> Change {
    Change::IssueLeaf(why, mk_policy().names)
}

fn mk_serving(state: &State) -> Serving {
    let leaf = state.leaf.as_ref().unwrap();
    Serving {
        leaf: leaf.certificate.id.clone(),
        validity: leaf.certificate.validity,
        authority: state.trusted(&leaf.issuer).unwrap().authority.clone(),
    }
}

#[test]
fn where_nothing_is_a_ca_and_a_leaf_are_made() {
    let nothing = State::default();
    let first = [
        Change::MakeSigner(IssueReason::First),
        issue(IssueReason::First),
    ];
    Case::new(&nothing, start()).writes(&first);
    Case::new(&nothing, start())
        .unpublished()
        .local()
        .writes(&first);
}

#[test]
fn a_leaf_is_renewed_at_two_thirds_of_its_life() {
    let state = mk_state(start());
    let due = start() + 20 * DAY;
    Case::new(&state, start()).keeps_until(due);
    Case::new(&state, start() - SKEW).keeps_until(due);
    Case::new(&state, due - Duration::from_secs(1)).keeps_until(due);
    Case::new(&state, due).writes(&[issue(IssueReason::Renewal)]);
    Case::new(&state, start() + 31 * DAY).writes(&[issue(IssueReason::Expired)]);

    let mut late = Case::new(&state, due);
    late.policy.jitter = 0.5;
    late.keeps_until(due + DAY / 2);

    let mut shorter = Case::new(&state, start() + 4 * DAY);
    shorter.policy.leaf_lifetime = 6 * DAY;
    shorter.writes(&[issue(IssueReason::Renewal)]);
}

#[test]
fn a_configured_name_that_the_leaf_lacks_is_added_to_its_names() {
    let state = mk_state(start());
    let case = |names: &[&str]| Case::new(&state, start()).names(names);
    case(&["berth.ns.svc"]).keeps_until(start() + 20 * DAY);
    let all = mk_names(&["berth.ns.svc", "127.0.0.1", "other.ns.svc"]);
    let why = IssueReason::Names;
    case(&["other.ns.svc"]).writes(&[Change::IssueLeaf(why, all.clone())]);

    // So the replicas of an unfinished rollout agree, whichever came last.
    let rolled = mk_changed(&state, &[Change::IssueLeaf(why, all)], start());
    Case::new(&rolled, start()).keeps_until(start() + 20 * DAY);
    let new = Case::new(&rolled, start()).names(&["other.ns.svc"]);
    new.keeps_until(start() + 20 * DAY);
    // The old name goes with the next renewal.
    let later = Case::new(&rolled, start() + 20 * DAY).names(&["other.ns.svc"]);
    later.writes(&[Change::IssueLeaf(
        IssueReason::Renewal,
        mk_names(&["other.ns.svc"]),
    )]);
}

#[test]
fn what_begins_in_the_future_waits_unless_the_api_server_says_what_time_it_is() {
    let state = mk_state(start());
    let before = start() - 2 * HOUR;
    Case::new(&state, before)
        .local()
        .keeps_until(start() + 20 * DAY);
    Case::new(&state, before).writes(&[
        Change::MakeSigner(IssueReason::FromTheFuture),
        issue(IssueReason::FromTheFuture),
    ]);
    // By less than certificates are backdated there is no future.
    let before = start() - 2 * SKEW;
    Case::new(&state, before).keeps_until(start() + 20 * DAY);
}

#[test]
fn a_ca_is_replaced_step_by_step() {
    let state = mk_state(start());
    let due = start() + 2400 * DAY;
    let fresh = mk_changed(&state, &[issue(IssueReason::Renewal)], due - DAY);
    Case::new(&fresh, due - DAY).keeps_until(due);
    Case::new(&fresh, due).writes(&[Change::MakeNext(IssueReason::Renewal)]);

    // Published for a sixth of its life, while the old one signs.
    let next = mk_changed(&fresh, &[Change::MakeNext(IssueReason::Renewal)], due);
    assert_eq!(next.bundle.len(), 2);
    Case::new(&next, due).keeps_until(due + 19 * DAY);
    let due = due + 600 * DAY;
    Case::new(&next, due - DAY).writes(&[issue(IssueReason::Expired)]);
    let fresh = mk_changed(&next, &[issue(IssueReason::Expired)], due - DAY);
    assert_eq!(
        fresh.leaf.as_ref().unwrap().issuer,
        state.bundle[0].authority.id
    );
    Case::new(&fresh, due - DAY).keeps_until(due);
    Case::new(&fresh, due)
        .unpublished()
        .keeps_until(due + 19 * DAY);
    let promote = [
        Change::Promote(IssueReason::Renewal),
        issue(IssueReason::NewCa),
    ];
    Case::new(&fresh, due).writes(&promote);

    // Trusted until its last leaf is over.
    let promoted = mk_changed(&fresh, &promote, due);
    assert_eq!((promoted.bundle.len(), &promoted.next), (2, &None));
    let renewed = mk_changed(&promoted, &[issue(IssueReason::Renewal)], due + 20 * DAY);
    let over = due + 29 * DAY + SKEW + Duration::from_secs(1);
    Case::new(&renewed, due + 20 * DAY).keeps_until(over);
    let old = state.bundle[0].authority.id.clone();
    Case::new(&renewed, over).writes(&[Change::Retire(old)]);
}

#[test]
fn a_leaf_never_outlives_its_ca() {
    let state = mk_state(start());
    let end = start() + 3600 * DAY;
    let late = mk_changed(&state, &[issue(IssueReason::Renewal)], end - 10 * DAY);
    assert_eq!(
        late.leaf.as_ref().unwrap().certificate.validity.not_after,
        end
    );
    // Another one would not last longer: nothing is gained.
    let next = mk_changed(
        &late,
        &[Change::MakeNext(IssueReason::Renewal)],
        end - 10 * DAY,
    );
    Case::new(&next, end - DAY).unpublished().keeps_until(end);
    // As soon as callers trust the next CA it signs, overlap or not.
    Case::new(&next, end - DAY).writes(&[
        Change::Promote(IssueReason::Renewal),
        issue(IssueReason::Renewal),
    ]);
    // Without the next CA, or without anybody who trusts it, when nothing else is left.
    Case::new(&next, end).unpublished().writes(&[
        Change::Promote(IssueReason::Expired),
        issue(IssueReason::Expired),
    ]);
    Case::new(&late, end).unpublished().writes(&[
        Change::MakeSigner(IssueReason::Expired),
        issue(IssueReason::Expired),
    ]);
}

#[test]
fn a_lost_key_is_replaced_with_an_overlap_as_long_as_the_leaf_allows() {
    let whole = mk_state(start());
    let state = State {
        signer: None,
        ..whole.clone()
    };
    let defects = [Defect::Missing(Part::SignerKey)];
    Case::new(&state, start()).defects(&defects).writes(&[
        Change::Repair(Defect::Missing(Part::SignerKey)),
        Change::MakeNext(IssueReason::Lost),
    ]);
    let next = mk_changed(&state, &[Change::MakeNext(IssueReason::Lost)], start());
    let due = start() + 20 * DAY;
    Case::new(&next, start()).keeps_until(due);
    Case::new(&next, due).writes(&[
        Change::Promote(IssueReason::Lost),
        issue(IssueReason::Renewal),
    ]);
    // Nobody trusts it yet: the leaf that is there is better to the end.
    let over = start() + 30 * DAY;
    Case::new(&next, due).unpublished().keeps_until(over);
    Case::new(&next, over).unpublished().writes(&[
        Change::Promote(IssueReason::Lost),
        issue(IssueReason::Expired),
    ]);

    // With the leaf gone as well, there is nothing to wait for.
    let state = State {
        leaf: None,
        ..state
    };
    Case::new(&state, start()).writes(&[
        Change::MakeSigner(IssueReason::Lost),
        issue(IssueReason::Lost),
    ]);
    // With the leaf gone alone, the CA signs another.
    let state = State {
        leaf: None,
        ..whole
    };
    Case::new(&state, start())
        .unpublished()
        .writes(&[issue(IssueReason::Lost)]);
}

#[test]
fn the_ca_of_a_served_leaf_is_trusted_whatever_the_secret_says() {
    let [state, other] = [mk_state(start()), mk_state(start())];
    let serving = mk_serving(&other);
    let end = serving.validity.not_after;
    let case = |at: SystemTime| Case {
        serving: Some(serving.clone()),
        ..Case::new(&state, at)
    };
    case(start()).writes(&[Change::Trust(serving.authority.clone(), end)]);

    let trust = [Change::Trust(serving.authority.clone(), end)];
    let both = mk_changed(&state, &trust, start());
    assert_eq!(both.bundle[1].leaves_until, end);
    Case {
        serving: Some(serving.clone()),
        ..Case::new(&both, start())
    }
    .keeps_until(start() + 20 * DAY);
    // Not any more when it is over.
    case(end + SKEW).writes(&[issue(IssueReason::Expired)]);
}

#[test]
fn a_bundle_has_an_end() {
    let mut state = mk_state(start());
    for hour in 1..10 {
        let other = mk_state(start() + hour * HOUR);
        let leaf = other.leaf.as_ref().unwrap();
        let ca = other.bundle[0].authority.clone();
        let until = leaf.certificate.validity.not_after;
        state = mk_changed(&state, &[Change::Trust(ca, until)], start());
    }
    let ids: Vec<_> = state
        .bundle
        .iter()
        .map(|ca| ca.authority.id.clone())
        .collect();
    Case::new(&state, start()).writes(&[
        Change::Retire(ids[1].clone()),
        Change::Retire(ids[2].clone()),
    ]);
}

#[test]
fn what_is_wrong_is_written_right() {
    let state = mk_state(start());
    let defects = [
        Defect::Unreadable(Part::NextKey),
        Defect::Missing(Part::Horizon),
    ];
    Case::new(&state, start())
        .defects(&defects)
        .writes(&defects.map(Change::Repair));
}
