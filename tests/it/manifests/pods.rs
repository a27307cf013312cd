//! The pods: how they are confined, spread and probed, and that what points at them finds them.

use std::collections::BTreeSet;

use berth::config::Config;
use berth::config::address::{ADMIN_PORT, HTTPS_PORT};
use serde_json::{Value, json};

use super::{OVERLAYS, get, overlay, place, with_components, yaml};

fn workloads(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects
        .iter()
        .filter(|object| object["spec"]["template"]["spec"]["containers"].is_array())
}

fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

fn namespace_of<'a>(objects: &'a [Value], object: &Value) -> &'a Value {
    let name = object["metadata"]["namespace"].as_str().unwrap();
    get(objects, "Namespace", name)
}

/// Everything that may be deployed, twice: with berth's own certificates and with cert-manager's.
fn deployments() -> Option<Vec<Vec<Value>>> {
    let mut all = Vec::new();
    for name in OVERLAYS {
        all.push(overlay(name)?);
        all.push(with_components(
            name,
            &["cert-manager", "fixed-cluster-ip"],
        )?);
    }
    Some(all)
}

/// <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>, and a root
/// file system that can't be written.
#[test]
fn pods_are_restricted() {
    for objects in deployments().into_iter().flatten() {
        for workload in workloads(&objects) {
            let at = place(workload);
            let pod = pod(workload);
            assert_eq!(
                pod["securityContext"],
                json!({
                    "runAsNonRoot": true,
                    "runAsUser": 65532,
                    "runAsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                }),
                "{at}"
            );
            assert_eq!(pod.get("initContainers"), None, "{at}");
            for container in pod["containers"].as_array().unwrap() {
                assert_eq!(
                    container["securityContext"],
                    json!({
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    }),
                    "{at}"
                );
                for mount in container["volumeMounts"].as_array().unwrap() {
                    assert_eq!(mount["readOnly"], true, "{at}");
                }
            }
            for volume in pod["volumes"].as_array().unwrap() {
                let mut fields: BTreeSet<_> = volume.as_object().unwrap().keys().collect();
                fields.remove(&"name".to_owned());
                let field = fields.into_iter().next().unwrap();
                assert!(
                    matches!(field.as_str(), "configMap" | "secret"),
                    "{at}: {field}"
                );
            }
            // What is on the host's network can't be in a namespace that enforces this.
            for field in ["hostPID", "hostIPC", "hostUsers"] {
                assert_eq!(pod.get(field), None, "{at}");
            }
            let labels = &namespace_of(&objects, workload)["metadata"]["labels"];
            let enforced = &labels["pod-security.kubernetes.io/enforce"];
            let on_host = pod.get("hostNetwork") == Some(&json!(true));
            assert_eq!(enforced == "restricted", !on_host, "{at}");
            assert_eq!(on_host, at == "DaemonSet berth-loopback/berth-loopback");
        }
    }
}

#[test]
fn pods_say_what_they_need_and_are_spread() {
    for objects in deployments().into_iter().flatten() {
        for workload in workloads(&objects) {
            let at = place(workload);
            let pod = pod(workload);
            assert_eq!(pod["priorityClassName"], "system-cluster-critical", "{at}");
            assert_eq!(pod["automountServiceAccountToken"], true, "{at}");
            assert_eq!(pod["enableServiceLinks"], false, "{at}");
            let [container] = &pod["containers"].as_array().unwrap()[..] else {
                panic!("{at}: more than one container");
            };
            let resources = &container["resources"];
            assert!(resources["requests"]["cpu"].is_string(), "{at}");
            assert!(resources["requests"]["memory"].is_string(), "{at}");
            assert_eq!(resources["limits"].get("cpu"), None, "{at}");
            // kube-scheduler would ask berth where berth goes.
            assert!(
                !resources.to_string().contains("devices.kubevirt.io"),
                "{at}"
            );
            if workload["kind"] == "DaemonSet" {
                continue;
            }
            assert_eq!(workload["spec"]["replicas"], 2, "{at}");
            let spread = &pod["topologySpreadConstraints"][0];
            assert_eq!(spread["topologyKey"], "kubernetes.io/hostname", "{at}");
            assert_eq!(spread["whenUnsatisfiable"], "DoNotSchedule", "{at}");
            assert_eq!(spread["maxSkew"], 1, "{at}");
            for spread in pod["topologySpreadConstraints"].as_array().unwrap() {
                assert_eq!(
                    spread["labelSelector"], workload["spec"]["selector"],
                    "{at}"
                );
            }
        }
    }
}

/// Whether a selector matches the pods of a workload.
fn selects(labels: &Value, namespace: &Value, workload: &Value) -> bool {
    let pod = &workload["spec"]["template"]["metadata"]["labels"];
    namespace == &workload["metadata"]["namespace"]
        && labels
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, value)| &pod[key] == value)
}

