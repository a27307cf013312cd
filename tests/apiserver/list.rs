//! Lists: of one revision, whole or in pages that stay at the revision of the first.

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::form::Form;
use super::kinds::{Kind, Origin};
use super::reply;
use super::request::Request;
use super::selector::Selector;
use super::status::Status;
use super::store::Store;

/// Where the next page begins. A negative revision stands for the present.
#[derive(Serialize, Deserialize)]
struct Continue {
    v: String,
    rv: i64,
    start: String,
}

impl Continue {
    fn encode(revision: i64, start: String) -> String {
        let token = Self {
            v: "meta.k8s.io/v1".to_owned(),
            rv: revision,
            start,
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_string(&token).unwrap())
    }

    fn decode(token: &str) -> Result<Self, Box<Status>> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| Status::bad_request("invalid continue token: continue key is not valid"))
    }
}

pub(crate) fn list(
    store: &Store,
    kind: &Kind,
    form: Form,
    request: &Request,
) -> Result<Response, Box<Status>> {
    let selector = Selector::of(kind, request)?;
    let limit = match request.parameter("limit") {
        // The watch cache answers this one, and it knows no pages.
        Some(_) if request.parameter("resourceVersion") == Some("0") => None,
        Some(limit) => Some(limit.parse().map_err(|_| Status::not_a_number(limit))?),
        None => None,
    };
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let (revision, from) = begin(store, request, limit != usize::MAX)?;

    let objects = store.table(kind).objects_at(revision, &from);
    let mut objects = objects.map_err(|_| match request.parameter("continue") {
        Some(_) => Status::expired_continue(Continue::encode(-1, from)),
        None => Status::expired("The resourceVersion for the provided list is too old."),
    })?;
    objects.retain(|object| selector.covers(object));

    let mut taken = 0;
    let mut seen = 0;
    let mut items = String::new();
    for object in &objects {
        if taken == limit {
            break;
        }
        seen += 1;
        if selector.matches(object) {
            if taken > 0 {
                items.push(',');
            }
            match form {
                Form::Whole => object.write_item(&mut items),
                Form::Metadata => items.push_str(&form.of(object)),
            }
            taken += 1;
        }
    }
    let more = objects.len() - seen;
    let page = Page {
        revision,
        next: (more > 0).then(|| {
            Continue::encode(
                revision.cast_signed(),
                format!("{}\0", objects[seen - 1].key),
            )
        }),
        remaining: (more > 0 && selector.is_empty()).then_some(more),
    };
    Ok(reply::json(StatusCode::OK, page.write(kind, form, &items)))
}

/// The revision to list, and the key to begin at.
fn begin(store: &Store, request: &Request, paged: bool) -> Result<(u64, String), Box<Status>> {
    let now = store.revision();
    let asked = request.parameter("resourceVersion");
    if let Some(token) = request.parameter("continue") {
        if asked.is_some_and(|asked| asked != "0") {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let token = Continue::decode(token)?;
        return Ok((u64::try_from(token.rv).unwrap_or(now), token.start));
    }
    let matching = request.parameter("resourceVersionMatch");
    let asked = match (asked, matching) {
        (None, None) => return Ok((now, String::new())),
        (None, Some(_)) => {
            return Err(Status::bad_match(
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        (Some(asked), _) => asked
            .parse()
            .map_err(|_| Status::not_a_version(asked, true))?,
    };
    if asked > now {
        return Err(Status::too_large_revision(asked, now));
    }
    let exact = match matching {
        Some("Exact") => true,
        Some(_) => false,
        None => paged && asked > 0,
    };
    Ok((if exact { asked } else { now }, String::new()))
}

struct Page {
    revision: u64,
    next: Option<String>,
    remaining: Option<usize>,
}

impl Page {
    fn write(&self, kind: &Kind, form: Form, items: &str) -> String {
        let Self {
            revision,
            next,
            remaining,
        } = self;
        let (name, api_version) = form.type_of(kind);
        let remaining = remaining
            .map(|count| format!(r#","remainingItemCount":{count}"#))
            .unwrap_or_default();
        match kind.origin {
            Origin::CustomResource if form == Form::Whole => {
                let next = next.as_deref().unwrap_or_default();
                format!(
                    r#"{{"apiVersion":"{api_version}","items":[{items}],"kind":"{name}List","metadata":{{"continue":"{next}"{remaining},"resourceVersion":"{revision}"}}}}"#
                )
            }
            _ => {
                let next = next
                    .as_ref()
                    .map(|next| format!(r#","continue":"{next}""#))
                    .unwrap_or_default();
                format!(
                    r#"{{"kind":"{name}List","apiVersion":"{api_version}","metadata":{{"resourceVersion":"{revision}"{next}{remaining}}},"items":[{items}]}}"#
                )
            }
        }
    }
}
