//! The rows of the requirements, in the order in which they are shown.

use strum::{EnumCount, IntoStaticStr};

use super::{RequirementRow, Topic};
use crate::decide::checks::Severity;

/// Defines [`Requirement`] and the row of each variant, so that neither can be without the other.
macro_rules! requirements {
    ($($(#[$doc:meta])* $requirement:ident { $($field:ident: $value:expr),+ $(,)? })+) => {
        /// A requirement, in the order in which they are shown.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumCount, IntoStaticStr,
        )]
        #[repr(u8)]
        pub enum Requirement {
            $($(#[$doc])* $requirement),+
        }

        impl Requirement {
            /// Every requirement, in order.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$requirement),+];

            /// All that is said of the requirement.
            #[must_use]
            pub const fn row(self) -> RequirementRow {
                match self {
                    $(Self::$requirement => RequirementRow { $($field: $value),+ }),+
                }
            }

            /// The name of its code in CamelCase.
            #[must_use]
            pub fn code_name(self) -> &'static str {
                self.into()
            }
        }
    };
}

requirements! {
    /// berth supports the releases that run.
    ReleaseTooOld {
        code: "BRT0601",
        topic: Topic::Cluster,
        severity: Severity::Error,
        met: "berth supports the release",
        text: "a release is older than berth supports",
        meaning: "The release lacks what berth needs: Kubernetes before 1.30 has no `matchConditions` of webhooks, KubeVirt before 1.0 and Kube-OVN before 1.12 are not known to berth. docs/compatibility.md has the table.",
        remedy: "Upgrade the component.",
    }
    /// berth knows the releases that run.
    ReleaseNotKnown {
        code: "BRT0602",
        topic: Topic::Cluster,
        severity: Severity::Info,
        met: "berth knows the release",
        text: "a release is newer than those that berth knows",
        meaning: "berth was neither tested with this release nor compared with its source. docs/compatibility.md has the table.",
        remedy: "Look for a newer release of berth.",
    }
    /// KubeVirt is there.
    KubeVirtNotFound {
        code: "BRT0603",
        topic: Topic::Cluster,
        severity: Severity::Error,
        met: "KubeVirt is installed",
        text: "KubeVirt is not installed",
        meaning: "The API group `kubevirt.io/v1` is not served, or there is no KubeVirt CR. Without KubeVirt there are no VMs, and berth has no effect.",
        remedy: "Install KubeVirt. berth may be installed before it, and becomes ready when KubeVirt's kinds are served.",
    }
    /// KubeVirt is deployed.
    KubeVirtNotDeployed {
        code: "BRT0604",
        topic: Topic::Cluster,
        severity: Severity::Warning,
        met: "KubeVirt is deployed",
        text: "KubeVirt is not deployed",
        meaning: "`status.phase` of the KubeVirt CR is not `Deployed`. While KubeVirt is installed, upgraded or deleted, migrations may not work.",
        remedy: "Look at the conditions of the KubeVirt CR and the pods of virt-operator.",
    }
    /// KubeVirt takes VMs with bridge binding.
    BridgeNotPermitted {
        code: "BRT0605",
        topic: Topic::Cluster,
        severity: Severity::Warning,
        met: "KubeVirt permits bridge binding on the pod network",
        text: "KubeVirt does not permit bridge binding on the pod network",
        meaning: "`spec.configuration.network.permitBridgeInterfaceOnPodNetwork` of the KubeVirt CR is false. KubeVirt refuses new VMs with bridge binding on the pod network, so that berth has nothing to annotate.",
        remedy: "Set it to true if VMs are to have bridge binding. Otherwise install berth without its webhook.",
    }
    /// The kinds that berth watches are there.
    KindNotServed {
        code: "BRT0606",
        topic: Topic::Cluster,
        severity: Severity::Error,
        met: "the kinds that berth watches are served",
        text: "a kind that berth watches is not served",
        meaning: "The API server does not serve a kind of KubeVirt. berth is not ready until it has listed it.",
        remedy: "Check KubeVirt's CustomResourceDefinitions: virt-operator creates them.",
    }
    /// The network provider is there.
    AgentsNotFound {
        code: "BRT0607",
        topic: Topic::Cluster,
        severity: Severity::Error,
        met: "the agents of the network provider run",
        text: "no agent of the network provider was found",
        meaning: "berth checks the agents of each node (Kube-OVN: ovs-ovn and kube-ovn-cni in kube-system; OVN-Kubernetes: ovnkube-node in ovn-kubernetes). The namespace has no such pod, so that this check of the filter is off.",
        remedy: "Set `network.provider` or `agents.namespace` in berth's configuration to what the cluster has, and name the same here with --network-provider or --config.",
    }

    /// The user may create the objects of the manifests.
    MayNotInstall {
        code: "BRT0608",
        topic: Topic::Installing,
        severity: Severity::Error,
        met: "you may create what the manifests contain",
        text: "you may not create what the manifests contain",
        meaning: "The API server does not allow the user of the kubeconfig to create these kinds.",
        remedy: "Install berth as a user with the ClusterRole `cluster-admin`, or ask for these rights.",
    }
    /// The namespace stays.
    NamespaceTerminating {
        code: "BRT0609",
        topic: Topic::Installing,
        severity: Severity::Error,
        met: "the namespace can be used",
        text: "the namespace is being deleted",
        meaning: "Nothing can be created in a namespace that is being deleted.",
        remedy: "See which finalizers keep it, and install berth once it is gone.",
    }
    /// The namespace has the pod security level of the manifests.
    PodSecurity {
        code: "BRT0610",
        topic: Topic::Installing,
        severity: Severity::Info,
        met: "the namespace enforces the pod security level `restricted`",
        text: "the namespace does not enforce the pod security level `restricted`",
        meaning: "The manifests set `pod-security.kubernetes.io/enforce: restricted` on the namespace. berth runs under every level, and needs no more than `restricted` allows.",
        remedy: "Apply the manifests, which set the label, or set it yourself.",
    }
    /// The address of the overlay is one of the cluster's Services.
    ClusterIpOutOfRange {
        code: "BRT0611",
        topic: Topic::Installing,
        severity: Severity::Warning,
        met: "the fixed ClusterIP is in the range of Services",
        text: "the fixed ClusterIP is not in the range of Services",
        meaning: "The overlay `cluster-ip` gives the Service this address, which this cluster cannot assign. `kubectl apply` of the overlay would fail.",
        remedy: "Choose a free address in the lower part of kube-apiserver's --service-cluster-ip-range, patch the Service with it, and check it with --cluster-ip ADDRESS. The other overlays need no fixed address.",
    }
    /// The address of the overlay is free.
    ClusterIpTaken {
        code: "BRT0612",
        topic: Topic::Installing,
        severity: Severity::Warning,
        met: "the fixed ClusterIP is free",
        text: "another Service has the fixed ClusterIP",
        meaning: "The overlay `cluster-ip` gives the Service this address, which another Service has. `kubectl apply` of the overlay would fail.",
        remedy: "Choose a free address in the lower part of kube-apiserver's --service-cluster-ip-range, patch the Service with it, and check it with --cluster-ip ADDRESS. The other overlays need no fixed address.",
    }

    /// berth is there.
    NotInstalled {
        code: "BRT0613",
        topic: Topic::Replicas,
        severity: Severity::Error,
        met: "berth is installed",
        text: "berth is not installed",
        meaning: "The namespace has no Deployment `berth`.",
        remedy: "Install berth (docs/install.md), or name its namespace with -n.",
    }
    /// A replica serves.
    NoReplicaReady {
        code: "BRT0614",
        topic: Topic::Replicas,
        severity: Severity::Error,
        met: "a replica is ready",
        text: "no replica is ready",
        meaning: "No pod of the Deployment `berth` is ready. kube-apiserver and kube-scheduler go on without berth: VMs get no annotation, and nodes are not checked.",
        remedy: "The findings about single replicas say what each of them waits for. Otherwise look at `kubectl describe` of the Deployment and its ReplicaSet.",
    }
    /// All replicas serve.
    ReplicaMissing {
        code: "BRT0615",
        topic: Topic::Replicas,
        severity: Severity::Warning,
        met: "all replicas are ready",
        text: "not all replicas are ready",
        meaning: "Fewer pods of the Deployment `berth` are ready than `spec.replicas` asks for.",
        remedy: "The findings about single replicas say what each of them waits for. During a rolling update, check again.",
    }
    /// A replica says that it is ready.
    ReplicaNotReady {
        code: "BRT0616",
        topic: Topic::Replicas,
        severity: Severity::Warning,
        met: "every replica says that it is ready",
        text: "a replica is not ready",
        meaning: "The pod does not run, or berth in it answers at /readyz what it waits for.",
        remedy: "docs/operations.md#readiness has what to do about each text of /readyz. For a pod that does not run, look at `kubectl describe pod`.",
    }
    /// All replicas are of one image.
    ImagesDiffer {
        code: "BRT0617",
        topic: Topic::Replicas,
        severity: Severity::Warning,
        met: "all replicas run one image",
        text: "replicas run different images",
        meaning: "Pods of berth run different images, so that answers may depend on which of them is asked.",
        remedy: "During a rolling update, check again. With the overlay `loopback`, give the Deployment and the DaemonSet the same image.",
    }
    /// The command and the service are of one release.
    VersionDiffers {
        code: "BRT0618",
        topic: Topic::Replicas,
        severity: Severity::Warning,
        met: "this program has the version of the replicas",
        text: "this program has another version than the replicas",
        meaning: "The checks of this program, and what it prints for kube-scheduler, may differ from those of the service.",
        remedy: "Copy the command out of the image that runs (docs/install.md#get-the-command).",
    }
    /// A drain leaves a replica.
    NoDisruptionBudget {
        code: "BRT0619",
        topic: Topic::Replicas,
        severity: Severity::Warning,
        met: "a PodDisruptionBudget keeps a replica during drains",
        text: "no PodDisruptionBudget keeps a replica during drains",
        meaning: "The namespace has no PodDisruptionBudget for the replicas, so that a drain may evict all of them at once.",
        remedy: "Apply the manifests again: they contain the PodDisruptionBudget `berth`.",
    }
    /// The service account has its rights.
    RightMissing {
        code: "BRT0620",
        topic: Topic::Replicas,
        severity: Severity::Error,
        met: "the service account of berth has its rights",
        text: "the service account of berth lacks rights",
        meaning: "The manifests give the service account these rights, and the API server says that it does not have them.",
        remedy: "Apply the manifests again: they contain the roles and their bindings.",
    }
    /// The Service is there.
    ServiceNotFound {
        code: "BRT0621",
        topic: Topic::Replicas,
        severity: Severity::Error,
        met: "the Service of berth is there",
        text: "the Service of berth is missing",
        meaning: "kube-apiserver, and usually kube-scheduler, reach berth through the Service `berth`.",
        remedy: "Apply the manifests again. With a fixed ClusterIP, give the Service the same address.",
    }

    /// The Secret is there.
    SecretNotFound {
        code: "BRT0622",
        topic: Topic::Certificates,
        severity: Severity::Error,
        met: "the Secret with the certificate is there",
        text: "the Secret with the certificate is missing",
        meaning: "The Secret `berth-tls` does not exist. Replicas that run serve the certificate that they have; new ones are not ready.",
        remedy: "Apply the manifests again: they contain the Secret, which berth fills. With cert-manager, look at the Certificate `berth-tls`.",
    }
    /// The Secret holds what it should.
    SecretDamaged {
        code: "BRT0623",
        topic: Topic::Certificates,
        severity: Severity::Error,
        met: "the Secret holds a CA and a certificate of it",
        text: "the Secret does not hold a CA and a certificate of it",
        meaning: "A part of the Secret is missing, damaged or belongs to another certificate; or berth may not fill the Secret, because it has no label that makes it berth's own.",
        remedy: "If a replica is ready, it repairs the Secret within a minute, and its log says what it does. Otherwise delete the Secret and apply the manifests again.",
    }
    /// The certificate is valid now.
    CertificateExpired {
        code: "BRT0624",
        topic: Topic::Certificates,
        severity: Severity::Error,
        met: "the certificate is valid",
        text: "the certificate is not valid now",
        meaning: "The time of the API server is not within the validity of the certificate or of its CA. kube-apiserver and kube-scheduler do not connect, and go on without berth.",
        remedy: "Check that a replica is ready and may write the Secret, which renews it. With cert-manager, look at the Certificate `berth-tls`.",
    }
    /// The certificate is renewed in time.
    CertificateOverdue {
        code: "BRT0625",
        topic: Topic::Certificates,
        severity: Severity::Warning,
        met: "the certificate is renewed in time",
        text: "the certificate was not renewed in time",
        meaning: "berth, or cert-manager, should have changed the Secret by now. The certificate is valid until its end.",
        remedy: "Look at the log of the replicas for the Secret, and at `berth_tls_certificate_expiry_timestamp_seconds`. With cert-manager, look at the Certificate `berth-tls`.",
    }
    /// The certificate has the names by which berth is called.
    CertificateNames {
        code: "BRT0626",
        topic: Topic::Certificates,
        severity: Severity::Error,
        met: "the certificate has the names of the Service",
        text: "the certificate lacks names of the Service",
        meaning: "kube-apiserver calls berth as `berth.NAMESPACE.svc`, and does not connect to a server whose certificate lacks that name.",
        remedy: "Set `tls.managed.service` to the name of the Service; with cert-manager, `dnsNames` of the Certificate.",
    }
    /// The webhook configurations trust the certificate.
    CaBundleDiffers {
        code: "BRT0627",
        topic: Topic::Certificates,
        severity: Severity::Error,
        met: "the webhook configurations trust the CA",
        text: "a webhook configuration does not trust the CA",
        meaning: "`caBundle` of a webhook lacks a CA of the Secret. kube-apiserver does not connect to berth, and stores objects without asking it.",
        remedy: "If a replica is ready, it adds the CA within a minute, and its log says what it does. Otherwise another manager may replace the field: see docs/install.md#argo-cd-and-flux. With cert-manager, check its CA injector.",
    }

    /// Something injects the annotation.
    WebhookNotFound {
        code: "BRT0628",
        topic: Topic::Injection,
        severity: Severity::Error,
        met: "kube-apiserver is told to inject the annotation",
        text: "nothing injects the annotation",
        meaning: "There is neither the MutatingWebhookConfiguration `berth` nor the MutatingAdmissionPolicy `berth`.",
        remedy: "Apply the manifests again.",
    }
    /// The policy is in force.
    PolicyNotBound {
        code: "BRT0629",
        topic: Topic::Injection,
        severity: Severity::Error,
        met: "the admission policy is bound",
        text: "the admission policy is not bound",
        meaning: "There is a MutatingAdmissionPolicy `berth` and no MutatingAdmissionPolicyBinding for it, without which it does nothing.",
        remedy: "Apply the component `admission-policy` again.",
    }
    /// The policy finds the KubeVirt CR.
    PolicyParamNotFound {
        code: "BRT0630",
        topic: Topic::Injection,
        severity: Severity::Error,
        met: "the admission policy finds the KubeVirt CR",
        text: "the admission policy does not find the KubeVirt CR",
        meaning: "`spec.paramRef` of the binding selects no KubeVirt CR. The policy injects nothing then.",
        remedy: "Patch `spec.paramRef.namespace` of the MutatingAdmissionPolicyBinding `berth` to the namespace of KubeVirt.",
    }
    /// A VM is annotated.
    NotInjected {
        code: "BRT0631",
        topic: Topic::Injection,
        severity: Severity::Error,
        met: "a VM with bridge binding gets the annotation",
        text: "a VM with bridge binding does not get the annotation",
        meaning: "berth had the API server create a VM with bridge binding without storing it (`dryRun=All`), and the VM came back without `kubevirt.io/allow-pod-bridge-network-live-migration`.",
        remedy: "See docs/install.md#troubleshoot. The log of kube-apiserver has `Failed calling webhook, failing open` where it does not reach berth.",
    }
    /// New migrations are reviewed.
    MigrationsNotReviewed {
        code: "BRT0632",
        topic: Topic::Injection,
        severity: Severity::Info,
        met: "new migrations are reviewed",
        text: "new migrations are not reviewed",
        meaning: "The ValidatingWebhookConfiguration `berth` does not exist. Users get no warning when they create a migration that no node can take. The configuration is optional.",
        remedy: "Apply the manifests again if you want the warnings.",
    }

    /// kube-scheduler calls berth.
    SchedulerNotAsking {
        code: "BRT0633",
        topic: Topic::Scheduler,
        severity: Severity::Error,
        met: "kube-scheduler asks berth",
        text: "kube-scheduler does not ask berth",
        meaning: "The target pod of a migration was bound to a node while every replica ran, and no replica has answered a call of the filter for it: the last call was more than two minutes before, or there was none since the replicas started. Nodes are not checked.",
        remedy: "Add the stanza that `berth scheduler-config` prints to the configuration of kube-scheduler on every control-plane host (docs/install.md); an upgrade of the control plane may have removed it. If you use berth for the injection alone, suppress this code.",
    }
    /// There was a migration by which the calls could be judged.
    NoMigrationLately {
        code: "BRT0634",
        topic: Topic::Scheduler,
        severity: Severity::Info,
        met: "a migration shows whether kube-scheduler asks berth",
        text: "whether kube-scheduler asks berth is not known",
        meaning: "No replica has answered a call of the filter in the last hour, and no target pod of a migration was bound in that time while every replica ran.",
        remedy: "Migrate a VM (`virtctl migrate VM`), and check again.",
    }
}
