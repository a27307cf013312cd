//! `berth scheduler-config`: the stanza that makes kube-scheduler call berth, or a whole configuration.

mod cluster;
mod url;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use x509_parser::parse_x509_certificate;

use crate::api::ClientError;
use crate::args::SchedulerConfig;
use crate::pki::x509::{base64, certificate_pem};
use crate::scheduler_config::cluster::LookupError;
use crate::scheduler_config::url::BaseUrl;
use crate::tls::HostName;

/// Why there is no stanza.
#[derive(Debug, thiserror::Error)]
pub enum StanzaError {
    /// The CA file can't be read.
    #[error("--ca {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The CA is not one that kube-scheduler can check berth's certificate by.
    #[error("{origin}: {problem}")]
    BadCa {
        /// The file or the object that it is from.
        origin: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The URL is not one that kube-scheduler can be given.
    #[error(
        "--url {url}: {problem}; use https://HOST or https://HOST:PORT, such as https://10.96.0.77:443"
    )]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A path that kube-scheduler, in a directory of its own, would look for elsewhere.
    #[error(
        "{flag} {path}: is a relative path; use the absolute one on kube-scheduler's host, such as /etc/kubernetes/berth.crt",
        path = path.display()
    )]
    RelativePath {
        /// The flag.
        flag: &'static str,
        /// What was given.
        path: PathBuf,
    },
    /// No client for the cluster can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The cluster does not say what is needed.
    #[error(transparent)]
    Lookup(#[from] LookupError),
}

/// Where kube-scheduler reaches berth in a cluster with DNS for it.
const SERVICE_URL: &str = "https://berth.berth-system.svc:443";

/// Prints what `args` ask for, after a look at the cluster where they name one.
pub async fn print(args: &SchedulerConfig) -> Result<String, StanzaError> {
    let SchedulerConfig {
        ca,
        kubeconfig,
        context,
        namespace,
        url,
        server_name,
        client_cert,
        client_key,
        bind,
        full,
    } = args;
    for (flag, path) in [("--client-cert", client_cert), ("--client-key", client_key)] {
        if let Some(path) = path.as_ref().filter(|path| !path.is_absolute()) {
            return Err(StanzaError::RelativePath {
                flag,
                path: path.clone(),
            });
        }
    }
    let given = url.as_deref().map(BaseUrl::parse).transpose()?;
    let ca_file = ca.as_deref().map(read_ca).transpose()?;
    let cluster = match kubeconfig {
        Some(path) if given.is_none() || ca_file.is_none() => {
            let namespace = namespace.as_ref().map(ToString::to_string);
            Some(cluster::Cluster::open(path, context.as_deref(), namespace).await?)
        }
        _ => None,
    };
    let mut origins = Vec::new();
    let ca = match (ca_file, &cluster) {
        (Some(ca), _) => ca,
        (None, Some(cluster)) => {
            let found = cluster.ca().await?;
            let ca = checked_ca(&found.origin, &found.pem)?;
            origins.push(format!("The CA is from {}", found.origin));
            ca
        }
        // The command line asks for one of the two.
        (None, None) => String::new(),
    };
    let (url, default_name) = match (given, &cluster) {
        (Some(url), _) => {
            let name = url.host.clone();
            (url, name)
        }
        (None, Some(cluster)) => {
            let found = cluster.address().await?;
            origins.push(format!("The address is of {}", found.origin));
            (found.url, found.name)
        }
        (None, None) => {
            let url = BaseUrl::parse(SERVICE_URL)?;
            let name = url.host.clone();
            (url, name)
        }
    };
    let server_name = server_name
        .as_ref()
        .map_or(default_name, HostName::to_string);
    let mut text = String::from(if *full { HEAD } else { NOTE });
    for origin in origins {
        // Writing to a string does not fail.
        let _ = writeln!(text, "# {origin}.");
    }
    if *full {
        text += FIELDS;
    }
    let tls = tls(
        &server_name,
        &ca,
        client_cert.as_deref(),
        client_key.as_deref(),
    );
    text += "extenders:\n";
    text += &stanza(&url);
    text += &tls;
    if *bind {
        text += &bind_stanza(&url);
        text += &tls;
    }
    Ok(text)
}

/// Above the stanza alone.
const NOTE: &str = "\
# For the KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1) of kube-scheduler.
";

/// Above a whole configuration.
const HEAD: &str = "\
# The configuration of a kube-scheduler that asks berth: the file of its flag --config. It reads the file,
# and the CA in it, once, when it starts.
";

/// What a whole configuration has beside the stanza.
const FIELDS: &str = "\
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
# One of several kube-schedulers is at work.
leaderElection:
  leaderElect: true
# With --config, kube-scheduler no longer looks at its flag --kubeconfig. This is kubeadm's place.
clientConnection:
  kubeconfig: /etc/kubernetes/scheduler.conf
";

