//! What is wrong gets a clear answer, from the router itself; `hostile` has what is wrong with the
//! connection.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::support::{Asked, capture, capture_json, cluster};

const REVIEW: &str = "the body is not an AdmissionReview";
const ARGS: &str = "the body is not ExtenderArgs";

/// Posts a body and checks status and the beginning of the text, then that a good request is still
/// answered.
async fn check(path: &str, body: impl Into<Body>, status: u16, text: &str) {
    let asked = Asked::new(
        &cluster(),
        "limits: {admissionBody: 1Mi, extenderBody: 1Mi}",
    );
    let (got, said) = asked.post(path, body).await;
    let shown: String = said.chars().take(200).collect();
    assert_eq!(got.as_u16(), status, "{shown}");
    assert!(said.starts_with(&format!("berth: {text}")), "{shown}");
    let good = capture("admission-create-vm-bridge");
    assert_eq!(asked.post("/mutate", good).await.0.as_u16(), 200);
}

#[tokio::test]
async fn a_body_that_is_not_of_the_protocol_is_a_400_that_says_what_it_is() {
    for (path, what) in [("/mutate", REVIEW), ("/scheduler/filter", ARGS)] {
        check(path, "", 400, &format!("{what}: EOF while parsing a value")).await;
        check(path, "hello", 400, &format!("{what}: expected value")).await;
        check(
            path,
            "[]",
            400,
            &format!("{what}: expected an object, not an array"),
        )
        .await;
        check(
            path,
            "{\"a\":\"\u{0}\"}",
            400,
            &format!("{what}: control character"),
        )
        .await;
        check(
            path,
            &b"{\"a\":\"\xff\"}"[..],
            400,
            "the body is not JSON: invalid utf-8",
        )
        .await;
        check(
            path,
            &b"\xef\xbb\xbf{}"[..],
            400,
            &format!("{what}: expected value"),
        )
        .await;
        let good = capture(if path == "/mutate" {
            "admission-create-vm-bridge"
        } else {
            "filter-names-migration"
        });
        let half = good[..good.len() / 2].to_owned();
        check(path, half, 400, &format!("{what}: EOF while parsing")).await;
        check(
            path,
            format!("{good}{good}"),
            400,
            &format!("{what}: trailing characters"),
        )
        .await;
    }
}

#[tokio::test]
async fn nesting_without_end_is_refused_or_skipped_and_never_overflows_the_stack() {
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    for (path, what) in [("/mutate", REVIEW), ("/scheduler/filter", ARGS)] {
        check(path, "[".repeat(100_000), 400, what).await;
        check(path, deep("[", "]"), 400, what).await;
        check(path, "{\"a\":".repeat(100_000), 400, what).await;
    }
    let kind = format!("{{\"kind\":{}}}", deep("[", "]"));
    check("/mutate", kind, 400, REVIEW).await;
    // Where berth does not look, depth is none of its business; where it looks, it is no object.
    let asked = Asked::new(&cluster(), "");
    for pointer in [
        "/request/object/spec/unknown",
        "/request/object/spec/template",
    ] {
        let mut review = capture_json("admission-create-vm-bridge");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        review.pointer_mut(parent).unwrap()[key] = json!("DEEP");
        let body = review.to_string().replace("\"DEEP\"", &deep("[", "]"));
        let reply = asked.ask("/mutate", body).await;
        assert_eq!(reply["response"]["allowed"], true);
        assert_eq!(reply["response"].get("patch").is_some(), key == "unknown");
    }
}

#[tokio::test]
async fn another_version_or_kind_is_named() {
    for (field, value) in [
        ("apiVersion", "admission.k8s.io/v1beta1"),
        ("apiVersion", "v1"),
        ("kind", "ConversionReview"),
        ("kind", ""),
    ] {
        let mut review = capture_json("admission-create-vm-bridge");
        review[field] = json!(value);
        check(
            "/mutate",
            review.to_string(),
            400,
            &format!("the body's {field} is {value:?}, not "),
        )
        .await;
    }
}

