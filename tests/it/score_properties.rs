//! What holds of every score, whatever is known of the nodes and however it is weighed.

use std::time::Duration;

use berth::decide::score::{BEST, Effect, Input, Inputs, Scale, Weights};
use proptest::prelude::*;

fn any_inputs() -> impl Strategy<Value = Inputs> {
    let some = prop::option::weighted::<std::ops::Range<usize>>;
    let time = || prop_oneof![0u64..300, Just(60_000), Just(u64::MAX)];
    (
        some(0.8, 0..4),
        some(0.8, 0..12),
        prop::option::weighted(0.8, time()),
        prop::option::weighted(0.8, 0u64..=600),
    )
        .prop_map(|(local, arriving, response, steady)| Inputs {
            local,
            arriving,
            response: response.map(Duration::from_millis),
            steady: steady.map(Duration::from_secs),
        })
}

fn any_weights() -> impl Strategy<Value = Weights> {
    let weight = || prop_oneof![0u32..=10, 0u32..=100];
    (weight(), weight(), weight(), weight())
        .prop_map(|(locality, arriving, response, stability)| Weights {
            locality,
            arriving,
            response,
            stability,
        })
        .prop_filter("one counts", |weights| {
            Input::ALL.iter().any(|input| weights.of(*input) > 0)
        })
}

fn any_candidates() -> impl Strategy<Value = Vec<Inputs>> {
    prop::collection::vec(any_inputs(), 1..12)
}

fn scores(weights: Weights, candidates: &[Inputs]) -> Vec<u8> {
    let scale = Scale::new(weights, candidates);
    candidates.iter().map(|one| scale.score(one)).collect()
}

/// One of the inputs a little better, where it is known.
fn better(inputs: Inputs, input: Input) -> Inputs {
    let Inputs {
        local,
        arriving,
        response,
        steady,
    } = inputs;
    match input {
        Input::Locality => Inputs {
            local: local.map(|local| local + 1),
            ..inputs
        },
        Input::Arriving => Inputs {
            arriving: arriving.map(|arriving| arriving.saturating_sub(1)),
            ..inputs
        },
        Input::Response => Inputs {
            response: response.map(|time| time / 2),
            ..inputs
        },
        Input::Stability => Inputs {
            steady: steady.map(|time| time + Duration::from_secs(30)),
            ..inputs
        },
    }
}

/// The same without what is known of one input.
fn without(inputs: Inputs, input: Input) -> Inputs {
    let mut inputs = inputs;
    match input {
        Input::Locality => inputs.local = None,
        Input::Arriving => inputs.arriving = None,
        Input::Response => inputs.response = None,
        Input::Stability => inputs.steady = None,
    }
    inputs
}

fn any_input() -> impl Strategy<Value = Input> {
    prop::sample::select(Input::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_score_is_in_range_and_the_best_in_everything_has_the_most(
        weights in any_weights(), candidates in any_candidates(),
    ) {
        let all = scores(weights, &candidates);
        prop_assert!(all.iter().all(|score| *score <= BEST));
        // Whoever is the best in every input has all there is.
        let best = Inputs { local: Some(9), arriving: Some(0), response: Some(Duration::ZERO), steady: Some(Duration::MAX) };
        let mut more = candidates;
        more.push(best);
        let all = scores(weights, &more);
        prop_assert_eq!(all.last(), Some(&BEST));
    }

    #[test]
    fn a_score_is_the_same_in_any_order_and_for_whoever_has_the_same_inputs(
        weights in any_weights(), candidates in any_candidates(), turn in 0usize..12,
    ) {
        let all = scores(weights, &candidates);
        let mut turned = candidates.clone();
        turned.reverse();
        turned.rotate_left(turn % candidates.len());
        let mut expect = all.clone();
        expect.reverse();
        expect.rotate_left(turn % candidates.len());
        prop_assert_eq!(scores(weights, &turned), expect);
        // Another of the same changes nothing for anybody.
        let again = candidates[turn % candidates.len()];
        let mut more = candidates;
        more.push(again);
        let mut expect = all.clone();
        expect.push(all[turn % all.len()]);
        prop_assert_eq!(scores(weights, &more), expect);
    }

    #[test]
    fn who_becomes_better_in_one_thing_scores_no_less(
        weights in any_weights(), candidates in any_candidates(), at in 0usize..12, input in any_input(),
    ) {
        let at = at % candidates.len();
        let before = scores(weights, &candidates)[at];
        let mut better_one = candidates;
        better_one[at] = better(better_one[at], input);
        let after = scores(weights, &better_one)[at];
        prop_assert!(after >= before, "{} after {}: {:?}", after, before, better_one);
    }

    #[test]
    fn who_is_no_worse_in_anything_scores_no_less(
        weights in any_weights(), candidates in any_candidates(), at in 0usize..12,
        steps in prop::collection::vec(any_input(), 0..4),
    ) {
        let at = at % candidates.len();
        let mut other = candidates[at];
        for input in steps {
            other = better(other, input);
        }
        let mut all = candidates;
        all.push(other);
        let scores = scores(weights, &all);
        prop_assert!(scores[all.len() - 1] >= scores[at], "{:?} {:?}", scores, all);
    }

    #[test]
    fn what_nobody_knows_and_what_is_the_same_for_all_makes_no_difference(
        weights in any_weights(), candidates in any_candidates(), input in any_input(), known in any_inputs(),
    ) {
        let unknown: Vec<_> = candidates.iter().map(|one| without(*one, input)).collect();
        let same: Vec<_> = unknown
            .iter()
            .map(|one| match input {
                Input::Locality => Inputs { local: known.local, ..*one },
                Input::Arriving => Inputs { arriving: known.arriving, ..*one },
                Input::Response => Inputs { response: known.response, ..*one },
                Input::Stability => Inputs { steady: known.steady, ..*one },
            })
            .collect();
        prop_assert_eq!(scores(weights, &unknown), scores(weights, &same));
        prop_assert_ne!(Scale::new(weights, &same).effect(input), Effect::Decides);
        let nothing = vec![Inputs::default(); candidates.len()];
        prop_assert_eq!(scores(weights, &nothing), vec![BEST; candidates.len()]);
    }

    #[test]
    fn by_default_the_more_local_of_two_is_never_behind_by_all_the_rest(
        local in 1usize..4, less in 0usize..3, rest in any_inputs(), other in any_inputs(),
    ) {
        let here = Inputs { local: Some(local), ..rest };
        let away = Inputs { local: Some(less % local), ..other };
        let scores = scores(Weights::default(), &[here, away]);
        prop_assert!(scores[0] > scores[1], "{:?}", scores);
    }
}
