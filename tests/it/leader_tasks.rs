//! The tasks of the leader, one of two replicas, on a real OVN and at a stand-in API server: it probes
//! the chassis, and writes the condition of each node.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::apiserver::{ApiServer, Request, Verb};
use crate::live::load;
use crate::live_process::{series, wait_for};
use crate::ovn_lab::Lab;
use crate::process::{Served, berth};

fn chassis(number: u32) -> String {
    format!("{number:08}-1111-4222-8333-444455556666")
}

fn is_write(request: &Request) -> bool {
    request.is(Verb::Patch, "nodes")
}

/// Status and reason of each node's condition.
fn conditions(server: &ApiServer) -> Vec<(String, String)> {
    ["el9-1", "el9-2", "el9-3"]
        .into_iter()
        .filter_map(|name| {
            let node = server.get("nodes", None, name).unwrap();
            let conditions = node["status"]["conditions"].as_array().unwrap();
            let is = conditions
                .iter()
                .find(|is| is["type"] == "OVNChassisReady")?;
            let text = |field| is[field].as_str().unwrap().to_owned();
            Some((text("status"), text("reason")))
        })
        .collect()
}

fn expect(words: [(&str, &str); 3]) -> Vec<(String, String)> {
    let owned = |(status, reason): (&str, &str)| (status.to_owned(), reason.to_owned());
    words.map(owned).to_vec()
}

const READY: (&str, &str) = ("True", "ChassisReady");

fn serve(server: &ApiServer, dir: &Path, lab: &Lab) -> Served {
    let config = json!({
        "southbound": {
            "allowedLag": "8s",
            "endpoints": lab.southbound.unix(),
            "probe": {"endpoints": lab.northbound.unix(), "interval": "1s"},
        },
        "nodeCondition": {"debounce": "1s", "writesPerSecond": 100},
        "lease": {"leaderElection": "Always", "duration": "10s"},
        "shutdown": {"delay": "1s"},
    });
    let path = dir.join("berth.yaml");
    fs::write(&path, config.to_string()).unwrap();
    let kubeconfig = server.kubeconfig(dir);
    Served::start_on(&[
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--config",
        path.to_str().unwrap(),
    ])
}

#[test]
fn ovn_chassis_that_dies_and_returns_shows_on_its_node_whichever_replica_says_so() {
    let Some(mut lab) = Lab::start() else { return };
    let numbered = [(2, "el9-1"), (3, "el9-2"), (4, "el9-3")];
    for (number, node) in numbered {
        lab.add(node, &chassis(number));
    }
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start();
    load(&server);
    let replicas = [(); 2].map(|()| serve(&server, dir.path(), &lab));
    let holds = |served: &Served| series(served, "berth_lease_held") == "1";
    wait_for("one holder", || replicas.iter().any(holds));
    assert_eq!(replicas.iter().filter(|served| holds(served)).count(), 1);
    // The other nodes of the cluster have no chassis in this database.
    wait_for("every condition", || server.count(is_write) >= 9);
    wait_for("all ready", || conditions(&server) == expect([READY; 3]));

    lab.kill_controller("el9-1");
    let late = [("False", "ChassisNotResponding"), READY, READY];
    wait_for("the dead one", || conditions(&server) == expect(late));

    let [mut holder, mut other] = replicas;
    if !holds(&holder) {
        std::mem::swap(&mut holder, &mut other);
    }
    let asked = |served: &Served| {
        let asked = series(served, "berth_probe_questions_total");
        asked.parse::<u64>().unwrap()
    };
    assert!(asked(&holder) > 0);
    assert_eq!(asked(&other), 0);
    let written = server.count(is_write);
    holder.signal("TERM");
    holder.line("the lease is released");
    assert!(holder.wait().success());
    other.line("this replica holds the lease");
    wait_for("the other asks", || asked(&other) > 1);
    // What was said by the first is true, and need not be said again.
    assert_eq!(server.count(is_write), written);

    lab.start_controller("el9-1");
    wait_for("its return", || conditions(&server) == expect([READY; 3]));
    assert_eq!(server.count(is_write), written + 1);
}

#[test]
fn a_question_whose_answers_nobody_would_hear_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("berth.yaml");
    fs::write(&path, "southbound: {probe: {endpoints: 'tcp:ovn-nb:6641'}}").unwrap();
    let output = berth()
        .args([
            "serve",
            "--config",
            path.to_str().unwrap(),
            "--snapshot",
            "/none",
        ])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: southbound.endpoints, --ovn-sb: is not set, and southbound.probe.endpoints, --ovn-nb, tcp:ovn-nb:6641, needs it: the answers are there\n"
    );
}
