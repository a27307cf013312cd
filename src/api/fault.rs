//! Errors of the API server, told apart by the remedy.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use kube::core::Status;
use strum::{IntoStaticStr, VariantArray};

use tokio::time::timeout;

use crate::api::client::OnTheWay;
use crate::text::{LONGEST_TEXT, shorten};
use crate::tls;

/// The outcome of a request that may take this long.
pub async fn within<T>(
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, Fault> {
    match timeout(limit, request).await {
        Ok(answer) => answer.map_err(|error| Fault::from(&error)),
        Err(_) => Err(Fault::late(limit)),
    }
}

/// Why a request to the API server failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Cause {
    /// There is no connection: the network, a name, a certificate, or a server that is down.
    Connection,
    /// There was no answer in time.
    Timeout,
    /// 401: the server does not accept the credentials.
    Unauthorized,
    /// 403: no rule of RBAC, nor another authorizer, allows the request.
    Forbidden,
    /// 403: the same for a request that came without credentials.
    Anonymous,
    /// 403: a `ResourceQuota` leaves no room.
    QuotaExceeded,
    /// 403: the namespace is being deleted.
    NamespaceTerminating,
    /// 422, 403 and others: a `ValidatingAdmissionPolicy` or a `MutatingAdmissionPolicy` denies it.
    DeniedByPolicy,
    /// Any status: an admission webhook denies it.
    DeniedByWebhook,
    /// 403: another admission plugin of the API server denies it.
    DeniedByAdmission,
    /// 404: there is no such object, or its CRD is not installed.
    NotFound,
    /// 409: another client wrote first.
    Conflict,
    /// 410: what was asked for is too old, as after a pause of a watch.
    Expired,
    /// 429: the server has too much to do.
    Throttled,
    /// Any other status.
    Server,
    /// The response is not one of a Kubernetes API, or the request is malformed.
    Unreadable,
}

impl Cause {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in metric labels and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether the API server refuses for another reason than a missing right.
    #[must_use]
    pub const fn is_denial(self) -> bool {
        matches!(
            self,
            Self::Anonymous
                | Self::QuotaExceeded
                | Self::NamespaceTerminating
                | Self::DeniedByPolicy
                | Self::DeniedByWebhook
                | Self::DeniedByAdmission
        )
    }

    /// What to do about a request that was refused, where that is the same whatever the request was.
    #[must_use]
    pub const fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::Anonymous => {
                "the request came without credentials: give the kubeconfig's user a token or a client certificate"
            }
            Self::QuotaExceeded => {
                "raise the ResourceQuota of the namespace, or delete what it counts"
            }
            Self::NamespaceTerminating => {
                "the namespace is being deleted: see what keeps it, and install berth again once it is gone"
            }
            Self::DeniedByPolicy => {
                "change the admission policy that is named, or leave berth's service account out of its binding"
            }
            Self::DeniedByWebhook => {
                "change the policy behind the admission webhook that is named, or leave berth's namespace and service account out of it"
            }
            Self::DeniedByAdmission => {
                "an admission plugin of the API server denies it, and no right changes that: see its configuration"
            }
            _ => return None,
        })
    }

    /// A status code alone says too little: a denial by policy is a 422 or a 403, and a 403 is
    /// anything from a missing right to a full quota. The forms of the messages are those of
    /// kube-apiserver 1.36, and have been the same since 1.30.
    fn of_status(status: &Status) -> Self {
        let Status { code, message, .. } = status;
        // `secrets "berth-tls" is forbidden: why`; `forbidden: why` for a path that is no resource.
        let why = message.split_once("forbidden: ").map(|(_, why)| why);
        if message.starts_with("admission webhook \"") && message.contains(" denied the request") {
            return Self::DeniedByWebhook;
        }
        if why.is_some_and(|why| why.starts_with("ValidatingAdmissionPolicy '"))
            // A MutatingAdmissionPolicy that fails.
            || (message.starts_with("policy ") && message.contains(" denied request: "))
        {
            return Self::DeniedByPolicy;
        }
        match (code, why) {
            (401, _) => Self::Unauthorized,
            (403, _) if is_namespace_terminating(status) => Self::NamespaceTerminating,
            (403, Some(why)) => Self::of_refusal(why),
            // Every refusal of kube-apiserver's own says why.
            (403, None) => Self::Unreadable,
            (404, _) => Self::NotFound,
            (409, _) => Self::Conflict,
            (410, _) => Self::Expired,
            (429, _) => Self::Throttled,
            _ => Self::Server,
        }
    }

    /// Why the API server refuses, as it says behind `forbidden: `.
    fn of_refusal(why: &str) -> Self {
        const QUOTA: [&str; 4] = [
            "exceeded quota: ",
            "failed quota: ",
            "insufficient quota to ",
            "status unknown for quota: ",
        ];
        if why.starts_with("User \"system:anonymous\" cannot ") {
            Self::Anonymous
        } else if why.starts_with("User \"") && why.contains("\" cannot ") {
            Self::Forbidden
        } else if QUOTA.iter().any(|known| why.starts_with(known)) {
            Self::QuotaExceeded
        } else if why == "not yet ready to handle request" {
            // Its admission plugins have just started.
            Self::Server
        } else {
            Self::DeniedByAdmission
        }
    }
}

