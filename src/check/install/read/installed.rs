//! What is read of an installation: berth's own objects, and the migrations that it should have seen.

use std::time::SystemTime;

use futures_util::future::join_all;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
    ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::super::certificates::Certificates;
use super::super::injection::{Injection, namespace_to_try};
use super::super::line::Asked;
use super::super::replicas::{Installed, variable};
use super::super::rights::{Action, OF_BERTH, Purpose};
use super::super::scheduler::Bound;
use super::super::{NAME, SECOND_SCHEDULER, SECRET};
use super::{Reader, full_name, optional, request, selector};
use crate::pki::bundle::{Configuration, ConfigurationId, ConfigurationKind};
use crate::pki::{Names, Now};
use crate::tls::HostName;

/// What selects the target pods of migrations.
const TARGETS: &str = "kubevirt.io=virt-launcher,kubevirt.io/migrationJobUID";

impl Reader {
    /// The Deployment, if it is there.
    pub(in super::super) async fn deployment(&self) -> Asked<Option<Deployment>> {
        let api: Api<Deployment> = self.own();
        self.find(&api, NAME).await
    }

    /// What belongs to the Deployment. Pods are found in all namespaces: those on loopback have another.
    pub(in super::super) async fn installed(
        &self,
        deployment: Asked<Option<Deployment>>,
    ) -> Installed {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let budgets: Api<PodDisruptionBudget> = self.own();
        let services: Api<Service> = self.own();
        // An evicted pod stays for long, and the Deployment has made another in its place.
        let has_ended = |pod: &Pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Failed" | "Succeeded"))
        };
        let is_live = |pod: Pod| {
            Some(pod).filter(|pod| pod.metadata.deletion_timestamp.is_none() && !has_ended(pod))
        };
        let found = deployment.as_ref().ok().and_then(Option::as_ref);
        let account = found.map_or_else(|| NAME.to_owned(), account_of);
        let issues = found.is_some_and(|found| variable(found, "BERTH_TLS_SECRET").is_some());
        let actions = OF_BERTH
            .iter()
            .filter(|(purpose, _)| *purpose == Purpose::Always || issues);
        let reviews = actions.map(|(_, action)| async {
            let allowed = self.may_account(&account, action).await;
            (*action, allowed)
        });
        let selector = selector();
        let replicas = async {
            let pods = self.list(&pods, &selector, is_live).await?;
            Ok(join_all(pods.iter().map(|pod| self.replica(pod))).await)
        };
        let (replicas, budgets, reviews, service) = tokio::join!(
            replicas,
            self.list(&budgets, "", Some),
            join_all(reviews),
            self.find(&services, NAME),
        );
        let address = |service: Service| {
            let address = service.spec.and_then(|spec| spec.cluster_ip);
            address.unwrap_or_else(|| "no address".to_owned())
        };
        Installed {
            deployment,
            replicas,
            budgets,
            reviews,
            service: service.map(|service| service.map(address)),
            namespace: self.namespace.clone(),
        }
    }

    /// Whether a service account of the namespace may do this.
    async fn may_account(&self, account: &str, action: &Action) -> Asked<bool> {
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let namespace = &self.namespace;
        let groups = [
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated".to_owned(),
        ];
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{namespace}:{account}")),
                groups: Some(groups.into()),
                resource_attributes: Some(self.attributes(action)),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let review = self
            .ask(api.create(&PostParams::default(), &review))
            .await?;
        super::reviewed(review.status)
    }

    pub(in super::super) async fn certificates(&self, now: Now) -> Certificates {
        let secrets: Api<Secret> = self.own();
        let mutating: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        let validating: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let (secret, mutating, validating) = tokio::join!(
            self.find(&secrets, SECRET),
            self.find(&mutating, NAME),
            self.find(&validating, NAME),
        );
        let mutating = mutating.map(|found| found.as_ref().map(Configuration::from));
        let validating = validating.map(|found| found.as_ref().map(Configuration::from));
        let id = |kind| ConfigurationId {
            kind,
            name: NAME.to_owned(),
        };
        Certificates {
            secret,
            name: format!("{}/{SECRET}", self.namespace),
            configurations: vec![
                (id(ConfigurationKind::Mutating), mutating),
                (id(ConfigurationKind::Validating), validating),
            ],
            names: self.service_name(),
            now,
        }
    }

    /// The name by which kube-apiserver and kube-scheduler know berth.
    fn service_name(&self) -> Names {
        let name = format!("{NAME}.{}.svc", self.namespace);
        HostName::parse(&name).into_iter().collect()
    }

    pub(in super::super) async fn injection(&self) -> Injection {
        let webhooks: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        let reviews: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let policies: Api<MutatingAdmissionPolicy> = Api::all(self.client.clone());
        let bindings: Api<MutatingAdmissionPolicyBinding> = Api::all(self.client.clone());
        let (webhook, review, policy, bindings, kubevirts) = tokio::join!(
            self.find(&webhooks, NAME),
            self.find(&reviews, NAME),
            self.find(&policies, NAME),
            self.list(&bindings, "", Some),
            self.kubevirts(),
        );
        let selector = match (&webhook, &policy) {
            (Ok(Some(webhook)), _) => of_webhook(webhook),
            (_, Ok(Some(policy))) => of_policy(policy),
            _ => None,
        };
        let tried = self.tried(selector.as_ref()).await;
        Injection {
            webhook: webhook.map(|found| found.is_some()),
            review: review.map(|found| found.is_some()),
            policy,
            // Kubernetes before 1.36 does not have them.
            bindings: optional(bindings).map(Option::unwrap_or_default),
            kubevirts: optional(kubevirts).map(Option::unwrap_or_default),
            tried,
        }
    }

    /// A VM with bridge binding as the API server would store it.
    async fn tried(
        &self,
        selector: Option<&LabelSelector>,
    ) -> Asked<Option<(String, Asked<Value>)>> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespaces = self.list(&namespaces, "", Some).await?;
        let Some(namespace) = namespace_to_try(&namespaces, selector) else {
            return Ok(None);
        };
        let vm = json!({
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": {"generateName": "berth-check-"},
            "spec": {
                "runStrategy": "Halted",
                "template": {"spec": {
                    "domain": {
                        "devices": {"interfaces": [{"name": "default", "bridge": {}}]},
                        "resources": {"requests": {"memory": "64Mi"}},
                    },
                    "networks": [{"name": "default", "pod": {}}],
                }},
            },
        });
        let path =
            format!("/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines?dryRun=All");
        let request = request("POST", &path, vm.to_string().into_bytes());
        let stored = self.ask(self.client.request(request)).await;
        Ok(Some((namespace, stored)))
    }

    /// The scheduler that is to ask berth: the second one, where that is installed.
    pub(in super::super) async fn scheduler(&self) -> Asked<&'static str> {
        let api: Api<Deployment> = self.own();
        let second = self.find(&api, SECOND_SCHEDULER).await?;
        Ok(match second {
            Some(_) => SECOND_SCHEDULER,
            None => "default-scheduler",
        })
    }

    /// The target pods of migrations that have a node.
    pub(in super::super) async fn migrations(&self) -> Asked<Vec<Bound>> {
        let pods: Api<Pod> = Api::all(self.client.clone());
        self.list(&pods, TARGETS, |pod| bound(&pod)).await
    }

    fn own<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