#[tokio::test]
async fn a_key_that_comes_twice_is_refused_where_it_matters() {
    let review = capture("admission-create-vm-bridge");
    let twice = review.replacen("{\"kind\"", "{\"kind\":\"AdmissionReview\",\"kind\"", 1);
    check(
        "/mutate",
        twice,
        400,
        "the body is not an AdmissionReview: duplicate field `kind`",
    )
    .await;
    let args = capture("filter-names-migration");
    let twice = args.replacen("{\"Pod\"", "{\"Pod\":null,\"Pod\"", 1);
    check(
        "/scheduler/filter",
        twice,
        400,
        "the body is not ExtenderArgs: duplicate field `Pod`",
    )
    .await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413_that_names_the_limit() {
    let body = " ".repeat((1 << 20) + 1);
    for (path, field) in [
        ("/mutate", "admissionBody"),
        ("/scheduler/filter", "extenderBody"),
    ] {
        let text = format!("the body is larger than the limit of 1048576 bytes (limits.{field})");
        check(path, body.clone(), 413, &text).await;
    }
}

#[tokio::test]
async fn wrong_paths_and_methods_say_what_there_is() {
    let asked = Asked::new(&cluster(), "");
    for (method, path, status, text) in [
        (
            Method::GET,
            "/mutate",
            405,
            "GET is not served here: use POST",
        ),
        (
            Method::PUT,
            "/scheduler/filter",
            405,
            "PUT is not served here: use POST",
        ),
        (
            Method::POST,
            "/",
            404,
            "no such path: there are POST /mutate, /validate, /scheduler/filter, /scheduler/prioritize, /scheduler/preempt and /scheduler/bind",
        ),
        (
            Method::POST,
            "/mutate/",
            404,
            "no such path: there are POST /mutate, /validate, /scheduler/filter, /scheduler/prioritize, /scheduler/preempt and /scheduler/bind",
        ),
        (
            Method::GET,
            "/metrics",
            404,
            "no such path: there are POST /mutate, /validate, /scheduler/filter, /scheduler/prioritize, /scheduler/preempt and /scheduler/bind",
        ),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let (got, said) = asked.send(request).await;
        assert_eq!(
            (got.as_u16(), said),
            (status, format!("berth: {text}\n")),
            "{path}"
        );
    }
    assert_eq!(
        asked.metric(r#"berth_requests_refused_total{cause="no_route",surface="other"}"#),
        5.0
    );
}

#[tokio::test]
async fn refuses_a_timeout_that_is_not_a_duration() {
    let asked = Asked::new(&cluster(), "");
    let (status, text) = asked
        .post(
            "/mutate?timeout=99999999999999999999h",
            capture("admission-create-vm-bridge"),
        )
        .await;
    assert_eq!(
        (status.as_u16(), text.as_str()),
        (
            400,
            "berth: ?timeout=\"99999999999999999999h\" is not a duration (example: 10s)\n"
        )
    );
}

/// The filter's answer to a call that is of the protocol and still can't be answered.
async fn filter_error(change: impl Fn(&mut Value)) -> String {
    let asked = Asked::new(&cluster(), "");
    let mut args = capture_json("filter-names-migration");
    change(&mut args);
    let reply = asked.ask("/scheduler/filter", args.to_string()).await;
    assert_eq!(reply["NodeNames"], Value::Null);
    assert_eq!(reply["Nodes"], Value::Null);
    reply["Error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_filter_call_without_what_it_needs_gets_an_error_that_kube_scheduler_shows() {
    type Change = fn(&mut Value);
    for (change, expect) in [
        (
            (|args| args["Pod"] = Value::Null) as Change,
            "berth: the call has no Pod",
        ),
        (
            |args| args["NodeNames"] = Value::Null,
            "berth: ExtenderArgs has neither Nodes nor NodeNames",
        ),
        (
            |args| args["Nodes"] = json!({"items": []}),
            "berth: ExtenderArgs has both Nodes and NodeNames",
        ),
        (
            |args| args["NodeNames"] = json!("el9-1"),
            "berth: NodeNames is not readable: invalid type: string \"el9-1\", expected a sequence at line 1 column 20",
        ),
        (
            |args| args["NodeNames"] = json!([7]),
            "berth: item 0 of NodeNames is not readable: invalid type: integer `7`, expected a string at line 1 column 15",
        ),
        (
            |args| args["Pod"]["metadata"]["labels"] = json!(7),
            "berth: the Pod of the call is not readable: ",
        ),
        (
            |args| {
                args["NodeNames"] = Value::Null;
                args["Nodes"] =
                    json!({"items": [{"metadata": {"name": "el9-1"}}, {"metadata": {}}]});
            },
            "berth: item 1 of Nodes is not readable: missing field `name` at line 1 column 14",
        ),
        (
            |args| args["Pod"]["metadata"]["ownerReferences"] = Value::Null,
            "berth: pod default/virt-launcher-web-flptl has the labels of a virt-launcher, but no VirtualMachineInstance controls it",
        ),
    ] {
        let error = filter_error(change).await;
        assert!(error.starts_with(expect), "{error}");
    }
}

#[tokio::test]
async fn a_pod_that_is_not_guarded_still_needs_a_list_of_nodes() {
    let asked = Asked::new(&cluster(), "");
    for (nodes, names, expect) in [
        (
            json!(null),
            json!(7),
            "berth: NodeNames is not readable: invalid type: integer `7`, expected a sequence at line 1 column 14",
        ),
        (
            json!([]),
            json!(null),
            "berth: Nodes is not readable: invalid type: sequence, expected a map at line 1 column 26",
        ),
    ] {
        let args = json!({"Pod": {"metadata": {"name": "p"}}, "Nodes": nodes, "NodeNames": names});
        let reply = asked.ask("/scheduler/filter", args.to_string()).await;
        assert_eq!(reply["Error"], expect);
    }
}
