//! Clients that have berth read VMIs: so many in a second, and no answer tells what is there.

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::apiserver::{Fault, Verb};
use crate::lookups::{Late, is_read};
use crate::support::{capture, capture_json};

const SCHEDULER: [u8; 4] = [10, 0, 0, 1];
const HOSTILE: [u8; 4] = [10, 0, 0, 66];

/// A filter call for the target pod of this VMI.
fn call(vmi: &str) -> String {
    let mut call = capture_json("filter-names-migration");
    call["Pod"]["metadata"]["ownerReferences"][0]["name"] = json!(vmi);
    call.to_string()
}

fn error(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["Error"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_lookups_is_cut_to_its_share_and_the_scheduler_gets_its_own() {
    let late = Late::with("limits: {lookupsPerSecond: 8}").await;
    let mut errors = Vec::new();
    for count in 0..200 {
        let vmi = format!("vmi-{count}");
        let (status, answer) = late.filter_from(HOSTILE, &call(&vmi)).await;
        assert_eq!(status, StatusCode::OK);
        errors.push(error(&answer).replace(&vmi, "VMI"));
    }
    // The caller is not told whether it is absent or was not looked up.
    errors.dedup();
    assert_eq!(
        errors,
        [
            "berth: VirtualMachineInstance default/VMI with UID 98ba4550-0347-40ef-a369-02349d8839a0 is not known"
        ]
    );
    let [found, absent, failed, limited, remembered] = late.reader.outcomes();
    assert_eq!((found, failed, remembered), (0, 0, 0));
    assert_eq!(absent + limited, 200);
    // Four a second for one address, and sixteen at once.
    assert!(absent < 200 && limited > 0, "{absent} {limited}");
    assert_eq!(late.server.count(is_read) as u64, absent);

    let (_, answer) = late
        .filter_from(SCHEDULER, &capture("filter-names-migration"))
        .await;
    assert_eq!(error(&answer), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_new_targets_at_once_are_looked_up() {
    let late = Late::with("").await;
    for count in 0..100 {
        late.filter_from(SCHEDULER, &call(&format!("vmi-{count}")))
            .await;
    }
    assert_eq!(late.server.count(is_read), 100);
    assert_eq!(late.reader.outcomes(), [0, 100, 0, 0, 0]);
}

/// Each of them waits for an API server that does not answer.
#[tokio::test(flavor = "multi_thread")]
async fn lookups_that_hang_leave_turns_to_other_peers() {
    let late = Late::with("limits: {extenderRequests: 8, lookupTimeout: 20s}").await;
    let hang = Fault::hang()
        .verb(Verb::Get)
        .resource("virtualmachineinstances");
    late.server.fail(hang);
    let calls: Vec<_> = (0..64).map(|count| call(&format!("vmi-{count}"))).collect();
    let flood = join_all(calls.iter().map(|call| late.filter_from(HOSTILE, call)));
    let others = async {
        late.server.wait_for(2, is_read).await;
        let launch = capture("filter-names-launch");
        for _ in 0..10 {
            let (status, answer) = late.filter_from(SCHEDULER, &launch).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
        }
        late.server.heal();
    };
    let (answers, ()) = tokio::join!(flood, others);
    let refused = |(status, _): &&(StatusCode, String)| *status == StatusCode::TOO_MANY_REQUESTS;
    // One connection has a third of the turns, and one more.
    assert_eq!(answers.iter().filter(refused).count(), 64 - 3);
}