/// The stanza but for its TLS, each line with the reason for it where it is not plain.
fn stanza(url: &BaseUrl) -> String {
    format!(
        "\
- urlPrefix: {url}
  filterVerb: filter
  prioritizeVerb: prioritize
  # Ten points of berth count 500, beside at most 1200 of kube-scheduler's own scores.
  weight: 5
  # No pod is evicted from a node that the filter rejects.
  preemptVerb: preempt
  # berth knows the nodes: names are enough, and a call is 100 times smaller.
  nodeCacheCapable: true
  # VMs are scheduled without the guard, rather than not at all, when no berth answers.
  ignorable: true
  httpTimeout: 5s
  # Every virt-launcher asks for this device, so that kube-scheduler calls berth for VMs alone.
  managedResources:
  - name: devices.kubevirt.io/tun
    ignoredByScheduler: false
",
        url = quoted(&format!("{url}/scheduler")),
    )
}

/// The stanza of the verb `bind` but for its TLS: it waits for longer than the others may.
fn bind_stanza(url: &BaseUrl) -> String {
    format!(
        "\
# berth binds the pods of VMs, and prepares the network of a migration first.
- urlPrefix: {url}
  bindVerb: bind
  nodeCacheCapable: true
  # kube-scheduler binds them itself when no berth answers.
  ignorable: true
  # continuity.warm.timeout and 10 s.
  httpTimeout: 30s
  # Every virt-launcher asks for this device as well, unless KVM is emulated. kube-scheduler takes no
  # resource in two stanzas.
  managedResources:
  - name: devices.kubevirt.io/kvm
    ignoredByScheduler: false
",
        url = quoted(&format!("{url}/scheduler")),
    )
}

/// How kube-scheduler reaches berth. `ca` is as `caData` holds it.
fn tls(server_name: &str, ca: &str, cert: Option<&Path>, key: Option<&Path>) -> String {
    let mut text = format!(
        "  enableHTTPS: true
  tlsConfig:
    serverName: {server_name}
    # Read once: kube-scheduler has to be restarted for another CA.
    caData: {ca}
",
        server_name = quoted(server_name),
        ca = quoted(ca),
    );
    for (field, path) in [("certFile", cert), ("keyFile", key)] {
        if let Some(path) = path {
            // Writing to a string does not fail.
            let _ = writeln!(text, "    {field}: {}", quoted(&path.display().to_string()));
        }
    }
    text
}

