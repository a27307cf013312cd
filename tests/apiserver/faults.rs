//! What can go wrong on request: answers that fail, answers that never come, and verbs denied.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use super::request::{Request, Verb};
use super::status::Status;

/// Who asks, as refusals name it.
const USER: &str = "system:serviceaccount:kube-system:berth";

/// A fault and the requests that it strikes: all until it is taken away, unless it says less.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    effect: Effect,
    verb: Option<Verb>,
    resource: Option<&'static str>,
    spared: usize,
    times: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Effect {
    Status(u16),
    /// The 429 of a custom resource that was installed a moment ago.
    Initializing,
    /// Admission denies it.
    Denied(Denial),
    /// No answer for as long as there is any fault.
    Hang,
}

/// What denies a request that RBAC allows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Denial {
    Quota,
    TerminatingNamespace,
    Policy,
    /// With the status that it chooses.
    Webhook(u16),
    /// A plugin of the server's own.
    Plugin,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    list: Vec<Fault>,
    denied: Vec<(Verb, String)>,
    /// What service accounts may not do.
    denied_accounts: Vec<(Verb, String)>,
}

impl Fault {
    pub(crate) fn status(status: u16) -> Self {
        Self::new(Effect::Status(status))
    }

    pub(crate) fn initializing() -> Self {
        Self::new(Effect::Initializing)
    }

    pub(crate) fn over_quota() -> Self {
        Self::new(Effect::Denied(Denial::Quota))
    }

    pub(crate) fn in_terminating_namespace() -> Self {
        Self::new(Effect::Denied(Denial::TerminatingNamespace))
    }

    pub(crate) fn denied_by_policy() -> Self {
        Self::new(Effect::Denied(Denial::Policy))
    }

    /// With the status that the webhook chooses.
    pub(crate) fn denied_by_webhook(status: u16) -> Self {
        Self::new(Effect::Denied(Denial::Webhook(status)))
    }

    /// By an admission plugin of the server's own.
    pub(crate) fn denied_by_plugin() -> Self {
        Self::new(Effect::Denied(Denial::Plugin))
    }

    pub(crate) fn hang() -> Self {
        Self::new(Effect::Hang)
    }

    fn new(effect: Effect) -> Self {
        Self {
            effect,
            verb: None,
            resource: None,
            spared: 0,
            times: usize::MAX,
        }
    }

    pub(crate) fn verb(self, verb: Verb) -> Self {
        Self {
            verb: Some(verb),
            ..self
        }
    }

    pub(crate) fn resource(self, resource: &'static str) -> Self {
        Self {
            resource: Some(resource),
            ..self
        }
    }

    /// It lets so many pass first.
    pub(crate) fn after(self, spared: usize) -> Self {
        Self { spared, ..self }
    }

    pub(crate) fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    fn strikes(&self, request: &Request) -> bool {
        self.times > 0
            && self.verb.is_none_or(|verb| verb == request.verb)
            && self
                .resource
                .is_none_or(|resource| resource == request.resource)
    }
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.list.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    pub(crate) fn is_clear(&self) -> bool {
        self.list.is_empty()
    }

    /// The first fault that strikes, used up by one.
    pub(crate) fn strike(&mut self, request: &Request) -> Option<Effect> {
        let fault = self.list.iter_mut().find(|fault| fault.strikes(request))?;
        if fault.spared > 0 {
            fault.spared -= 1;
            return None;
        }
        fault.times -= 1;
        Some(fault.effect)
    }

    /// The resource is written as RBAC writes it: `nodes`, `nodes/status`, `*`.
    pub(crate) fn deny(&mut self, verb: Verb, resource: &str) {
        self.denied.push((verb, resource.to_owned()));
    }

    pub(crate) fn deny_accounts(&mut self, verb: Verb, resource: &str) {
        self.denied_accounts.push((verb, resource.to_owned()));
    }

    /// Whether the caller may not do this, as a review names it.
    pub(crate) fn denies_caller(&self, verb: &str, resource: &str) -> bool {
        names(&self.denied, verb, resource)
    }

