//! The rights that the manifests give berth: they suffice, and each is needed.

use serde_json::{Value, json};

use crate::berth::Berth;
use crate::manifests::{ACCOUNT, Manifests, NAMESPACE};
use crate::vms;
use crate::wait;
use crate::world::World;

/// How many replicas run at a time.
const AT_ONCE: usize = 6;

/// One thing that berth may do.
#[derive(Clone, Debug, PartialEq)]
struct Right {
    /// In berth's own namespace alone.
    own: bool,
    group: String,
    resource: String,
    /// Only these objects, where there are any.
    names: Value,
    verb: String,
}

impl Right {
    /// What kube-apiserver says to somebody who lacks it.
    fn refusal(&self) -> String {
        let Self {
            group,
            resource,
            verb,
            ..
        } = self;
        format!("cannot {verb} resource \"{resource}\" in API group \"{group}\"")
    }

    fn rule(&self) -> Value {
        let Self {
            group,
            resource,
            names,
            verb,
            ..
        } = self;
        json!({
            "apiGroups": [group],
            "resources": [resource],
            "resourceNames": names,
            "verbs": [verb],
        })
    }
}

/// Everything that berth may do, as its bindings say.
fn rights(manifests: &Manifests) -> Vec<Right> {
    let mut rights = Vec::new();
    for (binding_kind, own) in [("ClusterRoleBinding", false), ("RoleBinding", true)] {
        for binding in manifests.of_kind(binding_kind) {
            let subject = json!([{
                "kind": "ServiceAccount",
                "name": ACCOUNT,
                "namespace": NAMESPACE,
            }]);
            assert_eq!(binding["subjects"], subject, "{binding}");
            let (kind, name) = (&binding["roleRef"]["kind"], &binding["roleRef"]["name"]);
            let role = manifests
                .of_kind(kind.as_str().unwrap())
                .find(|role| role["metadata"]["name"] == *name)
                .unwrap_or_else(|| panic!("no {kind} {name}"));
            for rule in role["rules"].as_array().unwrap() {
                rights.extend(each(rule, own));
            }
        }
    }
    rights
}

fn each(rule: &Value, own: bool) -> Vec<Right> {
    let all = |field: &str| -> Vec<String> {
        let texts = rule[field].as_array().unwrap().iter();
        texts
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    let mut rights = Vec::new();
    for group in all("apiGroups") {
        for resource in all("resources") {
            for verb in all("verbs") {
                rights.push(Right {
                    own,
                    group: group.clone(),
                    resource: resource.clone(),
                    names: rule["resourceNames"].clone(),
                    verb,
                });
            }
        }
    }
    rights
}

/// A namespace with an account that has these rights.
fn account(namespace: &str, rights: &[&Right]) -> Vec<Value> {
    let rules = |own| -> Vec<Value> {
        let chosen = rights.iter().filter(|right| right.own == own);
        chosen.map(|right| right.rule()).collect()
    };
    let api = "rbac.authorization.k8s.io";
    let subjects = json!([{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}]);
    let object = |kind: &str, name: &str, namespace: Option<&str>, mut rest: Value| {
        rest["apiVersion"] = format!("{api}/v1").into();
        rest["kind"] = kind.into();
        rest["metadata"] = json!({"name": name, "namespace": namespace});
        rest
    };
    let bound = |kind: &str, name: &str| {
        let role = json!({"apiGroup": api, "kind": kind, "name": name});
        json!({"roleRef": role, "subjects": subjects})
    };
    let own = Some(namespace);
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": ACCOUNT, "namespace": namespace},
        }),
        object(
            "ClusterRole",
            namespace,
            None,
            json!({"rules": rules(false)}),
        ),
        object(
            "ClusterRoleBinding",
            namespace,
            None,
            bound("ClusterRole", namespace),
        ),
        object("Role", ACCOUNT, own, json!({"rules": rules(true)})),
        object("RoleBinding", ACCOUNT, own, bound("Role", ACCOUNT)),
    ]
}

/// Makes berth do what it does only when it is asked: to read a VMI that no watch has brought.
fn ask(world: &World, berth: &Berth) {
    let metadata = json!({"namespace": "default", "name": "nobody", "uid": "none"});
    let args = vms::filter_args(&json!({"metadata": metadata}), &["el9-0"]);
    let caller = berth.caller(&world.ca);
    // Before it is ready, it refuses.
    let _ = caller.try_post("/scheduler/filter", &args);
}

/// The messages of the log.
fn messages(berth: &Berth) -> Vec<String> {
    let lines = berth.lines().into_iter();
    lines
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect()
}

/// Series that count or show that something is forbidden or fails.
fn complaints(berth: &Berth) -> Vec<String> {
    let told = |line: &&str| {
        let about = ["forbidden", "failing", "failed"];
        !line.starts_with('#')
            && about.iter().any(|word| line.contains(word))
            && !line.ends_with(" 0")
    };
    berth
        .metrics()
        .lines()
        .filter(told)
        .map(str::to_owned)
        .collect()
}

pub(crate) fn the_rights_of_the_manifests_suffice(world: &mut World) {
    let berth = world.berth("berth");
    ask(world, &berth);
    wait::until("a VMI was read", || {
        match berth.metric("berth_vmi_lookups_total{outcome=\"absent\"") {
            0 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    });
    assert_eq!(complaints(&berth), [""; 0]);
    let log = messages(&berth);
    assert!(
        !log.iter().any(|message| message.contains("forbidden")),
        "{log:#?}"
    );
}

pub(crate) fn every_right_of_the_manifests_is_needed(world: &mut World) {
    let mut rights = rights(&world.manifests);
    // With certificates from files it keeps neither a Secret nor a CA in its webhooks.
    rights.retain(|right| {
        !["secrets", "mutatingwebhookconfigurations"].contains(&right.resource.as_str())
    });
    assert!(!rights.is_empty());
    let namespace = |index: usize| format!("without-{index}");
    let mut accounts = Vec::new();
    for index in 0..rights.len() {
        let others = rights
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let others: Vec<&Right> = others.map(|(_, right)| right).collect();
        accounts.extend(account(&namespace(index), &others));
    }
    world.kubectl.apply(&accounts);
    let lacking: Vec<(usize, &Right)> = rights.iter().enumerate().collect();
    for some in lacking.chunks(AT_ONCE) {
        let started: Vec<(&Right, Berth)> = some
            .iter()
            .map(|(index, right)| {
                let namespace = namespace(*index);
                let account = world.account(&namespace, ACCOUNT, &world.plane.url());
                (*right, world.start_berth(&namespace, &account))
            })
            .collect();
        for (right, berth) in &started {
            let refusal = right.refusal();
            wait::until(&format!("berth misses {right:?}"), || {
                ask(world, berth);
                let log = messages(berth);
                if !log.iter().any(|message| message.contains(&refusal)) {
                    return Err(format!("the log does not say so: {log:#?}"));
                }
                if complaints(berth).is_empty() {
                    return Err("no metric says so".to_owned());
                }
                Ok(())
            });
            // Whatever is listed is needed to begin.
            assert_eq!(berth.readyz().0 == 200, right.verb != "list", "{right:?}");
        }
    }
}
