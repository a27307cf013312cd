//! The ways for kube-scheduler to reach berth, and where the certificates come from.

use std::fs;

use serde_json::{Value, json};

use super::{find, get, overlay, place, root, text, with_components, yaml};

#[test]
fn a_fixed_address_is_all_that_the_first_way_adds() {
    let (Some(base), Some(mut objects)) = (overlay("base"), overlay("cluster-ip")) else {
        return;
    };
    let service = objects
        .iter_mut()
        .find(|object| object["kind"] == "Service")
        .unwrap();
    let address = service["spec"].as_object_mut().unwrap().remove("clusterIP");
    assert_eq!(address, Some(json!("10.96.0.77")));
    assert_eq!(objects, base);
    // One place to change it.
    let places = fs::read_dir(root().join("manifests/components/fixed-cluster-ip")).unwrap();
    assert_eq!(places.count(), 1);
}

#[test]
fn on_loopback_is_a_daemonset_of_the_same_pod_beside_the_base() {
    let (Some(base), Some(objects)) = (overlay("base"), overlay("loopback")) else {
        return;
    };
    for object in &base {
        assert!(objects.contains(object), "{object}");
    }
    let deployment = get(&objects, "Deployment", "berth");
    let daemonset = get(&objects, "DaemonSet", "berth-loopback");
    assert_eq!(daemonset["metadata"]["namespace"], "berth-loopback");
    let mut pod = daemonset["spec"]["template"]["spec"].clone();
    let select = json!({"node-role.kubernetes.io/control-plane": ""});
    assert_eq!(pod["nodeSelector"], select);
    assert_eq!(pod["hostNetwork"], true);
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    // Image, environment, rights and bounds are the same.
    let of = &deployment["spec"]["template"]["spec"];
    for field in [
        "securityContext",
        "priorityClassName",
        "terminationGracePeriodSeconds",
    ] {
        assert_eq!(pod[field], of[field]);
    }
    let container = pod["containers"][0].take();
    for field in [
        "image",
        "args",
        "env",
        "resources",
        "securityContext",
        "volumeMounts",
    ] {
        assert_eq!(container[field], of["containers"][0][field], "{field}");
    }
    let config = yaml("manifests/loopback/config.yaml");
    assert_eq!(
        config["tls"]["managed"],
        json!({"extraNames": ["127.0.0.1"], "webhookConfigurations": []})
    );
}

#[test]
fn the_second_scheduler_calls_berth_as_the_printed_stanza_does() {
    let mut own = yaml("manifests/components/second-scheduler/config.yaml");
    let mut shown = yaml("manifests/kube-scheduler-configuration.yaml");
    let ca = |config: &mut Value, field: &str| {
        let tls = config["extenders"][0]["tlsConfig"].as_object_mut().unwrap();
        tls.remove(field).unwrap()
    };
    ca(&mut shown, "caData");
    assert_eq!(ca(&mut own, "caFile"), "/etc/berth-ca/ca.crt");
    assert_eq!(own["extenders"], shown["extenders"]);
    assert_eq!(own["apiVersion"], shown["apiVersion"]);
    assert_eq!(own["kind"], shown["kind"]);
    assert_eq!(
        own["profiles"],
        json!([{"schedulerName": "berth-scheduler"}])
    );
    assert_eq!(
        own["leaderElection"],
        json!({
            "leaderElect": true,
            "resourceNamespace": "berth-system",
            "resourceName": "berth-scheduler",
        })
    );

    let Some(objects) = overlay("second-scheduler") else {
        return;
    };
    let pod = &get(&objects, "Deployment", "berth-scheduler")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "berth-scheduler");
    let volumes = pod["volumes"].as_array().unwrap();
    let of = |name: &str| {
        volumes
            .iter()
            .find(|volume| volume["name"] == name)
            .unwrap()
    };
    // Not the keys that are in the same Secret.
    assert_eq!(
        of("berth-ca")["secret"],
        json!({"secretName": "berth-tls", "items": [{"key": "ca.crt", "path": "ca.crt"}]})
    );
    let name = of("config")["configMap"]["name"].as_str().unwrap();
    let mounted = get(&objects, "ConfigMap", name);
    let file = text("manifests/components/second-scheduler/config.yaml");
    assert_eq!(mounted["data"], json!({"config.yaml": file}));
    let container = &pod["containers"][0];
    assert_eq!(
        container["volumeMounts"],
        json!([
            {"name": "config", "mountPath": "/etc/kube-scheduler", "readOnly": true},
            {"name": "berth-ca", "mountPath": "/etc/berth-ca", "readOnly": true},
        ])
    );
    assert_eq!(
        container["command"],
        json!(["kube-scheduler", "--config=/etc/kube-scheduler/config.yaml"])
    );
}

fn env(objects: &[Value]) -> Vec<(String, String)> {
    let pod = &get(objects, "Deployment", "berth")["spec"]["template"]["spec"];
    let env = pod["containers"][0]["env"].as_array().unwrap();
    let mut env: Vec<_> = env
        .iter()
        .map(|var| ["name", "value"].map(|field| var[field].as_str().unwrap().to_owned()))
        .map(|[name, value]| (name, value))
        .collect();
    env.sort();
    env
}

