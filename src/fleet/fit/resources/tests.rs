//! Tests of what is left of the nodes.

use crate::cluster::object::ObjectKey;
use crate::fleet::model::{Node, Pod};

use super::*;

fn resources(amounts: &[(&str, i64)]) -> Resources {
    amounts
        .iter()
        .map(|(name, amount)| ((*name).to_owned(), *amount))
        .collect()
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    for (name, allocatable) in [
        (
            "a",
            resources(&[("cpu", 4000), ("memory", 8 * GIB), ("pods", 3)]),
        ),
        (
            "b",
            resources(&[("cpu", 2000), ("hugepages-2Mi", GIB), ("pods", 1)]),
        ),
    ] {
        let node = Node {
            allocatable,
            ..Node::default()
        };
        fleet.nodes.insert(name.to_owned(), node);
    }
    for (name, node, requests) in [
        (
            "1",
            Some("a"),
            resources(&[("cpu", 1500), ("memory", GIB), ("pods", 1)]),
        ),
        (
            "2",
            Some("a"),
            resources(&[("cpu", 100), ("example.com/gpu", 1), ("pods", 1)]),
        ),
        ("3", Some("b"), resources(&[("pods", 1)])),
        ("4", Some("b"), resources(&[("cpu", 2001), ("pods", 1)])),
        ("5", None, resources(&[("cpu", 4000), ("pods", 1)])),
        ("6", Some("gone"), resources(&[("cpu", 4000), ("pods", 1)])),
    ] {
        let pod = Pod {
            node: node.map(str::to_owned),
            requests,
            ..Pod::default()
        };
        fleet.pods.insert(ObjectKey::new("default", name), pod);
    }
    fleet
}

#[test]
fn free_is_what_the_pods_of_a_node_leave_of_its_allocatable_resources() {
    let expect = BTreeMap::from([
        (
            "a",
            resources(&[
                ("cpu", 2400),
                ("example.com/gpu", -1),
                ("memory", 7 * GIB),
                ("pods", 1),
            ]),
        ),
        (
            "b",
            resources(&[("cpu", -1), ("hugepages-2Mi", GIB), ("pods", -1)]),
        ),
    ]);
    assert_eq!(free(&fleet()), expect);
}

#[test]
fn each_resource_that_a_node_lacks_is_named_with_both_amounts() {
    let fleet = fleet();
    let free = Free::new(&fleet);
    for (requests, expect) in [
        (resources(&[]), vec![]),
        (
            resources(&[("cpu", 2400), ("memory", 0)]),
            vec![(1, "cpu: 2.4 requested, 0 free")],
        ),
        (
            resources(&[("cpu", 2401)]),
            vec![
                (0, "cpu: 2.401 requested, 2.4 free"),
                (1, "cpu: 2.401 requested, 0 free"),
            ],
        ),
        (
            resources(&[("pods", 1)]),
            vec![(1, "pods: 1 requested, 0 free")],
        ),
        (
            resources(&[("hugepages-2Mi", GIB), ("memory", 7 * GIB)]),
            vec![
                (0, "hugepages-2Mi: 1.0 GiB requested, 0.0 GiB free"),
                (1, "memory: 7.0 GiB requested, 0.0 GiB free"),
            ],
        ),
        (
            resources(&[("example.com/nic", 2)]),
            vec![
                (0, "example.com/nic: 2 requested, 0 free"),
                (1, "example.com/nic: 2 requested, 0 free"),
            ],
        ),
    ] {
        let found = free.lacking(&requests).map(|(at, lack)| (at, lack.text()));
        let expect = expect.iter().map(|(at, text)| (*at, (*text).to_owned()));
        assert!(found.eq(expect), "{requests:?}");
    }
}

#[test]
fn amounts_are_shown_in_the_largest_unit_in_which_they_differ() {
    for (resource, requested, free, expect) in [
        (
            "memory",
            5 * GIB / 2,
            9 * GIB / 8,
            "2.5 GiB requested, 1.1 GiB free",
        ),
        (
            "memory",
            GIB,
            GIB - MIB,
            "1024.0 MiB requested, 1023.0 MiB free",
        ),
        (
            "memory",
            GIB,
            GIB - 1,
            "1073741824 B requested, 1073741823 B free",
        ),
        ("memory", 300 * MIB, 0, "300.0 MiB requested, 0.0 MiB free"),
        (
            "ephemeral-storage",
            50_000_000,
            0,
            "47.7 MiB requested, 0.0 MiB free",
        ),
        (
            "hugepages-1Gi",
            4 * GIB,
            GIB,
            "4.0 GiB requested, 1.0 GiB free",
        ),
        ("memory", 1000, 0, "1000 B requested, 0 B free"),
        ("cpu", 16_000, 1500, "16 requested, 1.5 free"),
        ("cpu", 105, 5, "0.105 requested, 0.005 free"),
        ("devices.kubevirt.io/kvm", 1, 0, "1 requested, 0 free"),
        (
            "memory",
            i64::MAX,
            0,
            "8589934592.0 GiB requested, 0.0 GiB free",
        ),
    ] {
        let text = Lack {
            resource,
            requested,
            free,
        }
        .text();
        assert_eq!(text, format!("{resource}: {expect}"));
    }
}