fn account_of(deployment: &Deployment) -> String {
    let pod = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let account = pod.and_then(|pod| pod.service_account_name.clone());
    account.unwrap_or_else(|| "default".to_owned())
}

/// The namespaces for which kube-apiserver asks about VMs.
fn of_webhook(webhooks: &MutatingWebhookConfiguration) -> Option<LabelSelector> {
    let about_vms = |name: &str| name.starts_with("template.");
    let mut webhooks = webhooks.webhooks.iter().flatten();
    let webhook = webhooks.find(|webhook| about_vms(&webhook.name))?;
    webhook.namespace_selector.clone()
}

fn of_policy(policy: &MutatingAdmissionPolicy) -> Option<LabelSelector> {
    let constraints = policy.spec.as_ref()?.match_constraints.as_ref()?;
    constraints.namespace_selector.clone()
}

/// The pod, if it has a node.
fn bound(pod: &Pod) -> Option<Bound> {
    let conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let mut has_node = conditions
        .filter(|condition| condition.type_ == "PodScheduled" && condition.status == "True");
    let at = has_node.next()?.last_transition_time.as_ref()?.0;
    let scheduler = pod.spec.as_ref()?.scheduler_name.clone();
    Some(Bound {
        pod: full_name(pod),
        scheduler: scheduler.unwrap_or_else(|| "default-scheduler".to_owned()),
        at: SystemTime::from(at),
    })
}
