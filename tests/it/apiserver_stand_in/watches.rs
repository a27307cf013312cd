//! What a watcher sees, and when it has to list again.

use futures_util::StreamExt;
use kube::api::{WatchEvent, WatchParams};
use kube::runtime::watcher::{Config, InitialListStrategy};
use serde_json::json;

use super::{Watched, code, node, nodes, vmi, vmis};
use crate::apiserver::{ApiServer, Fault, Verb};

/// A watcher that has seen node a, and whose watch is open.
async fn watching(server: &ApiServer) -> Watched {
    server.apply(node("a", &json!({})));
    let mut watched = Watched::new(nodes(server).await, Config::default());
    watched.sees(["Init", "InitApply(a)", "InitDone"]).await;
    server.wait_for_watches(1, "nodes").await;
    watched
}

fn lists(server: &ApiServer) -> usize {
    server.count(|request| request.is(Verb::List, "nodes"))
}

#[tokio::test]
async fn a_watcher_sees_what_is_there_and_what_changes() {
    let server = ApiServer::start();
    let mut watched = watching(&server).await;
    server.apply(node("b", &json!({})));
    server.apply(node("a", &json!({ "changed": "yes" })));
    server.delete("nodes", None, "b");
    watched.sees(["Apply(b)", "Apply(a)", "Delete(b)"]).await;
}

#[tokio::test]
async fn an_object_that_is_no_longer_selected_is_deleted_to_a_watcher() {
    let server = ApiServer::start();
    server.apply(node("a", &json!({ "on": "" })));
    let config = Config::default().labels("on");
    let mut watched = Watched::new(nodes(&server).await, config);
    watched.sees(["Init", "InitApply(a)", "InitDone"]).await;
    server.apply(node("a", &json!({ "on": "", "changed": "yes" })));
    server.apply(node("a", &json!({})));
    server.apply(node("b", &json!({})));
    server.apply(node("a", &json!({ "on": "again" })));
    server.apply(node("b", &json!({ "on": "" })));
    server.delete("nodes", None, "a");
    watched
        .sees(["Apply(a)", "Delete(a)", "Apply(a)", "Apply(b)", "Delete(a)"])
        .await;
}

#[tokio::test]
async fn a_watcher_takes_a_list_in_pages() {
    let server = ApiServer::start();
    for name in ["a", "b", "c", "d", "e"] {
        server.apply(node(name, &json!({})));
    }
    let config = Config::default().page_size(2);
    let mut watched = Watched::new(nodes(&server).await, config);
    watched
        .sees(["Init", "InitApply(a)", "InitApply(b)", "InitApply(c)"])
        .await;
    watched
        .sees(["InitApply(d)", "InitApply(e)", "InitDone"])
        .await;
    assert_eq!(lists(&server), 3);
}

#[tokio::test]
async fn a_watcher_can_take_the_list_from_the_watch() {
    let server = ApiServer::start();
    server.apply(vmi("web"));
    let config = Config {
        initial_list_strategy: InitialListStrategy::StreamingList,
        ..Config::default()
    };
    let mut watched = Watched::new(vmis(&server).await, config);
    watched.sees(["Init", "InitApply(web)", "InitDone"]).await;
    server.apply(vmi("other"));
    watched.sees(["Apply(other)"]).await;
}

#[tokio::test]
async fn a_watcher_goes_on_where_it_was_cut_off() {
    let server = ApiServer::start();
    let mut watched = watching(&server).await;
    server.cut_watches().await;
    server.apply(node("b", &json!({})));
    watched.sees(["Apply(b)"]).await;
    server.wait_for_watches(1, "nodes").await;
    server.cut_watches_in_a_line().await;
    server.apply(node("c", &json!({})));
    watched.sees(["Apply(c)"]).await;
    assert_eq!(lists(&server), 1);
    let watches = server.count(|request| request.is(Verb::Watch, "nodes"));
    assert_eq!(watches, 3);
}

#[tokio::test]
async fn a_watcher_lists_again_when_its_place_is_forgotten() {
    let server = ApiServer::start();
    let mut watched = watching(&server).await;
    server.fail(Fault::hang().verb(Verb::Watch));
    server.cut_watches().await;
    server.apply(node("b", &json!({})));
    server.compact();
    server.heal();
    watched
        .sees(["event: Expired", "Init", "InitApply(a)"])
        .await;
    watched.sees(["InitApply(b)", "InitDone"]).await;
}

#[tokio::test]
async fn a_watch_from_a_forgotten_place_can_be_refused_at_once() {
    let server = ApiServer::start();
    server.apply(node("a", &json!({})));
    server.compact();
    server.refuse_expired_watches();
    let api = nodes(&server).await;
    let error = api.watch(&WatchParams::default(), "1").await.err().unwrap();
    assert_eq!(code(&error), 410);
}

#[tokio::test]
async fn a_bookmark_moves_the_place_to_go_on_from() {
    let server = ApiServer::start();
    let mut watched = watching(&server).await;
    server.apply(vmi("elsewhere"));
    server.bookmark();
    // The watcher keeps it to itself; an event after it shows that it has come.
    server.apply(node("b", &json!({})));
    watched.sees(["Apply(b)"]).await;
    server.apply(vmi("web"));
    server.bookmark();
    server.compact();
    server.cut_watches().await;
    server.apply(node("c", &json!({})));
    watched.sees(["Apply(c)"]).await;
    assert_eq!(lists(&server), 1);
}

#[tokio::test]
async fn a_watch_ends_in_time_with_a_bookmark() {
    let server = ApiServer::start();
    let api = nodes(&server).await;
    server.apply(node("a", &json!({})));
    let params = WatchParams::default().timeout(1);
    let events = api.watch(&params, "0").await.unwrap();
    let events: Vec<_> = events.map(Result::unwrap).collect().await;
    let [
        WatchEvent::Added(_),
        WatchEvent::Bookmark(first),
        WatchEvent::Bookmark(last),
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    let is_initial = |event: &kube::core::watch::Bookmark| !event.metadata.annotations.is_empty();
    assert!(is_initial(first) && !is_initial(last));
}

#[tokio::test]
async fn a_watcher_lives_through_the_life_of_a_definition() {
    let server = ApiServer::start();
    server.apply(vmi("web"));
    let mut watched = Watched::new(vmis(&server).await, Config::default());
    watched.sees(["Init", "InitApply(web)", "InitDone"]).await;
    server.wait_for_watches(1, "virtualmachineinstances").await;
    server.uninstall("virtualmachineinstances");
    watched
        .sees(["Delete(web)", "watch: 404", "watch: 404"])
        .await;
    server.install("virtualmachineinstances");
    watched.sees_after("watch: 404", "event: Expired").await;
    watched.sees(["Init", "InitDone"]).await;
    server.apply(vmi("web"));
    watched.sees(["Apply(web)"]).await;
}

#[tokio::test]
async fn a_watch_carries_garbage() {
    let server = ApiServer::start();
    let mut watched = watching(&server).await;
    server.put_raw("nodes", "b", &json!({ "metadata": { "name": 5 } }));
    server.apply(node("c", &json!({})));
    watched.sees(["bad event", "Apply(c)"]).await;
}
