//! `AdmissionReview` of `admission.k8s.io/v1`: the request as far as it is used, and the reply.

use json_patch::Patch;
use k8s_openapi::ByteString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::decide::inject::Operation;
use crate::text::{LONGEST_NAME, shorten};
use crate::wire::Text;

const KIND: &str = "AdmissionReview";
const API_VERSION: &str = "admission.k8s.io/v1";

/// Why a body is not a review. Each is a fault of the sender, and says nothing about an object.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The body is not JSON, or not of a review's shape.
    #[error("the body is not an AdmissionReview: {0}")]
    NotAReview(#[source] serde_json::Error),
    /// The body is another kind of object.
    #[error("the body's {field} is \"{found}\", not {expected:?}")]
    WrongKind {
        /// The field.
        field: &'static str,
        /// The kind or apiVersion that came, as far as it is shown.
        found: String,
        /// What it has to be.
        expected: &'static str,
    },
    /// `request` is missing or null.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// The `request` lacks something that every review has.
    #[error("the request of the AdmissionReview is not readable: {0}")]
    BadRequest(#[source] serde_json::Error),
    /// A reply to this could not be matched.
    #[error("the request of the AdmissionReview has an empty uid")]
    EmptyUid,
}

/// A request for admission.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// To be echoed.
    #[serde(borrow)]
    pub uid: Text<'a>,
    /// What the object is.
    pub kind: GroupKind<'a>,
    /// The name, where it is known already.
    pub name: Option<Text<'a>>,
    /// The namespace; empty for what has none.
    pub namespace: Option<Text<'a>>,
    sub_resource: Option<Text<'a>>,
    /// What is about to happen.
    #[serde(with = "OperationName")]
    pub operation: Operation,
    /// The object as it came.
    pub object: Option<&'a RawValue>,
    /// The object as it is stored, for an update.
    pub old_object: Option<&'a RawValue>,
    /// Read only where it matters.
    user_info: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct UserInfo<'a> {
    #[serde(borrow)]
    username: Text<'a>,
}

/// A kind without its version.
#[derive(Debug, Deserialize)]
pub struct GroupKind<'a> {
    /// The API group; empty for the core group.
    #[serde(borrow, default)]
    pub group: Text<'a>,
    /// The kind.
    pub kind: Text<'a>,
}

#[derive(Deserialize)]
#[serde(remote = "Operation", rename_all = "SCREAMING_SNAKE_CASE")]
enum OperationName {
    Create,
    Update,
    Delete,
    Connect,
}

impl<'a> Request<'a> {
    /// The name of the user who makes the request, where it is given.
    #[must_use]
    pub fn username(&self) -> Option<Text<'a>> {
        let UserInfo { username } = super::read_object(self.user_info?.get()).ok()?;
        Some(username)
    }

    /// Whether it happens to a subresource.
    #[must_use]
    pub fn is_subresource(&self) -> bool {
        self.sub_resource
            .as_ref()
            .is_some_and(|s| !s.as_str().is_empty())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    #[serde(borrow, default)]
    kind: Text<'a>,
    #[serde(default)]
    api_version: Text<'a>,
    request: Option<&'a RawValue>,
}

/// Reads a review's request.
pub fn read(body: &str) -> Result<Request<'_>, ReviewError> {
    let Review {
        kind,
        api_version,
        request,
    } = super::read_object(body).map_err(ReviewError::NotAReview)?;
    for (field, found, expected) in [
        ("kind", kind, KIND),
        ("apiVersion", api_version, API_VERSION),
    ] {
        if found.as_str() != expected {
            return Err(ReviewError::WrongKind {
                field,
                found: shorten(found.as_str(), LONGEST_NAME),
                expected,
            });
        }
    }
    let request = request.ok_or(ReviewError::NoRequest)?;
    let request: Request<'_> =
        super::read_object(request.get()).map_err(ReviewError::BadRequest)?;
    if request.uid.as_str().is_empty() {
        return Err(ReviewError::EmptyUid);
    }
    Ok(request)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    kind: &'static str,
    api_version: &'static str,
    response: Response<'a>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<ByteString>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

#[derive(Serialize)]
struct Status<'a> {
    #[serde(rename = "status")]
    kind: &'static str,
    message: &'a str,
    reason: &'static str,
    code: u16,
}

/// A reply that allows the object, with what is to be changed and said.
#[must_use]
pub fn allow(uid: &str, patch: Option<&Patch>, warnings: &[String]) -> Vec<u8> {
    let patch = patch.map(super::encode);
    reply(Response {
        uid,
        allowed: true,
        patch_type: patch.is_some().then_some("JSONPatch"),
        patch: patch.map(ByteString),
        warnings,
        ..Response::default()
    })
}

