//! Questions about rights: what a caller, or somebody else, may do.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::faults::Faults;
use super::reply;
use super::request::{Request, Verb};
use super::status::Status;

const GROUP: &str = "authorization.k8s.io";

/// Answers a review, if the request is one.
pub(crate) fn review(
    faults: &Faults,
    request: &Request,
    body: &[u8],
) -> Option<Result<Response, Box<Status>>> {
    if request.group != GROUP || request.verb != Verb::Create {
        return None;
    }
    let is_own = match request.resource.as_str() {
        "selfsubjectaccessreviews" => true,
        "subjectaccessreviews" => false,
        _ => return None,
    };
    let Ok(mut review) = serde_json::from_slice::<Value>(body) else {
        let message = "the object provided is unrecognized (must be of type SubjectAccessReview)";
        return Some(Err(Status::bad_request(message)));
    };
    let asked = &review["spec"]["resourceAttributes"];
    let text = |field: &str| asked[field].as_str().unwrap_or_default();
    let resource = match text("subresource") {
        "" => text("resource").to_owned(),
        subresource => format!("{}/{subresource}", text("resource")),
    };
    let allowed = if is_own {
        !faults.denies_caller(text("verb"), &resource)
    } else {
        !faults.denies_account(text("verb"), &resource)
    };
    review["status"] = json!({ "allowed": allowed });
    Some(Ok(reply::json(StatusCode::CREATED, review.to_string())))
}