/// Whether the API server names this cause: its wording is not to be relied on where there is more.
fn is_namespace_terminating(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .map(|cause| cause.reason.as_str())
        .any(|reason| reason == "NamespaceTerminating")
        || status.message.ends_with(" because it is being terminated")
}

/// A failed request: the cause, and what the server or the system said, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The cause.
    pub cause: Cause,
    message: String,
}

impl Fault {
    /// There was no answer within this time.
    #[must_use]
    pub fn late(limit: Duration) -> Self {
        let message = format!("no answer within {} s", limit.as_secs());
        Self::new(Cause::Timeout, message)
    }

    /// A fault that berth itself found.
    #[must_use]
    pub fn new(cause: Cause, message: impl AsRef<str>) -> Self {
        Self {
            cause,
            message: one_line(message.as_ref()),
        }
    }

    /// What was said, and what to do about it; `forbidden` is what to do where a right is missing.
    #[must_use]
    pub fn with_remedy(&self, forbidden: &str) -> String {
        let remedy = match self.cause {
            Cause::Forbidden => Some(forbidden),
            cause => cause.remedy(),
        };
        match remedy {
            Some(remedy) => format!("{self}; {remedy}"),
            None => self.to_string(),
        }
    }
}

fn one_line(text: &str) -> String {
    let words = fmt::from_fn(|f| {
        for (index, word) in text.split_whitespace().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(word)?;
        }
        Ok(())
    });
    // A proxy in between may say a page of HTML.
    shorten(words, LONGEST_TEXT)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {}

impl From<&Status> for Fault {
    fn from(status: &Status) -> Self {
        let Status {
            message,
            reason,
            code,
            ..
        } = status;
        if *code == 0 {
            // What kube makes of an event of a watch that it can't decode.
            return Self::new(
                Cause::Unreadable,
                "an event of a watch is not a Kubernetes object",
            );
        }
        let said = match (message.trim(), reason.as_str()) {
            ("", "") => "no reason given",
            ("", reason) => reason,
            (message, _) => message,
        };
        let cause = Cause::of_status(status);
        let advice = match cause {
            Cause::Unauthorized => {
                ": the API server does not accept the token or client certificate"
            }
            _ => "",
        };
        Self::new(cause, format!("{said} (status {code}){advice}"))
    }
}

impl From<&kube::Error> for Fault {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from(status.as_ref()),
            // The answer, or what berth asked for.
            kube::Error::SerdeError(_)
            | kube::Error::FromUtf8(_)
            | kube::Error::LinesCodecMaxLineLengthExceeded
            | kube::Error::BuildRequest(_)
            | kube::Error::HttpError(_) => Self::new(Cause::Unreadable, chain(error)),
            kube::Error::Service(source) => {
                let cause = if timed_out(source.as_ref()) {
                    Cause::Timeout
                } else {
                    Cause::Connection
                };
                Self::new(cause, chain(source.as_ref()))
            }
            other => Self::new(Cause::Connection, chain(other)),
        }
    }
}

fn timed_out(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|source| {
        source
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    })
}

