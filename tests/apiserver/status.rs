//! Refusals, worded as kube-apiserver words them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use super::kinds::Kind;
use super::reply;

/// The group that options belong to.
const META: &str = "meta.k8s.io";

/// The object that says what went wrong, in the real one's order of fields.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    metadata: Map<String, Value>,
    #[serde(rename = "status")]
    outcome: &'static str,
    message: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    pub(crate) code: u16,
}

#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

#[derive(Debug, Clone, Serialize)]
struct Cause {
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    message: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'static str,
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            kind: "Status",
            api_version: "v1",
            metadata: Map::new(),
            outcome: "Failure",
            message: message.into(),
            reason,
            details: None,
            code,
        })
    }

    fn about(mut self: Box<Self>, kind: &Kind, name: &str) -> Box<Self> {
        self.details = Some(Details {
            name: name.to_owned(),
            group: kind.group.to_owned(),
            kind: kind.plural.to_owned(),
            ..Details::default()
        });
        self
    }

    fn retry_after(mut self: Box<Self>, seconds: u32) -> Box<Self> {
        let details = self.details.get_or_insert_default();
        details.retry_after_seconds = Some(seconds);
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Box<Self> {
        Self::new(400, "BadRequest", message)
    }

    /// A parameter that should be a number.
    pub(crate) fn not_a_number(text: &str) -> Box<Self> {
        Self::bad_request(format!(
            r#"strconv.ParseInt: parsing "{text}": invalid syntax"#
        ))
    }

    /// A resourceVersion that is none. A list is refused as a bad request, a watch is not.
    pub(crate) fn not_a_version(text: &str, listing: bool) -> Box<Self> {
        let message = format!(
            r#"resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax"#
        );
        if listing {
            Self::bad_request(format!("invalid resource version: {message}"))
        } else {
            Self::new(500, "", message)
        }
    }

    pub(crate) fn unauthorized() -> Box<Self> {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Box<Self> {
        let qualified = match group {
            "" => resource.to_owned(),
            group => format!("{resource}.{group}"),
        };
        let message = match (resource, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{qualified} is forbidden: {why}"),
            (_, name) => format!(r#"{qualified} "{name}" is forbidden: {why}"#),
        };
        let mut status = Self::new(403, "Forbidden", message);
        status.details = Some(Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: resource.to_owned(),
            ..Details::default()
        });
        status
    }

    /// With one more cause in its details.
    pub(crate) fn because(
        mut self: Box<Self>,
        reason: &'static str,
        message: &str,
        field: &'static str,
    ) -> Box<Self> {
        self.details.get_or_insert_default().causes.push(Cause {
            reason,
            message: message.to_owned(),
            field,
        });
        self
    }

    /// A policy's author chooses the reason, and with it the code.
    pub(crate) fn with_code(mut self: Box<Self>, code: u16, reason: &'static str) -> Box<Self> {
        self.code = code;
        self.reason = reason;
        self
    }

    /// What a webhook answers, with words of the server's own before it.
    pub(crate) fn denied_by_webhook(code: u16, webhook: &str, why: &str) -> Box<Self> {
        let message = format!("admission webhook \"{webhook}\" denied the request: {why}");
        Self::new(code, "", message)
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Box<Self> {
        let message = format!(r#"{} "{name}" not found"#, kind.resource());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    /// A path that a built-in group does not have.
    pub(crate) fn no_such_path() -> Box<Self> {
        let message = "the server could not find the requested resource";
        let mut status = Self::new(404, "NotFound", message);
        status.details = Some(Details::default());
        status
    }

    pub(crate) fn method_not_allowed() -> Box<Self> {
        let message = "the server does not allow this method on the requested resource";
        let mut status = Self::new(405, "MethodNotAllowed", message);
        status.details = Some(Details::default());
        status
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Box<Self> {
        let message = format!(r#"{} "{name}" already exists"#, kind.resource());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Box<Self> {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Box<Self> {
        let resource = kind.resource();
        let message = format!(r#"Operation cannot be fulfilled on {resource} "{name}": {why}"#);
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// A binding of a pod that can't be bound.
    pub(crate) fn binding_conflict(pod: &str, why: &str) -> Box<Self> {
        let message = format!(r#"Operation cannot be fulfilled on pods/binding "{pod}": {why}"#);
        let mut status = Self::new(409, "Conflict", message);
        status.details = Some(Details {
            name: pod.to_owned(),
            kind: "pods/binding".to_owned(),
            ..Details::default()
        });
        status
    }

    /// A deletion of another object than the one that is there. It names the kind, not the resource.
    pub(crate) fn precondition(kind: &Kind, name: &str, why: &str) -> Box<Self> {
        let qualified = kind.qualified_kind();
        let message = format!(r#"Operation cannot be fulfilled on {qualified} "{name}": {why}"#);
        let mut status = Self::new(409, "Conflict", message);
        status.details = Some(Details {
            name: name.to_owned(),
            group: kind.group.to_owned(),
            kind: kind.name.to_owned(),
            ..Details::default()
        });
        status
    }

    pub(crate) fn expired(message: impl Into<String>) -> Box<Self> {
        Self::new(410, "Expired", message)
    }

    /// A list that can be continued, though not at the state that it began with.
    pub(crate) fn expired_continue(token: String) -> Box<Self> {
        let mut status = Self::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        );
        status.metadata.insert("continue".to_owned(), token.into());
        status
    }

    /// A patch of no known type is refused before anybody looks at the resource.
    pub(crate) fn unknown_media_type() -> Box<Self> {
        let message = "415: Unsupported Media Type";
        let mut status = Self::new(415, "UnsupportedMediaType", message);
        status.details = Some(Details::default());
        status
    }

    pub(crate) fn unsupported_media_type(accepted: &[&str]) -> Box<Self> {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                accepted.join(", ")
            ),
        )
    }

    /// A new object that has neither a name nor the beginning of one.
    pub(crate) fn nameless(kind: &Kind) -> Box<Self> {
        let why = "Required value: name or generateName is required";
        let subject = (kind.group, kind.name, "");
        Self::invalid(subject, "metadata.name", "FieldValueRequired", why)
    }

    /// An update of a kind that wants to know what it is an update of.
    pub(crate) fn unversioned(kind: &Kind, name: &str) -> Box<Self> {
        let why = "Invalid value: 0: must be specified for an update";
        let subject = (kind.group, kind.plural, name);
        let field = "metadata.resourceVersion";
        Self::invalid(subject, field, "FieldValueInvalid", why)
    }

    /// Parameters of a list or watch that don't go together.
    pub(crate) fn bad_match(why: &str) -> Box<Self> {
        let why = format!("Forbidden: {why}");
        let field = "resourceVersionMatch";
        Self::invalid(
            (META, "ListOptions", ""),
            field,
            "FieldValueForbidden",
            &why,
        )
    }

    pub(crate) fn no_field_manager() -> Box<Self> {
        let why = "Required value: is required for apply patch";
        let subject = (META, "PatchOptions", "");
        Self::invalid(subject, "fieldManager", "FieldValueRequired", why)
    }

    /// What a request is dry of is everything or nothing.
    pub(crate) fn no_dry_run(asked: &str) -> Box<Self> {
        let why = format!(r#"Unsupported value: "{asked}": supported values: "All""#);
        let subject = (META, "PatchOptions", "");
        Self::invalid(subject, "dryRun", "FieldValueNotSupported", &why)
    }

    /// A field that can't be as it is, of a subject with a group, a kind and a name.
    fn invalid(
        subject: (&str, &str, &str),
        field: &'static str,
        reason: &'static str,
        why: &str,
    ) -> Box<Self> {
        let (group, kind, name) = subject;
        let qualified = match group {
            "" => kind.to_owned(),
            group => format!("{kind}.{group}"),
        };
        let message = format!(r#"{qualified} "{name}" is invalid: {field}: {why}"#);
        let mut status = Self::new(422, "Invalid", message);
        status.details = Some(Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            causes: vec![Cause {
                reason,
                message: why.to_owned(),
                field,
            }],
            ..Details::default()
        });
        status
    }

    /// A JSON Patch that does not apply: the real one keeps the reason to itself.
    pub(crate) fn patch_failed() -> Box<Self> {
        let message = "the server rejected our request due to an error in our request";
        let mut status = Self::new(422, "Invalid", message);
        status.details = Some(Details::default());
        status
    }

    /// A Service's address that the cluster can't assign, as a dry run is told.
    pub(crate) fn address_out_of_range(address: &str) -> Box<Self> {
        let why = format!(
            r#"Invalid value: ["{address}"]: failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. The range of valid IPs is 10.96.0.0/12"#
        );
        let subject = ("", "Service", "berth-check-x2x4z");
        Self::invalid(subject, "spec.clusterIPs", "FieldValueInvalid", &why)
    }

    pub(crate) fn version_on_create() -> Box<Self> {
        let message = "resourceVersion should not be set on objects to be created";
        Self::new(500, "", message)
    }

    pub(crate) fn too_large(limit: usize) -> Box<Self> {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    pub(crate) fn too_large_revision(asked: u64, current: u64) -> Box<Self> {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let mut status = Self::new(504, "Timeout", message).retry_after(1);
        let details = status.details.get_or_insert_default();
        details.causes.push(Cause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".to_owned(),
            field: "",
        });
        status
    }

    /// What a custom resource answers in its first moments.
    pub(crate) fn initializing() -> Box<Self> {
        let message = "storage is (re)initializing";
        Self::new(429, "TooManyRequests", message).retry_after(1)
    }

    pub(crate) fn service_unavailable() -> Box<Self> {
        let message = "the request has been made before all known HTTP paths have been installed, please try again";
        Self::new(503, "ServiceUnavailable", message).retry_after(1)
    }

    pub(crate) fn timed_out() -> Box<Self> {
        let message = "Timeout: request did not complete within the allotted timeout";
        let mut status = Self::new(504, "Timeout", message);
        status.details = Some(Details::default());
        status
    }

    /// An error of etcd's, passed on without a reason.
    pub(crate) fn storage_failed(code: u16) -> Box<Self> {
        Self::new(code, "", "etcdserver: request timed out")
    }

    /// The JSON of what a deletion answers.
    pub(crate) fn deleted(kind: &Kind, name: &str, uid: &str) -> String {
        let group = match kind.group {
            "" => String::new(),
            group => format!(r#""group":"{group}","#),
        };
        let plural = kind.plural;
        let details = format!(r#"{{"name":"{name}",{group}"kind":"{plural}","uid":"{uid}"}}"#);
        let head = r#""kind":"Status","apiVersion":"v1","metadata":{},"status":"Success""#;
        format!(r#"{{{head},"details":{details}}}"#)
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).unwrap()
    }

    pub(crate) fn response(&self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap();
        let mut response = reply::json(code, self.json());
        let headers = response.headers_mut();
        if self.code == 403 {
            headers.insert(
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            );
        }
        let details = self.details.as_ref();
        if let Some(seconds) = details.and_then(|details| details.retry_after_seconds) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