#[test]
fn what_selects_pods_finds_those_of_one_workload() {
    for objects in deployments().into_iter().flatten() {
        let mut selecting = 0;
        for object in &objects {
            let spec = &object["spec"];
            let selector = match object["kind"].as_str().unwrap() {
                "Service" => &spec["selector"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                "PodDisruptionBudget" | "Deployment" | "DaemonSet" => {
                    &spec["selector"]["matchLabels"]
                }
                _ => continue,
            };
            selecting += 1;
            let namespace = &object["metadata"]["namespace"];
            let selected: Vec<&Value> = workloads(&objects)
                .filter(|workload| selects(selector, namespace, workload))
                .collect();
            let names: Vec<_> = selected
                .iter()
                .map(|w| w["metadata"]["name"].clone())
                .collect();
            assert_eq!(
                names,
                [object["metadata"]["name"].clone()],
                "{}",
                place(object)
            );
        }
        assert!(selecting >= 4);
    }
}

fn ports(workload: &Value) -> impl Iterator<Item = (&str, i64)> {
    let ports = pod(workload)["containers"][0]["ports"].as_array().unwrap();
    ports.iter().map(|port| {
        (
            port["name"].as_str().unwrap(),
            port["containerPort"].as_i64().unwrap(),
        )
    })
}

#[test]
fn ports_are_those_that_berth_listens_on() {
    for objects in deployments().into_iter().flatten() {
        for workload in workloads(&objects) {
            let at = place(workload);
            let names: BTreeSet<&str> = ports(workload).map(|(name, _)| name).collect();
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                let probe = &pod(workload)["containers"][0][probe];
                if let Some(port) = probe.pointer("/httpGet/port") {
                    assert!(names.contains(port.as_str().unwrap()), "{at}");
                }
            }
        }
        let namespace = json!("berth-system");
        for policy in objects
            .iter()
            .filter(|object| object["kind"] == "NetworkPolicy")
        {
            let selector = &policy["spec"]["podSelector"]["matchLabels"];
            let workload = workloads(&objects)
                .find(|workload| selects(selector, &namespace, workload))
                .unwrap();
            let names: BTreeSet<&str> = ports(workload).map(|(name, _)| name).collect();
            for rule in policy["spec"]["ingress"].as_array().unwrap() {
                for port in rule["ports"].as_array().unwrap() {
                    assert!(
                        names.contains(port["port"].as_str().unwrap()),
                        "{}",
                        place(policy)
                    );
                }
            }
        }
    }
    let Some(objects) = overlay("loopback") else {
        return;
    };
    // In a pod, berth listens on every address unless it is told otherwise.
    let server = yaml("manifests/base/server/config.yaml");
    assert!(server.get("listen").is_none() && server.get("adminListen").is_none());
    let port = |listen: &str| -> i64 { listen.rsplit_once(':').unwrap().1.parse().unwrap() };
    let loopback = yaml("manifests/loopback/config.yaml");
    let [https, admin] = ["listen", "adminListen"].map(|field| loopback[field].as_str().unwrap());
    for listen in [https, admin] {
        assert!(listen.starts_with("127.0.0.1:"), "{listen}");
    }
    for (kind, name, expect) in [
        (
            "Deployment",
            "berth",
            [("https", HTTPS_PORT.into()), ("admin", ADMIN_PORT.into())],
        ),
        (
            "DaemonSet",
            "berth-loopback",
            [("https", port(https)), ("admin", port(admin))],
        ),
    ] {
        let workload = get(&objects, kind, name);
        assert_eq!(ports(workload).collect::<Vec<_>>(), expect, "{name}");
    }
    let service = &get(&objects, "Service", "berth")["spec"];
    assert_eq!(
        service["ports"],
        json!([{"name": "https", "port": 443, "targetPort": "https"}])
    );
}

#[test]
fn the_probes_ask_what_berth_answers() {
    let Some(objects) = overlay("loopback") else {
        return;
    };
    for (kind, name, host) in [
        ("Deployment", "berth", None),
        ("DaemonSet", "berth-loopback", Some(json!("127.0.0.1"))),
    ] {
        let container = &pod(get(&objects, kind, name))["containers"][0];
        for (probe, path) in [
            ("startupProbe", "/livez"),
            ("livenessProbe", "/livez"),
            ("readinessProbe", "/readyz"),
        ] {
            let asked = &container[probe]["httpGet"];
            assert_eq!(asked["path"], path);
            assert_eq!(asked["port"], "admin");
            assert_eq!(asked.get("host"), host.as_ref());
        }
    }
}

/// The configuration, and what the container has to have room and time for.
#[test]
fn the_container_has_room_and_time_for_what_its_configuration_allows() {
    let text = super::text("manifests/base/server/config.yaml");
    let config = Config::parse(&text).unwrap();
    let Some(objects) = overlay("loopback") else {
        return;
    };
    // Whole nodes take two and a half times their bytes, and 64 MiB are for a large cluster.
    let bodies = config.limits.admission_bodies_in_flight.bytes()
        + config.limits.extender_bodies_in_flight.bytes();
    // And something is left for what nobody counts.
    let needed = bodies * 5 / 2 + (64 << 20) + (32 << 20);
    for workload in workloads(&objects) {
        let limit = &pod(workload)["containers"][0]["resources"]["limits"]["memory"];
        let limit = limit.as_str().unwrap().strip_suffix("Mi").unwrap();
        assert!(needed <= limit.parse::<usize>().unwrap() << 20);
        let grace = pod(workload)["terminationGracePeriodSeconds"]
            .as_u64()
            .unwrap();
        let shutdown = Config::default().shutdown;
        assert!(grace > (shutdown.delay.0 + shutdown.timeout.0).as_secs());
    }
    // Whoever brings a configuration of their own has the same limits, unless it says so.
    for path in [
        "manifests/base/server/config.yaml",
        "manifests/loopback/config.yaml",
    ] {
        let config = Config::parse(&super::text(path)).unwrap();
        assert_eq!(config.limits, Config::default().limits, "{path}");
    }
}