/// The CA of a file, as `caData` holds it.
fn read_ca(path: &Path) -> Result<String, StanzaError> {
    let pem = std::fs::read(path).map_err(|source| StanzaError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    checked_ca(&format!("--ca {}", path.display()), &pem)
}

/// The certificates of a PEM text, and nothing else of it, as `caData` holds them.
fn checked_ca(origin: &str, pem: &[u8]) -> Result<String, StanzaError> {
    let bad = |problem: String| StanzaError::BadCa {
        origin: origin.to_owned(),
        problem,
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| bad("is damaged: a section of it is not PEM".to_owned()))?;
    if certificates.is_empty() {
        return Err(bad(
            "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned(),
        ));
    }
    for (index, der) in certificates.iter().enumerate() {
        let number = index + 1;
        let (_, certificate) = parse_x509_certificate(der)
            .map_err(|_| bad(format!("section {number} is not a certificate")))?;
        // One that signed itself is its own CA, also where it does not say so.
        if !certificate.is_ca() && certificate.subject() != certificate.issuer() {
            return Err(bad(format!(
                "certificate {number} is of {}, which is not a CA",
                certificate.subject()
            )));
        }
    }
    let text: String = certificates
        .iter()
        .map(|der| certificate_pem(der))
        .collect();
    Ok(base64(text.as_bytes()))
}

/// A JSON string, which is also a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mk_args(ca: PathBuf) -> SchedulerConfig {
        SchedulerConfig {
            ca: Some(ca),
            ..SchedulerConfig::default()
        }
    }

    fn mk_ca(dir: &tempfile::TempDir) -> (PathBuf, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertificateParams::new(vec!["ca".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let path = dir.path().join("ca.crt");
        fs::write(&path, format!("{}{}", key.serialize_pem(), ca.pem())).unwrap();
        (path, ca.pem().replace("\r\n", "\n"))
    }

    #[tokio::test]
    async fn the_stanza_is_yaml_with_the_ca_and_the_name_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        let (path, pem) = mk_ca(&dir);
        let args = SchedulerConfig {
            url: Some("https://10.96.0.77:443/".to_owned()),
            server_name: Some("berth.berth-system.svc".parse().unwrap()),
            client_cert: Some("/etc/kubernetes/berth.crt".into()),
            client_key: Some("/etc/kubernetes/berth.key".into()),
            ..mk_args(path)
        };
        let stanza = serde_json::json!([{
            "urlPrefix": "https://10.96.0.77:443/scheduler",
            "filterVerb": "filter",
            "prioritizeVerb": "prioritize",
            "weight": 5,
            "preemptVerb": "preempt",
            "nodeCacheCapable": true,
            "ignorable": true,
            "httpTimeout": "5s",
            "managedResources": [{"name": "devices.kubevirt.io/tun", "ignoredByScheduler": false}],
            "enableHTTPS": true,
            "tlsConfig": {
                "serverName": "berth.berth-system.svc",
                // The certificate alone: a key in the same file is not copied.
                "caData": base64(pem.as_bytes()),
                "certFile": "/etc/kubernetes/berth.crt",
                "keyFile": "/etc/kubernetes/berth.key",
            },
        }]);
        let printed = print(&args).await.unwrap();
        let yaml: serde_json::Value = serde_saphyr::from_str(&printed).unwrap();
        assert_eq!(yaml, serde_json::json!({ "extenders": stanza }));
        let full = SchedulerConfig { full: true, ..args };
        let printed = print(&full).await.unwrap();
        let yaml: serde_json::Value = serde_saphyr::from_str(&printed).unwrap();
        assert_eq!(
            yaml,
            serde_json::json!({
                "apiVersion": "kubescheduler.config.k8s.io/v1",
                "kind": "KubeSchedulerConfiguration",
                "leaderElection": {"leaderElect": true},
                "clientConnection": {"kubeconfig": "/etc/kubernetes/scheduler.conf"},
                "extenders": stanza,
            })
        );
        let both = SchedulerConfig {
            bind: true,
            full: false,
            ..full
        };
        let printed = print(&both).await.unwrap();
        let yaml: serde_json::Value = serde_saphyr::from_str(&printed).unwrap();
        let first = &stanza[0];
        let second = serde_json::json!({
            "urlPrefix": first["urlPrefix"],
            "bindVerb": "bind",
            "nodeCacheCapable": true,
            "ignorable": true,
            "httpTimeout": "30s",
            "managedResources": [{"name": "devices.kubevirt.io/kvm", "ignoredByScheduler": false}],
            "enableHTTPS": true,
            "tlsConfig": first["tlsConfig"],
        });
        assert_eq!(yaml, serde_json::json!({ "extenders": [first, second] }));
    }

    #[tokio::test]
    async fn the_server_name_is_the_urls_host_unless_given() {
        let dir = tempfile::tempdir().unwrap();
        let (ca, _) = mk_ca(&dir);
        for (url, prefix, name) in [
            (
                None,
                "https://berth.berth-system.svc:443/scheduler",
                "berth.berth-system.svc",
            ),
            (
                Some("https://[::1]:8443"),
                "https://[::1]:8443/scheduler",
                "::1",
            ),
            (Some("https://berth/"), "https://berth/scheduler", "berth"),
        ] {
            let args = SchedulerConfig {
                url: url.map(str::to_owned),
                ..mk_args(ca.clone())
            };
            let printed = print(&args).await.unwrap();
            let yaml: serde_json::Value = serde_saphyr::from_str(&printed).unwrap();
            let extender = &yaml["extenders"][0];
            assert_eq!(extender["urlPrefix"], prefix);
            assert_eq!(extender["tlsConfig"]["serverName"], name);
        }
    }

    #[tokio::test]
    async fn a_path_that_is_relative_on_another_host_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (ca, _) = mk_ca(&dir);
        for (cert, key, expect) in [
            (
                "berth.crt",
                "/berth.key",
                "--client-cert berth.crt: is a relative path; use the absolute one on kube-scheduler's host, such as /etc/kubernetes/berth.crt",
            ),
            (
                "/berth.crt",
                "./berth.key",
                "--client-key ./berth.key: is a relative path; use the absolute one on kube-scheduler's host, such as /etc/kubernetes/berth.crt",
            ),
        ] {
            let args = SchedulerConfig {
                client_cert: Some(cert.into()),
                client_key: Some(key.into()),
                ..mk_args(ca.clone())
            };
            assert_eq!(print(&args).await.unwrap_err().to_string(), expect);
        }
    }

    #[tokio::test]
    async fn a_file_without_a_ca_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (ca, _) = mk_ca(&dir);
        let issuer = rcgen::KeyPair::generate().unwrap();
        let issuer = rcgen::CertifiedIssuer::self_signed(
            rcgen::CertificateParams::new(vec!["issuer".to_owned()]).unwrap(),
            issuer,
        )
        .unwrap();
        let mut leaf = rcgen::CertificateParams::new(vec!["leaf".to_owned()]).unwrap();
        leaf.distinguished_name = rcgen::DistinguishedName::new();
        leaf.distinguished_name
            .push(rcgen::DnType::CommonName, "leaf");
        let leaf = leaf
            .signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer)
            .unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let no_pem = "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
        for (path, expect) in [
            (write("empty", ""), no_pem),
            (write("der", "\u{1}\u{2}"), no_pem),
            (
                write(
                    "garbage",
                    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                ),
                "section 1 is not a certificate",
            ),
            (
                write(
                    "damaged",
                    "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
                ),
                "is damaged: a section of it is not PEM",
            ),
            (
                write("leaf", &(fs::read_to_string(ca).unwrap() + &leaf.pem())),
                "certificate 2 is of CN=leaf, which is not a CA",
            ),
            (
                PathBuf::from("/none"),
                "No such file or directory (os error 2)",
            ),
        ] {
            let expect = format!("--ca {}: {expect}", path.display());
            let error = print(&mk_args(path)).await.unwrap_err();
            assert_eq!(error.to_string(), expect);
        }
    }
}
