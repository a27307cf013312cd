//! The rights that the manifests give berth: they suffice, and each is needed.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::api::Api;
use crate::berth::Berth;
use crate::fleet;
use crate::manifests::{ACCOUNT, Manifests, NAMESPACE};
use crate::vms;
use crate::wait;
use crate::world::{WEBHOOKS as WEBHOOK_PATH, World};

/// The resources in which berth keeps the CA of its certificate.
const WEBHOOKS: [&str; 2] = [
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
];

/// The kinds that berth's view is made of.
const KINDS: u64 = 7;

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

    /// A right to read what berth decides by.
    fn is_of_view(&self) -> bool {
        let resource = self.resource.as_str();
        !["secrets", "leases", "nodes/status"].contains(&resource) && !WEBHOOKS.contains(&resource)
    }

    /// The rule that gives it to a replica whose webhook configuration is named so.
    fn rule(&self, webhooks: &str) -> Value {
        let names = if WEBHOOKS.contains(&self.resource.as_str()) {
            assert_eq!(self.names, json!(["berth"]));
            json!([webhooks])
        } else {
            self.names.clone()
        };
        json!({
            "apiGroups": [self.group],
            "resources": [self.resource],
            "resourceNames": names,
            "verbs": [self.verb],
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

/// A namespace with an account that has these rights, and what berth fills there.
fn account(manifests: &Manifests, namespace: &str, rights: &[Right]) -> Vec<Value> {
    let rules = |own| -> Vec<Value> {
        let chosen = rights.iter().filter(|right| right.own == own);
        chosen.map(|right| right.rule(namespace)).collect()
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
    let mut objects = vec![
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
    ];
    objects.extend(manifests.to_be_filled().into_iter().map(|mut object| {
        object["metadata"]["namespace"] = namespace.into();
        object
    }));
    objects
}

/// Webhook configurations that are called for nothing, and whose CA berth is to keep.
fn webhooks(world: &World, name: &str) -> [Value; 2] {
    let url = "https://127.0.0.1:1";
    let manifests = &world.manifests;
    [manifests.webhooks(url), manifests.validating_webhook(url)].map(|mut configuration| {
        configuration["metadata"]["name"] = name.into();
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            webhook["rules"][0]["apiGroups"] = json!(["nobody.berth.dev"]);
            webhook["rules"].as_array_mut().unwrap().truncate(1);
        }
        configuration
    })
}

/// Makes berth do what it does only when it has to: to write its Secret and a node's condition anew,
/// and to read a VMI that no watch has brought.
fn bother(world: &World, berth: &Berth, namespace: &str) {
    fleet::set_condition(&world.api, "el9-0", "OVNChassisReady", "Unknown");
    let secret = world.tls_secret(namespace);
    if world.api.find(&secret).is_some() {
        world.api.merge(&secret, &json!({"data": {"tls.crt": ""}}));
    }
    if berth.https().is_none() {
        return;
    }
    let metadata = json!({"namespace": "default", "name": "nobody", "uid": "none"});
    let args = vms::filter_args(&json!({"metadata": metadata}), &["el9-0"]);
    let caller = berth.caller(&world.managed_ca(namespace));
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
    world.kubectl.apply(&webhooks(world, "berth"));
    let account = world.berths_account();
    let berth = world.start_managing_berth("berth", &account, "berth");
    berth.wait_until_ready();
    bother(world, &berth, NAMESPACE);
    wait::until("everything was done", || {
        let done = [
            ("berth_vmi_lookups_total{outcome=\"absent\"", 1),
            (
                "berth_tls_issued_total{cause=\"first\",certificate=\"leaf\"",
                1,
            ),
            ("berth_tls_secret_repairs_total", 1),
            ("berth_lease_held", 1),
            ("berth_node_condition_writes_total{status=\"True\"", 1),
            ("berth_tls_ca_bundle_writes_total{cause=\"rotated\"", 2),
        ];
        match done
            .iter()
            .find(|(series, count)| berth.metric(series) < *count)
        {
            Some((series, _)) => Err(format!("{series} is too low")),
            None => Ok(()),
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
    let rights = rights(&world.manifests);
    assert!(!rights.is_empty());
    let namespace = |index: usize| format!("without-{index}");
    let mut objects = Vec::new();
    for index in 0..rights.len() {
        let mut others = rights.clone();
        others.remove(index);
        objects.extend(account(&world.manifests, &namespace(index), &others));
        objects.extend(webhooks(world, &namespace(index)));
    }
    world.kubectl.apply(&objects);
    let lacking: Vec<(String, &Right)> = rights
        .iter()
        .enumerate()
        .map(|(index, right)| (namespace(index), right))
        .collect();
    for some in lacking.chunks(AT_ONCE) {
        let started: Vec<Berth> = some
            .iter()
            .map(|(namespace, _)| {
                let account = world.account(namespace, ACCOUNT, &world.plane.url());
                world.start_managing_berth(namespace, &account, namespace)
            })
            .collect();
        for ((namespace, right), berth) in some.iter().zip(&started) {
            let refusal = right.refusal();
            wait::until(&format!("berth misses {right:?}"), || {
                bother(world, berth, namespace);
                let log = messages(berth);
                if !log.iter().any(|message| message.contains(&refusal)) {
                    return Err(format!("the log does not say so: {log:#?}"));
                }
                if complaints(berth).is_empty() {
                    return Err("no metric says so".to_owned());
                }
                Ok(())
            });
            if right.is_of_view() {
                wait_for_all_that_can_be_listed(berth, right);
            }
        }
    }
}

/// Whatever is listed is needed to begin, and nothing else of it.
fn wait_for_all_that_can_be_listed(berth: &Berth, right: &Right) {
    let missing = match (right.verb.as_str(), right.resource.as_str()) {
        // Agents and migration targets.
        ("list", "pods") => 2,
        ("list", _) => 1,
        _ => 0,
    };
    wait::until(&format!("{missing} kinds are missing"), || {
        let synced = berth.metric("berth_cluster_synced");
        let ready = berth.readyz();
        if synced + missing == KINDS && (ready.0 == 200) == (missing == 0) {
            return Ok(());
        }
        Err(format!("{synced} are there, {ready:?}"))
    });
}

const NODE: &str = "/api/v1/nodes/el9-0/status";

const STRATEGIC: &str = "application/strategic-merge-patch+json";

const JSON_PATCH: &str = "application/json-patch+json";

/// How long kube-apiserver may take to heed a policy that is new.
const COMPILED: Duration = Duration::from_mins(1);

/// What kube-apiserver says to a change that is not allowed, and nothing where it is.
fn refusal(api: &Api, path: &str, content: &str, change: &Value) -> Option<String> {
    match api.send(&Method::PATCH, path, content, Some(change)) {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status.message.clone()),
        Err(error) => panic!("{path}: {error}"),
    }
}

pub(crate) fn a_stolen_token_changes_no_more_than_berth_does(world: &mut World) {
    world.kubectl.apply(&webhooks(world, "berth"));
    let thief = Api::connect(world.runtime(), &world.berths_account());
    let condition =
        |kind: &str| json!({"status": {"conditions": [{"type": kind, "status": "False"}]}});
    let address =
        json!({"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.66"}]}});
    wait::within(COMPILED, "the policies are heeded", || {
        let path = format!("{NODE}?dryRun=All");
        refusal(&thief, &path, STRATEGIC, &address)
            .map(drop)
            .ok_or_else(|| "an address was taken".to_owned())
    });
    let label = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}});
    let capacity = json!({"status": {"capacity": {"example.com/gpu": "8"}}});
    let status = "berth changes nothing of a node's status but its conditions";
    let conditions = "berth changes no condition of a node but OVNChassisReady";
    let metadata = "berth changes no metadata of a node";
    for (change, expect) in [
        (&condition("OVNChassisReady"), None),
        (&condition("Ready"), Some(conditions)),
        (&condition("MemoryPressure"), Some(conditions)),
        (&address, Some(status)),
        (&capacity, Some(status)),
        (&label, Some(metadata)),
    ] {
        let said = refusal(&thief, NODE, STRATEGIC, change);
        check(said.as_deref(), expect, change);
        // Others may: the policies are about berth's account alone.
        assert_eq!(
            refusal(&world.api, &format!("{NODE}?dryRun=All"), STRATEGIC, change),
            None
        );
    }

    let webhook = |op: &str, field: &str, value: Value| json!([{"op": op, "path": format!("/webhooks/0/{field}"), "value": value}]);
    let fields = "berth changes nothing of a webhook but its caBundle";
    for (change, expect) in [
        (
            webhook("add", "clientConfig/caBundle", world.files_ca()),
            None,
        ),
        (
            webhook("replace", "rules/0/resources", json!(["*"])),
            Some(fields),
        ),
        (
            webhook("replace", "failurePolicy", "Fail".into()),
            Some(fields),
        ),
        (
            webhook("replace", "clientConfig/url", "https://192.0.2.66/".into()),
            Some(fields),
        ),
        (
            json!([{"op": "remove", "path": "/webhooks/1"}]),
            Some("berth adds, removes and renames no webhook"),
        ),
        (
            json!([{"op": "add", "path": "/metadata/labels/a", "value": "b"}]),
            Some("berth changes no metadata of a webhook configuration"),
        ),
    ] {
        let said = refusal(&thief, WEBHOOK_PATH, JSON_PATCH, &change);
        check(said.as_deref(), expect, &change);
    }
}

#[track_caller]
fn check(said: Option<&str>, expect: Option<&str>, change: &Value) {
    match (said, expect) {
        (None, None) => {}
        (Some(said), Some(expect)) if said.contains(expect) => {}
        (said, expect) => panic!("{change}: {said:?}, not {expect:?}"),
    }
}