    /// Whether a service account may not do this.
    pub(crate) fn denies_account(&self, verb: &str, resource: &str) -> bool {
        names(&self.denied_accounts, verb, resource)
    }

    pub(crate) fn allow(&mut self, verb: Verb, resource: &str) {
        self.denied
            .retain(|denied| *denied != (verb, resource.to_owned()));
    }

    pub(crate) fn denies(&self, request: &Request) -> bool {
        let resource = rbac_resource(request);
        self.denied
            .iter()
            .any(|(verb, denied)| *verb == request.verb && (denied == "*" || *denied == resource))
    }
}

fn names(denied: &[(Verb, String)], verb: &str, resource: &str) -> bool {
    denied
        .iter()
        .any(|(own, denied)| own.to_string() == verb && (denied == "*" || *denied == resource))
}

fn rbac_resource(request: &Request) -> String {
    match request.subresource.as_str() {
        "" => request.resource.clone(),
        subresource => format!("{}/{subresource}", request.resource),
    }
}

/// A failed answer as the real server gives it.
pub(crate) fn failed(code: u16, request: &Request) -> Response {
    let status = match code {
        401 => Status::unauthorized(),
        403 => forbidden(request),
        410 => Status::expired("The resourceVersion for the provided list is too old."),
        429 => {
            // Flow control answers before anything that speaks in Status objects.
            return Response::builder()
                .status(StatusCode::TOO_MANY_REQUESTS)
                .header(header::RETRY_AFTER, 1)
                .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
                .body(Body::from("Too many requests, please try again later.\n"))
                .unwrap();
        }
        503 => Status::service_unavailable(),
        504 => Status::timed_out(),
        code => Status::storage_failed(code),
    };
    status.response()
}

/// RBAC's refusal.
pub(crate) fn forbidden(request: &Request) -> Box<Status> {
    let Request {
        verb,
        path,
        group,
        resource,
        name,
        ..
    } = request;
    if resource.is_empty() {
        let why = format!(r#"User "{USER}" cannot {verb} path "{path}""#);
        return Status::forbidden(group, resource, name, &why);
    }
    // RBAC takes a namespace to be in itself.
    let itself = (resource == "namespaces" && !name.is_empty()).then_some(name);
    let scope = match request.namespace.as_ref().or(itself) {
        Some(namespace) => format!(r#"in the namespace "{namespace}""#),
        None => "at the cluster scope".to_owned(),
    };
    let why = format!(
        r#"User "{USER}" cannot {verb} resource "{}" in API group "{group}" {scope}"#,
        rbac_resource(request)
    );
    Status::forbidden(group, resource, name, &why)
}

/// Admission's denial. A new object is named by what is in the body.
pub(crate) fn denied(denial: Denial, request: &Request, body: &[u8]) -> Box<Status> {
    let Request {
        group,
        resource,
        name,
        namespace,
        ..
    } = request;
    let namespace = namespace.as_deref().unwrap_or_default();
    let object: Value = serde_json::from_slice(body).unwrap_or_default();
    let name = match object["metadata"]["name"].as_str() {
        Some(given) if name.is_empty() => given,
        _ => name,
    };
    let forbidden = |why: &str| Status::forbidden(group, resource, name, why);
    match denial {
        Denial::Quota => forbidden(&format!(
            "exceeded quota: objects, requested: count/{resource}=1, used: count/{resource}=10, limited: count/{resource}=10"
        )),
        Denial::TerminatingNamespace => forbidden(&format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        ))
        .because(
            "NamespaceTerminating",
            &format!("namespace {namespace} is being terminated"),
            "metadata.namespace",
        ),
        Denial::Policy => {
            let why = "ValidatingAdmissionPolicy 'owners' with binding 'owners' denied request: an owner is missing";
            forbidden(why)
                .because("", why, "")
                .with_code(422, "Invalid")
        }
        Denial::Webhook(code) => {
            Status::denied_by_webhook(code, "owners.example.com", "an owner is missing")
        }
        Denial::Plugin => {
            forbidden("cannot set an ownerRef on a resource you can't delete: , <nil>")
        }
    }
}
