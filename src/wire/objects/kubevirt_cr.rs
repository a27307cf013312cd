//! The KubeVirt CR, which configures KubeVirt.

use serde::Deserialize;

use crate::domain::DefaultBinding;
use crate::wire::Text;

/// The KubeVirt CR.
#[derive(Debug, Deserialize)]
pub struct KubeVirt<'a> {
    #[serde(borrow)]
    spec: Option<KubeVirtSpec<'a>>,
}

#[derive(Debug, Deserialize)]
struct KubeVirtSpec<'a> {
    #[serde(borrow)]
    configuration: Option<Configuration<'a>>,
}

#[derive(Debug, Deserialize)]
struct Configuration<'a> {
    #[serde(borrow)]
    network: Option<NetworkConfiguration<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NetworkConfiguration<'a> {
    #[serde(borrow)]
    default_network_interface: Option<Text<'a>>,
}

impl KubeVirt<'_> {
    /// The binding of the interface that KubeVirt adds by default.
    #[must_use]
    pub fn default_binding(&self) -> DefaultBinding {
        let configured = self
            .spec
            .as_ref()
            .and_then(|spec| spec.configuration.as_ref()?.network.as_ref())
            .and_then(|network| network.default_network_interface.as_ref());
        match configured.map(Text::as_str) {
            None | Some("" | "bridge") => DefaultBinding::Bridge,
            Some(_) => DefaultBinding::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_default_binding_is_bridge_unless_another_is_named() {
        for (cr, expect) in [
            (json!({}), DefaultBinding::Bridge),
            (
                json!({"spec": {"configuration": {"network": null}}}),
                DefaultBinding::Bridge,
            ),
            (
                json!({"spec": {"configuration": {"network": {"defaultNetworkInterface": "bridge"}}}}),
                DefaultBinding::Bridge,
            ),
            (
                json!({"spec": {"configuration": {"network": {"defaultNetworkInterface": "masquerade"}}}}),
                DefaultBinding::Other,
            ),
        ] {
            let cr = cr.to_string();
            assert_eq!(
                serde_json::from_str::<KubeVirt<'_>>(&cr)
                    .unwrap()
                    .default_binding(),
                expect
            );
        }
    }
}