#[test]
fn certificates_come_from_one_place() {
    let config = ("BERTH_CONFIG", "/etc/berth/config.yaml");
    let own = [config, ("BERTH_TLS_SECRET", "berth-tls")];
    let mounted = [
        config,
        ("BERTH_TLS_CERT", "/etc/berth-tls/tls.crt"),
        ("BERTH_TLS_KEY", "/etc/berth-tls/tls.key"),
    ];
    let owned = |env: &[(&str, &str)]| -> Vec<(String, String)> {
        env.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let (Some(base), Some(issued)) = (overlay("base"), with_components("base", &["cert-manager"]))
    else {
        return;
    };
    assert_eq!(env(&base), owned(&own));
    assert_eq!(env(&issued), owned(&mounted));

    let pod = &get(&issued, "Deployment", "berth")["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    let tls = volumes
        .iter()
        .find(|volume| volume["name"] == "tls")
        .unwrap();
    let certificate = get(&issued, "Certificate", "berth-tls");
    assert_eq!(
        tls["secret"]["secretName"],
        certificate["spec"]["secretName"]
    );
    for kind in [
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ] {
        assert_eq!(
            get(&issued, kind, "berth")["metadata"]["annotations"]["cert-manager.io/inject-ca-from"],
            "berth-system/berth-tls"
        );
    }
    let scheduler = yaml("manifests/kube-scheduler-configuration.yaml");
    let called = &scheduler["extenders"][0]["tlsConfig"]["serverName"];
    assert_eq!(&certificate["spec"]["dnsNames"], &json!([called]));
    assert_eq!(find(&base, "Certificate", "berth-tls"), None);
}

#[test]
fn the_component_for_ovn_kubernetes_tells_every_berth_and_nobody_else() {
    let told = |way: &str| -> Option<Vec<String>> {
        let objects = with_components(way, &["ovn-kubernetes"])?;
        let setting = json!({"name": "BERTH_NETWORK_PROVIDER", "value": "ovn-kubernetes"});
        let is_told = |object: &Value| {
            let env = &object["spec"]["template"]["spec"]["containers"][0]["env"];
            env.as_array().is_some_and(|env| env.contains(&setting))
        };
        let told = objects.iter().filter(|object| is_told(object));
        Some(told.map(place).collect())
    };
    let berth = "Deployment berth-system/berth";
    for (way, expect) in [
        ("cluster-ip", &[berth][..]),
        ("second-scheduler", &[berth]),
        (
            "loopback",
            &[berth, "DaemonSet berth-loopback/berth-loopback"],
        ),
    ] {
        let Some(told) = told(way) else { return };
        assert_eq!(told, expect, "{way}");
    }
}

#[test]
fn berth_is_let_out_to_kube_apiserver_and_the_clusters_dns_alone() {
    let Some(objects) = with_components("base", &["second-scheduler"]) else {
        return;
    };
    let api_server = json!({"ports": [{"port": 443}, {"port": 6443}]});
    let dns = json!({
        "to": [
            {"namespaceSelector": {"matchExpressions": [{
                "key": "kubernetes.io/metadata.name",
                "operator": "In",
                "values": ["kube-system", "openshift-dns"],
            }]}},
            {"ipBlock": {"cidr": "169.254.20.10/32"}},
        ],
        "ports": [
            {"port": 53, "protocol": "UDP"},
            {"port": 53},
            {"port": 5353, "protocol": "UDP"},
            {"port": 5353},
        ],
    });
    let server = &get(&objects, "Deployment", "berth")["spec"]["selector"];
    let berth = json!({"to": [{"podSelector": server}], "ports": [{"port": "https"}]});
    for (name, expect) in [
        ("berth", json!([api_server, dns])),
        ("berth-scheduler", json!([api_server, berth, dns])),
    ] {
        assert_eq!(
            get(&objects, "NetworkPolicy", name)["spec"]["egress"],
            expect
        );
    }
}

#[test]
fn a_component_names_each_database_of_ovn_and_lets_berth_out_to_it() {
    let Some(base) = overlay("base") else { return };
    let container = |objects: &[Value]| {
        get(objects, "Deployment", "berth")["spec"]["template"]["spec"]["containers"][0]["env"]
            .as_array()
            .unwrap()
            .clone()
    };
    let egress = |objects: &[Value]| {
        let policy = get(objects, "NetworkPolicy", "berth");
        policy["spec"]["egress"].as_array().unwrap().clone()
    };
    let (mut env, mut out) = (container(&base), egress(&base));
    let mut components = Vec::new();
    for (component, variable, service, port) in [
        ("southbound", "BERTH_OVN_SB", "ovn-sb", 6642),
        ("southbound-probe", "BERTH_OVN_NB", "ovn-nb", 6641),
    ] {
        components.push(component);
        let Some(objects) = with_components("base", &components) else {
            return;
        };
        let endpoint = format!("tcp:{service}.kube-system.svc:{port}");
        env.push(json!({"name": variable, "value": endpoint}));
        assert_eq!(container(&objects), env);
        out.push(json!({"ports": [{"port": port}]}));
        assert_eq!(egress(&objects), out);
    }
}
