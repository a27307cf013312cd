//! The admission that tests need: an address of a Service has to be in the range, and a VM is annotated where a
//! webhook configuration or a policy of berth is stored and somebody answers.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::kinds::Kind;
use super::status::Status;
use super::store::Store;

/// The first 12 bits of the addresses of Services, as kubeadm chooses them.
const RANGE: (Ipv4Addr, u32) = (Ipv4Addr::new(10, 96, 0, 0), 12);

const ALLOW: &str = "kubevirt.io/allow-pod-bridge-network-live-migration";

/// Changes or refuses a new object. Whether another Service has an address, the real server does not say of a dry run.
pub(crate) fn admit(
    store: &Store,
    kind: &Kind,
    value: &mut Value,
    webhooks_answer: bool,
) -> Result<(), Box<Status>> {
    match kind.name {
        "Service" => {
            let address = value["spec"]["clusterIP"].as_str().unwrap_or_default();
            match address.parse() {
                Ok(IpAddr::V4(address)) if !in_range(address) => {
                    Err(Status::address_out_of_range(&address.to_string()))
                }
                _ => Ok(()),
            }
        }
        "VirtualMachine" if webhooks_answer && injects(store) => {
            let template = &mut value["spec"]["template"];
            template["metadata"]["annotations"][ALLOW] = json!("true");
            Ok(())
        }
        _ => Ok(()),
    }
}

fn in_range(address: Ipv4Addr) -> bool {
    let (first, bits) = RANGE;
    let net = |address: Ipv4Addr| address.to_bits() >> (32 - bits);
    net(address) == net(first)
}

fn injects(store: &Store) -> bool {
    ["mutatingwebhookconfigurations", "mutatingadmissionpolicies"]
        .map(Kind::named)
        .into_iter()
        .any(|kind| store.get(kind, "berth").is_some())
}
