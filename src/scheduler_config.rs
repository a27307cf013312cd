//! `berth scheduler-config`: the stanza that makes kube-scheduler call berth.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use axum::http::Uri;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use x509_parser::parse_x509_certificate;

use crate::args::SchedulerConfig;
use crate::pki::x509::{base64, certificate_pem};

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
    /// The CA file holds something that is no certificate.
    #[error("--ca {path}: {problem}", path = path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The CA file holds no certificate.
    #[error("--ca {path}: holds no certificate in PEM", path = path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The URL is none, or not one that kube-scheduler can be given.
    #[error("--url {url}: {problem}")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Prints the stanza, each line with the reason for it where it is not plain.
pub fn stanza(args: &SchedulerConfig) -> Result<String, StanzaError> {
    let SchedulerConfig {
        ca,
        url,
        server_name,
        client_cert,
        client_key,
    } = args;
    let host = host(url)?;
    let ca_data = read_ca(ca)?;
    let server_name = server_name.as_deref().unwrap_or(&host);
    let base = url.trim_end_matches('/');

    let mut text = format!(
        "\
# For the KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1) of kube-scheduler.
extenders:
- urlPrefix: {url}
  filterVerb: filter
  prioritizeVerb: prioritize
  # Ten points of berth count 500, beside at most 1200 of kube-scheduler's own scores.
  weight: 5
  # Nobody is evicted where the filter rejects.
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
  enableHTTPS: true
  tlsConfig:
    serverName: {server_name}
    # Read once: kube-scheduler has to be restarted for another CA.
    caData: {ca}
",
        url = quoted(&format!("{base}/scheduler")),
        server_name = quoted(server_name),
        ca = quoted(&ca_data),
    );
    for (field, path) in [("certFile", client_cert), ("keyFile", client_key)] {
        if let Some(path) = path {
            // Writing to a string does not fail.
            let _ = writeln!(text, "    {field}: {}", quoted(&path.display().to_string()));
        }
    }
    Ok(text)
}

fn host(url: &str) -> Result<String, StanzaError> {
    let bad = |problem| StanzaError::BadUrl {
        url: url.to_owned(),
        problem,
    };
    let uri: Uri = url.parse().map_err(|_| bad("is no URL"))?;
    if uri.scheme_str() != Some("https") {
        return Err(bad("is not https"));
    }
    if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(bad("has a path, which berth's routes do not have"));
    }
    let host = uri.host().ok_or_else(|| bad("has no host"))?;
    Ok(host.trim_matches(['[', ']']).to_owned())
}

/// The certificates of a PEM file, and nothing else of it, as `caData` holds them.
fn read_ca(path: &PathBuf) -> Result<String, StanzaError> {
    let pem = fs::read(path).map_err(|source| StanzaError::Unreadable {
        path: path.clone(),
        source,
    })?;
    let bad = |problem: String| StanzaError::BadCertificate {
        path: path.clone(),
        problem,
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| bad(format!("is not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(StanzaError::NoCertificate { path: path.clone() });
    }
    for (index, der) in certificates.iter().enumerate() {
        let (_, certificate) = parse_x509_certificate(der)
            .map_err(|error| bad(format!("certificate {} is none: {error}", index + 1)))?;
        // One that signed itself is its own CA, also where it does not say so.
        if !certificate.is_ca() && certificate.subject() != certificate.issuer() {
            return Err(bad(format!(
                "certificate {} is of {}, which is no CA",
                index + 1,
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

/// A JSON string, which is a YAML string whatever is in it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_args(url: &str, ca: PathBuf) -> SchedulerConfig {
        SchedulerConfig {
            ca,
            url: url.to_owned(),
            server_name: None,
            client_cert: None,
            client_key: None,
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

    #[test]
    fn the_stanza_is_yaml_with_the_ca_and_the_name_filled_in() {
        let dir = tempfile::tempdir().unwrap();
        let (path, pem) = mk_ca(&dir);
        let args = SchedulerConfig {
            server_name: Some("berth.berth-system.svc".to_owned()),
            client_cert: Some("/etc/kubernetes/berth.crt".into()),
            client_key: Some("/etc/kubernetes/berth.key".into()),
            ..mk_args("https://10.96.0.77:443/", path)
        };
        let yaml: serde_json::Value = serde_saphyr::from_str(&stanza(&args).unwrap()).unwrap();
        assert_eq!(
            yaml,
            serde_json::json!({"extenders": [{
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
            }]})
        );
    }

    #[test]
    fn the_server_name_is_the_urls_host_unless_given() {
        for (url, expect) in [
            (
                "https://berth.berth-system.svc:443",
                "berth.berth-system.svc",
            ),
            ("https://[::1]:8443", "::1"),
        ] {
            assert_eq!(host(url).unwrap(), expect);
        }
    }

    #[test]
    fn what_kube_scheduler_could_not_use_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (ca, _) = mk_ca(&dir);
        for (url, expect) in [
            ("http://berth", "--url http://berth: is not https"),
            ("berth", "--url berth: is not https"),
            (
                "https://berth/scheduler",
                "--url https://berth/scheduler: has a path, which berth's routes do not have",
            ),
            ("https://a b", "--url https://a b: is no URL"),
        ] {
            let error = stanza(&mk_args(url, ca.clone())).unwrap_err();
            assert_eq!(error.to_string(), expect);
        }
        let empty = dir.path().join("empty");
        fs::write(&empty, "").unwrap();
        assert_eq!(
            stanza(&mk_args("https://berth", empty.clone()))
                .unwrap_err()
                .to_string(),
            format!("--ca {}: holds no certificate in PEM", empty.display())
        );
        let garbage = dir.path().join("garbage");
        fs::write(
            &garbage,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        let error = stanza(&mk_args("https://berth", garbage.clone())).unwrap_err();
        let expect = format!("--ca {}: certificate 1 is none: ", garbage.display());
        assert!(error.to_string().starts_with(&expect), "{error}");
        let error = stanza(&mk_args("https://berth", "/none".into())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--ca /none: No such file or directory (os error 2)"
        );
    }
}
