//! The scores of candidates beside each other.

use super::*;

const MS: Duration = Duration::from_millis(1);

#[track_caller]
fn check(candidates: &[Inputs], expect: &[u8]) {
    let scale = Scale::new(Weights::default(), candidates);
    let scores: Vec<_> = candidates.iter().map(|one| scale.score(one)).collect();
    assert_eq!(scores, expect, "{candidates:?}");
}

fn mk(local: usize, arriving: usize, response: Duration, steady: u64) -> Inputs {
    Inputs {
        local: Some(local),
        arriving: Some(arriving),
        response: Some(response),
        steady: Some(Duration::from_secs(steady)),
    }
}

fn arriving(count: usize) -> Inputs {
    Inputs {
        arriving: Some(count),
        ..Inputs::default()
    }
}

fn local(count: usize) -> Inputs {
    Inputs {
        local: Some(count),
        ..Inputs::default()
    }
}

#[test]
fn a_node_is_measured_against_the_best_in_each_input() {
    for (candidates, expect) in [
        (vec![], &[][..]),
        (vec![local(1), local(0)], &[10, 4]),
        (vec![local(0), local(0)], &[10, 10]),
        // Of a VM on two switches: both, one or none.
        (vec![local(2), local(1), local(0)], &[10, 7, 4]),
        // One is local everywhere, as Kube-OVN's default VPC is.
        (vec![local(2), local(1)], &[10, 4]),
        (
            [0, 1, 3, 10].map(arriving).to_vec(),
            // A half, a quarter and an eleventh of two points.
            &[10, 9, 9, 8],
        ),
        ([4, 5].map(arriving).to_vec(), &[10, 10]),
        // Nobody is quicker by a few milliseconds.
        (vec![mk(1, 0, MS, 600), mk(1, 0, 5 * MS, 600)], &[10, 10]),
        (vec![mk(1, 0, MS, 600), mk(1, 0, 5000 * MS, 600)], &[10, 9]),
        (vec![mk(1, 0, MS, 600), mk(1, 0, MS, 10)], &[10, 9]),
        (vec![mk(1, 0, MS, 59), mk(1, 0, MS, 0)], &[10, 10]),
    ] {
        check(&candidates, expect);
    }
}

#[test]
fn locality_outweighs_all_other_inputs() {
    for (more, less) in [(1, 0), (2, 1), (3, 2)] {
        check(
            &[
                mk(more, usize::MAX, Duration::MAX, 0),
                mk(less, 0, Duration::ZERO, 600),
            ],
            &[6, 4],
        );
    }
}

#[test]
fn an_unknown_input_lowers_no_score() {
    check(&[Inputs::default(); 3], &[10, 10, 10]);
    let scale = Scale::new(Weights::default(), &[arriving(0), arriving(1)]);
    let effects: Vec<_> = Input::ALL
        .iter()
        .map(|input| scale.effect(*input))
        .collect();
    assert_eq!(
        effects,
        [
            Effect::Unknown,
            Effect::Decides,
            Effect::Unknown,
            Effect::Unknown
        ]
    );
}

#[test]
fn a_candidate_with_an_unknown_input_scores_like_the_worst() {
    check(&[local(1), local(0), Inputs::default()], &[10, 4, 4]);
    check(&[local(1), Inputs::default()], &[10, 10]);
}

#[test]
fn an_input_without_weight_does_nothing() {
    let weights = Weights {
        locality: 0,
        ..Weights::default()
    };
    let candidates = [local(1), local(0)];
    let scale = Scale::new(weights, &candidates);
    assert_eq!(scale.effect(Input::Locality), Effect::Off);
    assert_eq!(candidates.map(|one| scale.score(&one)), [10, 10]);
    let none = Weights {
        locality: 0,
        arriving: 0,
        response: 0,
        stability: 0,
    };
    assert_eq!(Scale::new(none, &candidates).score(&candidates[0]), 0);
}

#[test]
fn all_lists_the_inputs_in_their_order() {
    let in_order = Input::ALL.iter().enumerate();
    assert!(
        in_order
            .into_iter()
            .all(|(at, input)| at == *input as usize)
    );
}