/// An error with what caused it, as far as each says something that was not said before; a TLS error
/// that takes an expert to read, in words.
fn chain(error: &(dyn Error + 'static)) -> String {
    if let Some(text) = tls::explain(error) {
        let address = sources(error).find_map(|source| source.downcast_ref::<OnTheWay>());
        return match address {
            Some(address) => format!("{address}: {text}"),
            None => text,
        };
    }
    let mut text = String::new();
    for source in sources(error) {
        let said = source.to_string();
        if text.is_empty() {
            text = said;
        } else if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
    }
    text
}

pub(crate) fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_told_by_its_code_and_in_the_servers_words() {
        let forbidden = "nodes is forbidden: User \"berth\" cannot list resource \"nodes\" in API group \"\" at the cluster scope";
        for (status, cause, text) in [
            (
                Status::failure(forbidden, "Forbidden").with_code(403),
                Cause::Forbidden,
                format!("{forbidden} (status 403)"),
            ),
            (
                Status::failure("Unauthorized", "Unauthorized").with_code(401),
                Cause::Unauthorized,
                "Unauthorized (status 401): the API server does not accept the token or client certificate".to_owned(),
            ),
            (
                Status::failure("", "Expired").with_code(410),
                Cause::Expired,
                "Expired (status 410)".to_owned(),
            ),
            (
                Status::failure("", "").with_code(500),
                Cause::Server,
                "no reason given (status 500)".to_owned(),
            ),
            (
                Status::failure("", ""),
                Cause::Unreadable,
                "an event of a watch is not a Kubernetes object".to_owned(),
            ),
        ] {
            let fault = Fault::from(&kube::Error::Api(status.boxed()));
            assert_eq!((fault.cause, fault.to_string()), (cause, text));
        }
    }

    /// A Status as kube-apiserver sends it.
    fn mk_status(code: u16, reason: &str, message: &str, causes: &[&str]) -> Status {
        let causes = causes.iter().map(|reason| json!({"reason": reason}));
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": code, "reason": reason, "message": message,
            "details": {"name": "berth-tls", "kind": "secrets", "causes": causes.collect::<Vec<_>>()},
        });
        serde_json::from_value(status).unwrap()
    }

    #[expect(clippy::too_many_lines, reason = "one table")]
    #[test]
    fn refusals_are_told_apart_by_the_words_of_kube_apiserver() {
        let secret = |why: &str| format!("secrets \"berth-tls\" is forbidden: {why}");
        let policy = "ValidatingAdmissionPolicy 'labels' with binding 'labels' denied request: no";
        for (code, reason, message, causes, expect) in [
            (
                403,
                "Forbidden",
                secret(
                    "User \"system:serviceaccount:berth-system:berth\" cannot create resource \"secrets\" in API group \"\" in the namespace \"berth-system\"",
                ),
                &[][..],
                Cause::Forbidden,
            ),
            // The node authorizer, or RBAC with a binding to a role that is not there, adds to it.
            (
                403,
                "Forbidden",
                secret(
                    "User \"system:node:a\" cannot get resource \"secrets\" in API group \"\" in the namespace \"x\": no relationship found between node 'a' and this object",
                ),
                &[],
                Cause::Forbidden,
            ),
            (
                403,
                "Forbidden",
                "nodes is forbidden: User \"berth\" cannot list resource \"nodes\" in API group \"\" at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io \"berth-view\" not found".to_owned(),
                &[],
                Cause::Forbidden,
            ),
            (
                403,
                "Forbidden",
                "forbidden: User \"berth\" cannot get path \"/version\"".to_owned(),
                &[],
                Cause::Forbidden,
            ),
            (
                403,
                "Forbidden",
                "nodes is forbidden: User \"system:anonymous\" cannot list resource \"nodes\" in API group \"\" at the cluster scope".to_owned(),
                &[],
                Cause::Anonymous,
            ),
            (
                403,
                "Forbidden",
                secret(
                    "exceeded quota: compute, requested: secrets=1, used: secrets=10, limited: secrets=10",
                ),
                &[],
                Cause::QuotaExceeded,
            ),
            (
                403,
                "Forbidden",
                secret("failed quota: compute: must specify secrets"),
                &[],
                Cause::QuotaExceeded,
            ),
            (
                403,
                "Forbidden",
                secret("insufficient quota to consume: count/secrets"),
                &[],
                Cause::QuotaExceeded,
            ),
            (
                403,
                "Forbidden",
                secret("status unknown for quota: compute, resources: secrets"),
                &[],
                Cause::QuotaExceeded,
            ),
            (
                403,
                "Forbidden",
                secret("unable to create new content in namespace berth-system because it is being terminated"),
                &["NamespaceTerminating"],
                Cause::NamespaceTerminating,
            ),
            // A denial by policy has the code that the policy's author chose; Invalid is the default.
            (422, "Invalid", secret(policy), &[""], Cause::DeniedByPolicy),
            (403, "Forbidden", secret(policy), &[""], Cause::DeniedByPolicy),
            (401, "Unauthorized", secret(policy), &[""], Cause::DeniedByPolicy),
            (
                403,
                "Forbidden",
                "policy 'labels' with binding 'labels' denied request: no such key".to_owned(),
                &[""],
                Cause::DeniedByPolicy,
            ),
            // And one by a webhook any code at all.
            (
                400,
                "",
                "admission webhook \"policy.example.com\" denied the request: no owner".to_owned(),
                &[],
                Cause::DeniedByWebhook,
            ),
            (
                403,
                "Forbidden",
                "admission webhook \"policy.example.com\" denied the request without explanation"
                    .to_owned(),
                &[],
                Cause::DeniedByWebhook,
            ),
            (
                409,
                "Conflict",
                "admission webhook \"policy.example.com\" denied the request: busy".to_owned(),
                &[],
                Cause::DeniedByWebhook,
            ),
            (
                403,
                "Forbidden",
                secret("cannot set an ownerRef on a resource you can't delete: , <nil>"),
                &[],
                Cause::DeniedByAdmission,
            ),
            (
                403,
                "Forbidden",
                secret("not yet ready to handle request"),
                &[],
                Cause::Server,
            ),
            // A proxy in between.
            (
                403,
                "Failed to parse error data",
                "<html>403 Forbidden</html>".to_owned(),
                &[],
                Cause::Unreadable,
            ),
            (
                422,
                "Invalid",
                "Secret \"berth-tls\" is invalid: data: Forbidden: field is immutable when `immutable` is set"
                    .to_owned(),
                &["FieldValueForbidden"],
                Cause::Server,
            ),
        ] {
            let status = mk_status(code, reason, &message, causes);
            assert_eq!(Fault::from(&status).cause, expect, "{message}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do_and_a_missing_right_what_the_caller_says() {
        let fault = |cause| Fault::new(cause, "no").with_remedy("apply the Role x");
        assert_eq!(fault(Cause::Forbidden), "no; apply the Role x");
        assert_eq!(fault(Cause::Timeout), "no");
        assert_eq!(
            fault(Cause::QuotaExceeded),
            "no; raise the ResourceQuota of the namespace, or delete what it counts"
        );
        for cause in Cause::ALL {
            assert_eq!(cause.remedy().is_some(), cause.is_denial(), "{cause:?}");
        }
    }

    #[test]
    fn what_others_say_is_one_line_of_some_length() {
        let page = format!("<html>\n  <body>{}</body>", "x".repeat(1000));
        let fault = Fault::new(Cause::Server, "a\u{1b}[2J\u{85}b\u{202e}");
        assert_eq!(fault.to_string(), "a\\u{1b}[2J b\\u{202e}");
        let fault = Fault::new(Cause::Server, page);
        let line = fault.to_string();
        assert!(
            line.starts_with("<html> <body>xxx") && line.ends_with("x…"),
            "{line}"
        );
        assert_eq!(line.chars().count(), LONGEST_TEXT);
    }

    #[test]
    fn what_others_say_moves_no_cursor() {
        let fault = Fault::new(Cause::Server, "no\u{1b}[2J such\r\n\u{202e}node");
        assert_eq!(fault.to_string(), "no\\u{1b}[2J such \\u{202e}node");
    }

    #[test]
    fn a_tls_error_in_words_keeps_the_address() {
        let tls = rustls::Error::from(rustls::CertificateError::BadSignature);
        let error = OnTheWay {
            address: "https://10.0.0.1:6443".to_owned(),
            source: io::Error::other(tls).into(),
        };
        let text = Fault::from(&kube::Error::Service(error.into())).to_string();
        let expect =
            "https://10.0.0.1:6443: a signature in the peer's certificate chain does not verify";
        assert!(text.starts_with(expect), "{text}");
    }

    #[test]
    fn what_the_system_says_is_said_once() {
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        let nested = io::Error::other(refused());
        let fault = Fault::from(&kube::Error::Service(nested.into()));
        assert_eq!(fault, Fault::new(Cause::Connection, "connection refused"));
        let late = io::Error::new(io::ErrorKind::TimedOut, "no answer");
        let fault = Fault::from(&kube::Error::Service(late.into()));
        assert_eq!(fault, Fault::new(Cause::Timeout, "no answer"));
    }
}