/// A reply that refuses the object, with the reason.
#[must_use]
pub fn deny(uid: &str, message: &str) -> Vec<u8> {
    reply(Response {
        uid,
        status: Some(Status {
            kind: "Failure",
            message,
            reason: "Forbidden",
            code: 403,
        }),
        ..Response::default()
    })
}

fn reply(response: Response<'_>) -> Vec<u8> {
    super::encode(&Reply {
        kind: KIND,
        api_version: API_VERSION,
        response,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(body: &str, expect: &str) {
        assert_eq!(read(body).unwrap_err().to_string(), expect, "{body}");
    }

    #[test]
    fn what_is_no_review_says_what_it_is() {
        for (body, expect) in [
            (
                "",
                "the body is not an AdmissionReview: EOF while parsing a value at line 1 column 0",
            ),
            (
                "hello",
                "the body is not an AdmissionReview: expected value at line 1 column 1",
            ),
            (
                "[]",
                "the body is not an AdmissionReview: expected an object, not an array",
            ),
            (
                "7",
                "the body is not an AdmissionReview: invalid type: integer `7`, expected struct Review at line 1 column 1",
            ),
            (
                r#"{"kind":"AdmissionReview""#,
                "the body is not an AdmissionReview: EOF while parsing an object at line 1 column 25",
            ),
            (
                r#"{"kind":"Pod","apiVersion":"v1"}"#,
                r#"the body's kind is "Pod", not "AdmissionReview""#,
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","request":{}}"#,
                r#"the body's apiVersion is "admission.k8s.io/v1beta1", not "admission.k8s.io/v1""#,
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}"#,
                "the AdmissionReview has no request",
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":null}"#,
                "the AdmissionReview has no request",
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{}}"#,
                "the request of the AdmissionReview is not readable: missing field `uid` at line 1 column 2",
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"","kind":{"kind":"Pod"},"operation":"CREATE"}}"#,
                "the request of the AdmissionReview has an empty uid",
            ),
            (
                r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","kind":{"kind":"Pod"},"operation":"PATCH"}}"#,
                "the request of the AdmissionReview is not readable: unknown variant `PATCH`, expected one of `CREATE`, `UPDATE`, `DELETE`, `CONNECT` at line 1 column 52",
            ),
            (
                r#"{"kind":"AdmissionReview","kind":"AdmissionReview"}"#,
                "the body is not an AdmissionReview: duplicate field `kind` at line 1 column 32",
            ),
        ] {
            check_error(body, expect);
        }
    }

    #[test]
    fn a_request_is_read_whatever_the_order_of_its_fields() {
        for request in [
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"7","kind":{"kind":"Pod"},"operation":"CREATE","object":{}}}"#,
            r#" { "request" : { "operation" : "DELETE" , "kind" : { "kind" : "" } , "uid" : "\u0037" } , "more" : [ ] , "apiVersion" : "admission.k8s.io/v1" , "kind" : "AdmissionReview" } "#,
        ] {
            assert_eq!(read(request).unwrap().uid.as_str(), "7", "{request}");
        }
    }

    #[test]
    fn a_reply_is_exactly_this() {
        let reply = String::from_utf8(allow("3c38", None, &[])).unwrap();
        assert_eq!(
            reply,
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"3c38","allowed":true}}"#
        );
        let patch: Patch = serde_json::from_str(r#"[{"op":"add","path":"/a","value":1}]"#).unwrap();
        let reply = String::from_utf8(allow("3c38", Some(&patch), &["mind".to_owned()])).unwrap();
        assert_eq!(
            reply,
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"3c38","allowed":true,"patchType":"JSONPatch","patch":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL2EiLCJ2YWx1ZSI6MX1d","warnings":["mind"]}}"#
        );
        let reply = String::from_utf8(deny("3c38", "no")).unwrap();
        assert_eq!(
            reply,
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"3c38","allowed":false,"status":{"status":"Failure","message":"no","reason":"Forbidden","code":403}}}"#
        );
    }

    #[test]
    fn a_user_name_that_cannot_be_read_counts_as_not_given() {
        for (user_info, expect) in [
            (r#"{"username":"admin","groups":[]}"#, Some("admin")),
            (r#"{"groups":[]}"#, None),
            (r#"{"username":7}"#, None),
            (r#"["admin"]"#, None),
            ("null", None),
        ] {
            let review = format!(
                r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"7","kind":{{"kind":"Pod"}},"operation":"CREATE","userInfo":{user_info}}}}}"#
            );
            let username = read(&review).unwrap().username();
            assert_eq!(username.as_ref().map(Text::as_str), expect, "{user_info}");
        }
    }
}
