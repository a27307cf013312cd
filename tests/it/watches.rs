//! The watches on an API server on which everything happens that can: every time the view ends as
//! what is in the cluster, and what went wrong is counted.

use std::time::Duration;

use berth::api::Cause;
use berth::cluster::{ClusterView, ObjectKind};
use berth::domain::{AgentState, DefaultBinding};
use serde_json::{Value, json};
use tower::service_fn;

use crate::apiserver::{ApiServer, Fault, Request, Verb};
use crate::live::{Watching, captured, client, load, selected_pods, watches_of};
use crate::support::{cluster, view};

fn mk_node(name: &str) -> Value {
    let mut node = captured("Node", "el9-1");
    node["metadata"]["name"] = json!(name);
    node
}

fn has_node(name: &'static str) -> impl Fn(&ClusterView) -> bool {
    move |view| view.node(name).is_some_and(|node| node.facts().is_some())
}

fn lists_of(resource: &'static str) -> impl Fn(&Request) -> bool + Send {
    move |request| request.verb == Verb::List && request.resource == resource
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_lists_make_the_view_that_a_snapshot_makes() {
    let server = ApiServer::start();
    load(&server);
    let mut watching = Watching::start(&server).await;
    assert_eq!(watching.until_complete().await, view(&cluster()));
    for &kind in ObjectKind::ALL {
        assert_eq!(watching.metrics.lists(kind).get(), 1, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pods_that_matter_are_asked_for() {
    let server = ApiServer::start();
    load(&server);
    let mut elsewhere = captured("Pod", "kube-ovn-cni-el9-11");
    elsewhere["metadata"]["namespace"] = json!("default");
    server.apply(elsewhere);
    let mut watching = Watching::start(&server).await;
    assert_eq!(watching.until_complete().await, view(&cluster()));
    assert_eq!(
        selected_pods(&server).await,
        [
            (
                None,
                "kubevirt.io=virt-launcher,kubevirt.io/migrationJobUID".to_owned()
            ),
            (
                Some("kube-system".to_owned()),
                "app in (ovs,ovs-dpdk,kube-ovn-cni)".to_owned()
            ),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_in_the_cluster_is_in_the_next_view() {
    let server = ApiServer::start();
    load(&server);
    let mut watching = Watching::start(&server).await;
    watching.until_complete().await;

    server.apply(mk_node("new"));
    watching.until("a new node", has_node("new")).await;
    server.delete("nodes", None, "new");
    watching
        .until("no such node", |view| view.node("new").is_none())
        .await;

    let mut pod = captured("Pod", "ovs-ovn-el9-11");
    for condition in pod["status"]["conditions"].as_array_mut().unwrap() {
        condition["status"] = json!("False");
    }
    server.apply(pod);
    watching
        .until("an agent that is not ready", |view| {
            view.node("el9-1").unwrap().agents().ovs == AgentState::NotReady
        })
        .await;

    let mut kubevirt = captured("KubeVirt", "kubevirt");
    kubevirt["spec"]["configuration"]["network"] = json!({"defaultNetworkInterface": "masquerade"});
    server.apply(kubevirt);
    watching
        .until("another default", |view| {
            view.default_binding() == DefaultBinding::Other
        })
        .await;

    let mut namespace = captured("Namespace", "default");
    namespace["metadata"]["labels"]["berth.dev/inject"] = json!("disabled");
    server.apply(namespace);
    watching
        .until("a namespace that opts out", |view| {
            view.namespace_opts_out("default")
        })
        .await;

    // A launcher that gets the label of a migration comes into sight by that.
    let mut launcher = captured("Pod", "virt-launcher-web-gfvqz");
    let before = watching.view.load().count(ObjectKind::TargetPod);
    launcher["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = json!("m");
    server.apply(launcher.clone());
    watching
        .until("one more target", |view| {
            view.count(ObjectKind::TargetPod) == before + 1
        })
        .await;
    let labels = launcher["metadata"]["labels"].as_object_mut().unwrap();
    labels.remove("kubevirt.io/migrationJobUID");
    server.apply(launcher);
    watching
        .until("one target less", |view| {
            view.count(ObjectKind::TargetPod) == before
        })
        .await;
    assert_eq!(watching.metrics.lists(ObjectKind::Node).get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_breaks_goes_on_where_it_was() {
    for in_a_line in [false, true] {
        let server = ApiServer::start();
        load(&server);
        let mut watching = Watching::start(&server).await;
        watching.until_complete().await;
        server.wait_for_watches(1, "nodes").await;
        if in_a_line {
            server.cut_watches_in_a_line().await;
        } else {
            server.cut_watches().await;
        }
        server.apply(mk_node("after"));
        watching.until("what came after", has_node("after")).await;
        assert_eq!(watching.metrics.lists(ObjectKind::Node).get(), 1);
        assert_eq!(watching.metrics.starts(ObjectKind::Node).get(), 2);
        // It goes on at once: nothing to wait for, and no failure.
        for &cause in Cause::ALL {
            assert_eq!(watching.metrics.failures(ObjectKind::Node, cause).get(), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_from_the_last_bookmark() {
    let server = ApiServer::start();
    load(&server);
    let mut watching = Watching::start(&server).await;
    watching.until_complete().await;
    server.wait_for_watches(2, "pods").await;
    server.wait_for_watches(1, "nodes").await;
    // Nothing happens to namespaces while much does elsewhere.
    server.apply(mk_node("a"));
    server.bookmark();
    server.apply(mk_node("b"));
    watching.until("node b", has_node("b")).await;
    server.compact();
    server.wait_for_watches(1, "namespaces").await;
    server.cut_watches().await;
    server.wait_for(2, watches_of("namespaces")).await;
    server.wait_for_watches(1, "namespaces").await;
    let versions: Vec<u64> = server
        .log()
        .into_iter()
        .filter(watches_of("namespaces"))
        .map(|request| request.query["resourceVersion"].parse().unwrap())
        .collect();
    assert!(versions[1] > versions[0], "{versions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_the_server_forgot_is_listed_anew() {
    for by_status in [false, true] {
        let server = ApiServer::start();
        load(&server);
        if by_status {
            server.refuse_expired_watches();
        }
        server.apply(mk_node("gone"));
        let mut watching = Watching::start(&server).await;
        watching.until_complete().await;
        server.wait_for_watches(1, "nodes").await;

        // While nobody watches, a node goes and another comes, and that is forgotten.
        server.fail(Fault::status(503).verb(Verb::Watch).resource("nodes"));
        server.cut_watches().await;
        server.delete("nodes", None, "gone");
        server.apply(mk_node("new"));
        server.compact();
        server.heal();
        let view = watching.until("the new node", has_node("new")).await;
        assert_eq!(view.node("gone"), None);
        assert_eq!(watching.metrics.lists(ObjectKind::Node).get(), 2);
        assert_eq!(
            watching
                .metrics
                .failures(ObjectKind::Node, Cause::Expired)
                .get(),
            1
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_restarts_finds_the_view_as_it_was_and_renews_it() {
    let mut server = ApiServer::start();
    load(&server);
    let mut watching = Watching::start(&server).await;
    let before = watching.until_complete().await;
    server.wait_for_watches(1, "nodes").await;
    server.stop();
    watching
        .until_counted("that nobody answers", |metrics| {
            ObjectKind::ALL
                .iter()
                .all(|kind| metrics.failing(*kind).get() == 1)
        })
        .await;
    assert_eq!(**watching.view.load(), before);
    server.restart();
    server.apply(mk_node("new"));
    watching.until("the new node", has_node("new")).await;
    watching
        .until_counted("that it goes on", |metrics| {
            metrics.failing(ObjectKind::Node).get() == 0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_distress_is_asked_again() {
    for (status, cause) in [
        (429, Cause::Throttled),
        (500, Cause::Server),
        (503, Cause::Server),
        (401, Cause::Unauthorized),
        (403, Cause::Forbidden),
    ] {
        let server = ApiServer::start();
        load(&server);
        server.fail(Fault::status(status).verb(Verb::List).resource("nodes"));
        let mut watching = Watching::start(&server).await;
        watching
            .until_counted("a list that fails", |metrics| {
                metrics.failures(ObjectKind::Node, cause).get() > 0
            })
            .await;
        assert!(watching.metrics.failing(ObjectKind::Node).get() == 1);
        assert!(!watching.view.load().is_listed(ObjectKind::Node));
        server.heal();
        let complete = watching.until_complete().await;
        assert_eq!(complete, view(&cluster()), "{status}");
        assert!(watching.metrics.failing(ObjectKind::Node).get() == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_comes_in_pages() {
    let server = ApiServer::start();
    load(&server);
    for i in 0..1_100 {
        server.apply(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("team-{i:04}")}
        }));
    }
    let mut watching = Watching::start(&server).await;
    let all = watching.until_complete().await.count(ObjectKind::Namespace);
    assert_eq!(all, 1_105);
    let pages: Vec<(String, bool)> = server
        .log()
        .into_iter()
        .filter(lists_of("namespaces"))
        .map(|request| {
            let continues = request.query.contains_key("continue");
            (request.query["limit"].clone(), continues)
        })
        .collect();
    let page = |continues| ("500".to_owned(), continues);
    assert_eq!(pages, [page(false), page(true), page(true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_expires_between_its_pages_is_begun_again() {
    let server = ApiServer::start();
    load(&server);
    for i in 0..600 {
        server.apply(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("team-{i:04}")}
        }));
    }
    // The first page is answered, the second is not.
    server.fail(
        Fault::status(410)
            .resource("namespaces")
            .verb(Verb::List)
            .after(1)
            .times(1),
    );
    let mut watching = Watching::start(&server).await;
    let all = watching.until_complete().await.count(ObjectKind::Namespace);
    assert_eq!(all, 605);
    assert_eq!(server.count(lists_of("namespaces")), 4);
    assert_eq!(
        watching
            .metrics
            .failures(ObjectKind::Namespace, Cause::Expired)
            .get(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_may_be_installed_later_and_taken_away() {
    const KINDS: [(&str, ObjectKind); 3] = [
        ("virtualmachineinstances", ObjectKind::Vmi),
        ("virtualmachineinstancemigrations", ObjectKind::Migration),
        ("kubevirts", ObjectKind::KubeVirt),
    ];
    let server = ApiServer::start();
    for (resource, _) in KINDS {
        server.uninstall(resource);
    }
    let mut watching = Watching::start(&server).await;
    let empty = watching.until_complete().await;
    for (resource, kind) in KINDS {
        assert_eq!(empty.count(kind), 0);
        assert!(
            watching.metrics.failures(kind, Cause::NotFound).get() > 0,
            "{resource}"
        );
        assert!(watching.metrics.failing(kind).get() == 0, "{resource}");
        server.install(resource);
    }
    load(&server);
    let full = view(&cluster());
    watching
        .until("all of them", |view| {
            KINDS
                .iter()
                .all(|(_, kind)| view.count(*kind) == full.count(*kind))
        })
        .await;
    for (resource, _) in KINDS {
        server.wait_for_watches(1, resource).await;
        server.uninstall(resource);
    }
    watching
        .until("none of them", |view| {
            KINDS.iter().all(|(_, kind)| view.count(*kind) == 0)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_went_while_nobody_watched_is_empty() {
    let mut server = ApiServer::start();
    load(&server);
    let mut watching = Watching::start(&server).await;
    watching.until_complete().await;
    server.wait_for_watches(1, "virtualmachineinstances").await;
    server.stop();
    server.uninstall("virtualmachineinstances");
    server.restart();
    watching
        .until("no VMI", |view| view.count(ObjectKind::Vmi) == 0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_read_is_counted_and_stops_nothing_else() {
    let server = ApiServer::start();
    load(&server);
    let bad = json!({"metadata": {"namespace": "default", "name": "bad", "uid": ["?"]}});
    for (key, object) in [
        ("default/bad", &bad),
        ("default/null", &Value::Null),
        ("default/text", &json!("what is this")),
        ("default/list", &json!([])),
        ("default/nameless", &json!({"metadata": {"uid": "1"}})),
    ] {
        server.put_raw("virtualmachineinstances", key, object);
    }
    let mut watching = Watching::start(&server).await;
    let complete = watching.until_complete().await;
    assert_eq!(complete, view(&cluster()));
    assert_eq!(watching.metrics.unreadable(ObjectKind::Vmi).get(), 5);

    // In a watch as well; and what can't be read any more is as if it were not there.
    let mut web = captured("VirtualMachineInstance", "web");
    let uid = web["metadata"]["uid"].as_str().unwrap().to_owned();
    let good = web.clone();
    let knows_web = |view: &ClusterView| view.vmi("default", "web", &uid).is_some();
    web["status"]["nodeName"] = json!(7);
    server.wait_for_watches(1, "virtualmachineinstances").await;
    server.apply(web);
    let without = watching
        .until("web is not readable", |view| !knows_web(view))
        .await;
    assert_eq!(
        without.count(ObjectKind::Vmi),
        complete.count(ObjectKind::Vmi) - 1
    );
    assert_eq!(watching.metrics.unreadable(ObjectKind::Vmi).get(), 6);
    server.apply(good);
    watching.until("web is readable", knows_web).await;
    assert_eq!(watching.metrics.lists(ObjectKind::Vmi).get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_about_nothing_costs_a_new_list_at_most() {
    let server = ApiServer::start();
    load(&server);
    let mut watching = Watching::start(&server).await;
    watching.until_complete().await;
    server.wait_for_watches(1, "virtualmachineinstances").await;
    server.put_raw("virtualmachineinstances", "default/null", &Value::Null);
    let mut vmi = captured("VirtualMachineInstance", "web");
    vmi["metadata"]["name"] = json!("later");
    vmi["metadata"]["uid"] = json!("2");
    server.apply(vmi);
    watching
        .until("what came later", |view| {
            view.vmi("default", "later", "2").is_some()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_change_nothing_make_no_new_view() {
    let server = ApiServer::start();
    load(&server);
    let mut watching = Watching::start(&server).await;
    watching.until_complete().await;
    server.wait_for_watches(1, "nodes").await;
    let before = watching.made();
    let mut node = captured("Node", "el9-1");
    for beat in 0..20 {
        node["metadata"]["annotations"]["kubevirt.io/heartbeat"] = json!(beat.to_string());
        server.apply(node.clone());
    }
    server.apply(mk_node("last"));
    watching.until("the last node", has_node("last")).await;
    assert_eq!(watching.made(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_at_other_times_have_the_same_view() {
    let server = ApiServer::start();
    load(&server);
    let mut first = Watching::start(&server).await;
    first.until_complete().await;
    server.wait_for_watches(1, "nodes").await;
    server.apply(mk_node("new"));
    server.delete("nodes", None, "el9-2");
    server.cut_watches().await;
    server.delete("pods", Some("kube-system"), "ovs-ovn-el9-11");
    server.apply(mk_node("last"));
    let mut second = Watching::start_with(client(&server).await);
    let fresh = second.until_complete().await;
    first.until("the same", |view| *view == fresh).await;
}

/// Time that is stopped goes on by itself, to whatever is due next, when all wait; so a server that
/// is silent is waited for in no time.
#[tokio::test]
async fn a_watch_on_a_connection_that_is_lost_without_a_word_is_noticed() {
    let server = ApiServer::start();
    load(&server);
    let mut watching = Watching::start(&server).await;
    watching.until_complete().await;
    // By this the watch is one on both sides.
    server.wait_for_watches(1, "nodes").await;
    server.apply(mk_node("seen"));
    watching.until("what was seen", has_node("seen")).await;
    server.stall_watches(true);
    server.apply(mk_node("unseen"));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(70)).await;
    tokio::time::resume();
    server.wait_for(2, watches_of("nodes")).await;
    server.stall_watches(false);
    watching
        .until("what was not seen", has_node("unseen"))
        .await;
    assert_eq!(watching.metrics.lists(ObjectKind::Node).get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_panics_ends_the_watch_with_what_it_said() {
    let server = ApiServer::start();
    load(&server);
    let client = client(&server).await;
    let broken = service_fn(move |request: hyper::Request<kube::client::Body>| {
        let client = client.clone();
        async move {
            assert!(!request.uri().path().ends_with("/namespaces"), "a defect");
            client.send(request).await
        }
    });
    let watching = Watching::start_with(kube::Client::new(broken, "default"));
    let error = watching.ended().await.unwrap_err();
    assert_eq!(error.into_panic().downcast_ref(), Some(&"a defect"));
}

#[tokio::test]
async fn a_server_that_takes_a_question_and_says_nothing_is_still_failing() {
    for silent in [Verb::List, Verb::Watch] {
        let server = ApiServer::start();
        load(&server);
        let mut watching = Watching::start(&server).await;
        watching.until_complete().await;
        server.wait_for_watches(1, "nodes").await;
        // A watch that fails, and then nothing comes any more to the question that follows.
        let status = if silent == Verb::List { 410 } else { 503 };
        server.fail(
            Fault::status(status)
                .verb(Verb::Watch)
                .resource("nodes")
                .times(1),
        );
        server.fail(Fault::hang().verb(silent).resource("nodes"));
        let asked = server.count(|request| request.resource == "nodes");
        server.cut_watches().await;
        server
            .wait_for(asked + 2, |request| request.resource == "nodes")
            .await;
        assert!(watching.metrics.failing(ObjectKind::Node).get() == 1);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(25)).await;
        tokio::time::resume();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(
            watching.metrics.failing(ObjectKind::Node).get() == 1,
            "{silent:?}"
        );
        server.heal();
        server.apply(mk_node("after"));
        watching.until("what came after", has_node("after")).await;
        assert!(watching.metrics.failing(ObjectKind::Node).get() == 0);
    }
}

/// Nothing happens in it, and nobody has to wait for something to happen.
#[tokio::test]
async fn a_watch_that_is_open_again_goes_well_after_a_while() {
    let server = ApiServer::start();
    load(&server);
    let mut watching = Watching::start(&server).await;
    watching.until_complete().await;
    server.wait_for_watches(1, "nodes").await;
    server.fail(
        Fault::status(503)
            .verb(Verb::Watch)
            .resource("nodes")
            .times(1),
    );
    server.cut_watches().await;
    watching
        .until_counted("that it fails", |metrics| {
            metrics.failing(ObjectKind::Node).get() == 1
        })
        .await;
    server.wait_for(3, watches_of("nodes")).await;
    server.wait_for_watches(1, "nodes").await;
    tokio::time::pause();
    for _ in 0..50 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
    watching
        .until_counted("that it goes on", |metrics| {
            metrics.failing(ObjectKind::Node).get() == 0
        })
        .await;
}
