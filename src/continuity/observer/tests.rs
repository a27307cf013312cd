//! Migrations as the API server and the southbound database tell of them, in any order.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::*;
use crate::cluster::object::{Migration, Object, TargetPod};
use crate::cluster::{ClusterView, Index, ObjectKind};
use crate::decide::continuity::timeline::Outcome;
use crate::domain::{LatestMigration, MigrationPhase, Vmi};

const CREATED: UnixTime = Duration::from_secs(1_000_000);

fn at(seconds: u64) -> UnixTime {
    CREATED + Duration::from_secs(seconds)
}

fn migration(name: &str, vm: &str, phase: MigrationPhase) -> Object {
    Object::Migration {
        key: ObjectKey::new("default", name),
        migration: Migration {
            uid: name.into(),
            vmi: ObjectKey::new("default", vm),
            phase,
            created: Some(CREATED),
        },
    }
}

fn target(name: &str, vm: &str, node: Option<&str>) -> Object {
    Object::TargetPod {
        key: ObjectKey::new("default", name),
        pod: TargetPod {
            migration: name.into(),
            vmi: ObjectKey::new("default", vm),
            vmi_uid: vm.into(),
            node: node.map(Into::into),
            created: Some(at(1)),
            bound: node.map(|_| at(2)),
        },
    }
}

fn vmi(name: &str, latest: Option<(&str, Option<u64>, Option<MigrationEnd>)>) -> Object {
    Object::Vmi(Vmi {
        namespace: "default".into(),
        name: name.into(),
        uid: name.into(),
        machine_type: None,
        machine_type_resolved: false,
        node: Some("a".into()),
        sender: None,
        latest_migration: latest.map(|(uid, ready, end)| {
            Box::new(LatestMigration {
                uid: uid.into(),
                domain_ready: ready.map(at),
                end,
            })
        }),
    })
}

/// An observer of a cluster that changes.
struct Watched {
    index: Index,
    cluster: Arc<ArcSwap<ClusterView>>,
    observer: Observer,
    history: History,
}

impl Watched {
    fn new() -> Self {
        let cluster = Arc::new(ArcSwap::from_pointee(ClusterView::default()));
        let history = History::default();
        let stores = Stores::from(Arc::clone(&cluster));
        Self {
            index: Index::default(),
            cluster,
            observer: Observer::new(stores, None, history.clone()),
            history,
        }
    }

    /// What is told after these changes: `m created`.
    fn sees(&mut self, second: u64, objects: impl IntoIterator<Item = Object>) -> Vec<String> {
        for object in objects {
            self.index.apply(object);
        }
        self.look(second)
    }

    fn look(&mut self, second: u64) -> Vec<String> {
        self.cluster.store(Arc::new(self.index.view()));
        let mut told = Vec::new();
        self.observer.look(at(second), |news| match news {
            Told::Migration(observed, News::Reached(stage, _)) => {
                told.push(format!("{} {}", observed.name, stage.as_ref()));
            }
            Told::Migration(observed, News::Ended(outcome)) => {
                told.push(format!("{} = {}", observed.name, outcome.as_ref()));
            }
            other => panic!("{other:?}"),
        });
        told
    }
}

#[test]
fn a_migration_is_followed_from_its_creation_to_its_end_as_the_vmi_tells() {
    use MigrationPhase::{Pending, Running, Succeeded};
    let mut watched = Watched::new();
    assert_eq!(
        watched.sees(0, [vmi("web", None), migration("m", "web", Pending)]),
        ["m created"]
    );
    assert_eq!(
        watched.sees(1, [target("m", "web", None)]),
        ["m target_pod"]
    );
    assert_eq!(
        watched.sees(2, [target("m", "web", Some("b"))]),
        ["m bound"]
    );
    let ready = vmi("web", Some(("m", Some(8), None)));
    assert_eq!(
        watched.sees(8, [migration("m", "web", Running), ready]),
        ["m domain_ready"]
    );
    assert_eq!(watched.look(9), [""; 0]);
    let (under_way, ended) = watched.history.all();
    assert_eq!((under_way.len(), ended.len()), (1, 0));
    assert_eq!(under_way[0].timeline.target.as_deref(), Some("b"));
    assert_eq!(under_way[0].timeline.source.as_deref(), Some("a"));
    let done = vmi("web", Some(("m", Some(8), Some(MigrationEnd::Succeeded))));
    assert_eq!(watched.sees(9, [done]), ["m done", "m = unobserved"]);
    // It is not over for the API server yet.
    assert_eq!(watched.look(10), [""; 0]);
    assert_eq!(
        watched.sees(11, [migration("m", "web", Succeeded)]),
        [""; 0]
    );
}

#[test]
fn a_migration_that_is_given_up_before_the_vmi_knows_of_it_has_failed() {
    use MigrationPhase::{Failed, Pending};
    let mut watched = Watched::new();
    watched.sees(0, [vmi("web", None), migration("m", "web", Pending)]);
    let told = watched.sees(3, [migration("m", "web", Failed)]);
    assert_eq!(told, ["m done", "m = failed"]);
    let (under_way, ended) = watched.history.all();
    assert_eq!((under_way.len(), ended.len()), (0, 1));
    assert_eq!(ended[0].timeline.outcome, Some(Outcome::Failed));
}

#[test]
fn a_migration_that_is_deleted_without_a_word_has_failed_after_a_while() {
    let mut watched = Watched::new();
    watched.sees(
        0,
        [
            vmi("web", None),
            migration("m", "web", MigrationPhase::Pending),
        ],
    );
    let key = ObjectKey::new("default", "m");
    watched.index.delete(ObjectKind::Migration, &key);
    assert_eq!(watched.look(3), [""; 0]);
    assert_eq!(watched.look(7), [""; 0], "the VMI may still tell");
    assert_eq!(watched.look(8), ["m done", "m = failed"]);
}

#[test]
fn an_end_that_was_told_is_not_forgotten_when_the_vm_migrates_again() {
    let mut watched = Watched::new();
    let done = vmi("web", Some(("m", Some(8), Some(MigrationEnd::Succeeded))));
    watched.sees(0, [done, migration("m", "web", MigrationPhase::Running)]);
    let again = vmi("web", Some(("n", None, None)));
    watched.sees(1, [again, migration("m", "web", MigrationPhase::Succeeded)]);
    let (_, ended) = watched.history.all();
    assert_eq!(ended[0].timeline.outcome, Some(Outcome::Unobserved));
}

#[test]
fn an_earlier_migration_of_the_vmi_does_not_end_the_next() {
    use MigrationPhase::Pending;
    let mut watched = Watched::new();
    let earlier = vmi("web", Some(("l", Some(0), Some(MigrationEnd::Failed))));
    assert_eq!(
        watched.sees(1, [earlier, migration("m", "web", Pending)]),
        ["m created"]
    );
    assert_eq!(watched.look(60), [""; 0]);
}

#[test]
fn one_vm_can_be_observed_alone() {
    use MigrationPhase::Pending;
    let mut watched = Watched::new();
    let observer = std::mem::replace(
        &mut watched.observer,
        Observer::new(
            Stores::from(Arc::clone(&watched.cluster)),
            None,
            History::default(),
        ),
    );
    watched.observer = observer.of_vm("default", "web");
    let told = watched.sees(
        0,
        [
            vmi("web", None),
            vmi("db", None),
            migration("m", "web", Pending),
            migration("n", "db", Pending),
        ],
    );
    assert_eq!(told, ["m created"]);
}
