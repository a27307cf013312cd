//! The manifests are what the API knows, field by field, and name what berth serves.

use berth::wire::kubevirt::Kind;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::Value;

#[test]
fn the_webhook_configuration_has_no_field_that_the_api_does_not_know() {
    let text = include_str!("../../manifests/mutating-webhook-configuration.yaml");
    let written: Value = serde_saphyr::from_str(text).unwrap();
    let typed: MutatingWebhookConfiguration = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&typed).unwrap(), written);

    let webhooks = typed.webhooks.unwrap();
    let mut asked: Vec<(String, String)> = webhooks
        .iter()
        .flat_map(|webhook| webhook.rules.iter().flatten())
        .flat_map(|rule| {
            let group = rule.api_groups.clone().unwrap().remove(0);
            let resources = rule.resources.clone().unwrap();
            resources
                .into_iter()
                .map(move |resource| (group.clone(), resource))
        })
        .collect();
    asked.sort();
    let mut served: Vec<(String, String)> = Kind::ALL
        .iter()
        .map(|kind| {
            (
                kind.group().to_owned(),
                format!("{}s", kind.name().to_lowercase()),
            )
        })
        .collect();
    served.sort();
    assert_eq!(asked, served);
    for webhook in webhooks {
        let url = webhook.client_config.url.unwrap();
        assert!(url.ends_with("/mutate"), "{url}");
        assert_eq!(webhook.failure_policy.as_deref(), Some("Ignore"));
        assert!(webhook.timeout_seconds.unwrap() <= 3);
    }
    // A name before KubeVirt's.
    assert!(typed.metadata.name.unwrap().as_str() < "virt-api-mutator");
}
