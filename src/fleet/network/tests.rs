//! Tests of the networks of a VM, without OVN's ports, which a real database has.

use serde_json::{from_value, json};

use super::*;
use crate::fleet::model::{Node, OvnNetwork, Subnet};

fn launcher(networks: &[(&str, Option<&str>)]) -> Launcher {
    let networks = networks.iter();
    let networks = networks.map(|(subnet, provider_network)| OvnNetwork {
        subnet: (*subnet).to_owned(),
        provider_network: provider_network.map(str::to_owned),
    });
    Launcher {
        networks: networks.collect(),
        ..Launcher::default()
    }
}

fn messages(found: &[Finding<'_>]) -> Vec<String> {
    let found = found.iter();
    found
        .map(|found| match found.nodes.as_slice() {
            [] => found.message.clone(),
            nodes => format!("{} ({})", found.message, nodes.join(" ")),
        })
        .collect()
}

#[test]
fn a_definition_is_missing_where_those_of_its_namespace_were_read() {
    let mut fleet = Fleet {
        attachments: [
            (ObjectKey::new("shop", "net"), None),
            (ObjectKey::new("infra", "x"), None),
        ]
        .into(),
        ..Fleet::default()
    };
    let networks = json!([
        {"name": "default", "pod": {}},
        {"name": "a", "multus": {"networkName": "net"}},
        {"name": "b", "multus": {"networkName": "shop/gone"}},
        {"name": "c", "multus": {"networkName": "infra/gone"}},
        {"name": "d", "multus": {"networkName": "other/net"}},
    ]);
    let networks: Vec<Network> = from_value(networks).unwrap();
    let missing = |name: &str| format!("a network attachment definition is missing: {name}");
    let unread =
        |name: &str| format!("a network attachment definition could not be looked up: {name}");
    let of = |fleet: &Fleet| messages(&attachments(fleet, "shop", &networks));
    assert_eq!(
        of(&fleet),
        [
            missing("shop/gone"),
            missing("infra/gone"),
            missing("other/net")
        ]
    );
    // Those of a namespace are listed together or not at all.
    let kind = Kind::NetworkAttachmentDefinition;
    fleet.unread.kinds.insert(kind);
    assert_eq!(
        of(&fleet),
        [
            missing("shop/gone"),
            missing("infra/gone"),
            unread("other/net")
        ]
    );
    let damaged = (kind, ObjectKey::new("infra", "gone"));
    fleet.unread.objects.insert(damaged);
    assert_eq!(
        of(&fleet),
        [
            missing("shop/gone"),
            unread("infra/gone"),
            unread("other/net")
        ]
    );
}

#[test]
fn kube_ovn_has_to_have_the_subnet_its_vpc_and_the_address() {
    let subnet = |vpc: Option<&str>, is_ready| Subnet {
        vpc: vpc.map(str::to_owned),
        is_ready,
    };
    let fleet = Fleet {
        subnets: [
            ("good".to_owned(), subnet(Some("blue"), true)),
            ("plain".to_owned(), subnet(None, true)),
            ("failed".to_owned(), subnet(Some("blue"), false)),
            ("orphan".to_owned(), subnet(Some("red"), true)),
        ]
        .into(),
        vpcs: ["blue".to_owned()].into(),
        addresses: [ObjectKey::new("shop", "web")].into(),
        ..Fleet::default()
    };
    let text = "the subnet of the VM is not ready";
    let cases: [(&str, &[&str], Vec<String>); 6] = [
        ("web", &["good"], Vec::new()),
        ("web", &["plain"], Vec::new()),
        (
            "web",
            &["good", "gone"],
            vec![format!("{text}: gone does not exist")],
        ),
        ("web", &["failed"], vec![format!("{text}: failed")]),
        (
            "web",
            &["orphan"],
            vec![format!("{text}: orphan, whose VPC red does not exist")],
        ),
        (
            "db",
            &["good"],
            vec!["Kube-OVN keeps no address for the VM".to_owned()],
        ),
    ];
    for (vm, subnets, expect) in cases {
        let networks: Vec<_> = subnets.iter().map(|subnet| (*subnet, None)).collect();
        let vm = ObjectKey::new("shop", vm);
        let found = kube_ovn(&fleet, &vm, &launcher(&networks));
        assert_eq!(messages(&found), expect, "{vm} {subnets:?}");
    }
    // Another network provider's pod, and a cluster of which these kinds were not read.
    let db = ObjectKey::new("shop", "db");
    assert_eq!(kube_ovn(&fleet, &db, &launcher(&[])), []);
    let unread = Fleet::default();
    let found = kube_ovn(&unread, &db, &launcher(&[("x", None), ("x", None)]));
    assert_eq!(
        messages(&found),
        ["what Kube-OVN has of the VM is not judged: subnet x, its address"]
    );
}

#[test]
fn targets_without_the_provider_network_of_a_vlan_are_named() {
    let node = |network: &str, value: &str| {
        let label = format!("{network}.provider-network.kubernetes.io/ready");
        Node {
            labels: [(label, value.to_owned())].into(),
            ..Node::default()
        }
    };
    let fleet = Fleet {
        nodes: [
            ("a".to_owned(), node("vlan", "true")),
            ("b".to_owned(), node("vlan", "false")),
            ("c".to_owned(), node("other", "true")),
            ("d".to_owned(), node("vlan", "true")),
        ]
        .into(),
        ..Fleet::default()
    };
    let targets = ["a", "b", "c"];
    let found = underlay(
        &fleet,
        &launcher(&[("s", Some("vlan")), ("t", None)]),
        &targets,
    );
    assert_eq!(
        messages(&found),
        ["the provider network of the VM's subnet is not ready on these nodes: vlan (b c)"]
    );
    // No node has the label.
    assert_eq!(
        underlay(&fleet, &launcher(&[("s", Some("unused"))]), &targets),
        []
    );
    assert_eq!(
        underlay(&fleet, &launcher(&[("s", Some("vlan"))]), &["a"]),
        []
    );
}
