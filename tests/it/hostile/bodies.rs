//! Bodies that are small on the wire and large when they are read: the service's peak of memory stays
//! within a small factor of each.

use std::iter::repeat_n;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::process::Served;
use crate::service::{connect, good_review, head};

const MIB: usize = 1 << 20;

/// What a body may take in memory for each of its bytes, and what a request may take beside it.
const FACTOR: usize = 3;
const BESIDE: usize = 8 * MIB;

const LIMITS: &str = "limits: {admissionBody: 8Mi, admissionBodiesInFlight: 64Mi, extenderBody: 64Mi, \
     extenderBodiesInFlight: 256Mi, bodyRate: 1Ki, handlerTimeout: 10m}";

/// As many of an item as fill so many bytes, with commas between them.
fn many(item: &str, bytes: usize) -> String {
    let items: Vec<&str> = repeat_n(item, bytes / (item.len() + 1)).collect();
    items.join(",")
}

fn long(character: &str, bytes: usize) -> String {
    character.repeat(bytes / character.len())
}

/// Posts each body to a service of its own, so that no memory is left from another's.
async fn check(path: &str, bodies: Vec<(&str, String)>) {
    for (what, body) in bodies {
        let served = Served::start_configured(LIMITS);
        let mut stream = connect(served.https, &served.ca, None).await.unwrap();
        good_review(&mut stream).await;
        served.forget_peak();
        let before = served.memory("VmRSS");

        let mut stream = connect(served.https, &served.ca, None).await.unwrap();
        let head = head(path, body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            ["HTTP/1.1 200", "HTTP/1.1 400"].contains(&answer.as_str()),
            "{path}, {what}: {answer}"
        );

        let grown = served.memory("VmHWM") - before;
        let most = FACTOR * body.len() + BESIDE;
        let length = body.len();
        assert!(grown <= most, "{path}, {what}: {grown} bytes for {length}");
        let mut stream = connect(served.https, &served.ca, None).await.unwrap();
        good_review(&mut stream).await;
    }
}

/// A pod with this field in its metadata, and one with this in its status.
fn with_pod(metadata: &str, status: &str, nodes: &str) -> String {
    format!(r#"{{"Pod":{{"metadata":{{{metadata}}},"status":{{{status}}}}},{nodes}}}"#)
}

/// The labels of a migration's target.
const TARGET: &str =
    r#""labels":{"kubevirt.io":"virt-launcher","kubevirt.io/migrationJobUID":"m"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_of_a_call_takes_no_more_memory_than_a_few_times_its_length() {
    let names = r#""NodeNames":["a"]"#;
    let size = 16 * MIB;
    check(
        "/scheduler/filter",
        vec![
            (
                "owners",
                with_pod(&format!(r#""ownerReferences":[{}]"#, many("{}", size)), "", names),
            ),
            (
                "controlling owners",
                with_pod(
                    &format!(
                        r#"{TARGET},"ownerReferences":[{}]"#,
                        many(
                            r#"{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstance","controller":true}"#,
                            size
                        )
                    ),
                    "",
                    names,
                ),
            ),
            (
                "conditions and containers",
                with_pod(
                    TARGET,
                    &format!(
                        r#""conditions":[{}],"containerStatuses":[{}]"#,
                        many(r#"{"type":"","status":""}"#, size / 2),
                        many("{}", size / 2)
                    ),
                    names,
                ),
            ),
            (
                "labels",
                with_pod(&format!(r#""labels":{{{}}}"#, many(r#""":0"#, size)), "", names),
            ),
            (
                "a name",
                with_pod(&format!(r#"{TARGET},"name":"{}""#, long("x", size)), "", names),
            ),
            (
                "a name with escapes",
                with_pod(&format!(r#"{TARGET},"name":"\n{}""#, long("x", size)), "", names),
            ),
            (
                "a name of control characters",
                with_pod(&format!(r#"{TARGET},"name":"{}""#, long("\u{9b}", size)), "", names),
            ),
            ("a pod that is a text", format!(r#"{{"Pod":"{}",{names}}}"#, long("x", size))),
            ("nesting", format!(r#"{{"Pod":{}"#, long("[", size))),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_of_a_call_take_no_more_memory_than_a_few_times_their_length() {
    let size = 16 * MIB;
    let labels = r#""machine-type.node.kubevirt.io/a":"true""#;
    for path in ["/scheduler/filter", "/scheduler/prioritize"] {
        check(
            path,
            vec![
                (
                    "empty names",
                    with_pod(TARGET, "", &format!(r#""NodeNames":[{}]"#, many(r#""""#, size))),
                ),
                (
                    "a long name with escapes",
                    with_pod(TARGET, "", &format!(r#""NodeNames":["\n{}"]"#, long("x", size))),
                ),
                (
                    "empty nodes",
                    with_pod(TARGET, "", &format!(r#""Nodes":{{"items":[{}]}}"#, many("{}", size))),
                ),
                (
                    "nodes of a name",
                    with_pod(
                        TARGET,
                        "",
                        &format!(
                            r#""Nodes":{{"items":[{}]}}"#,
                            many(r#"{"metadata":{"name":""}}"#, size)
                        ),
                    ),
                ),
                (
                    "conditions of a node",
                    with_pod(
                        TARGET,
                        "",
                        &format!(
                            r#""Nodes":{{"items":[{{"metadata":{{"name":"a","labels":{{{}}}}},"status":{{"conditions":[{}]}}}}]}}"#,
                            many(labels, size / 2),
                            many(r#"{"type":"","status":""}"#, size / 2)
                        ),
                    ),
                ),
            ],
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preempt_call_takes_no_more_memory_than_a_few_times_its_length() {
    let size = 24 * MIB;
    let victim = r#"{"metadata":{"uid":""}}"#;
    check(
        "/scheduler/preempt",
        vec![
            (
                "candidates",
                with_pod(
                    "",
                    "",
                    &format!(r#""NodeNameToMetaVictims":{{{}}}"#, many(r#""":0"#, size)),
                ),
            ),
            (
                "candidates with victims",
                with_pod(
                    "",
                    "",
                    &format!(r#""NodeNameToVictims":{{{}}}"#, many(r#""":{}"#, size)),
                ),
            ),
            (
                "victims of one candidate",
                with_pod(
                    "",
                    "",
                    &format!(
                        r#""NodeNameToVictims":{{"a":{{"Pods":[{}]}}}}"#,
                        many(victim, size)
                    ),
                ),
            ),
            (
                "owners",
                with_pod(
                    &format!(r#""ownerReferences":[{}]"#, many("{}", size)),
                    "",
                    r#""NodeNameToMetaVictims":{}"#,
                ),
            ),
            (
                "fields that are not known",
                format!("{{{}}}", many(r#""":0"#, size)),
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_takes_no_more_memory_than_a_few_times_its_length() {
    let size = 15 * MIB / 2;
    let review = |object: &str| {
        format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"1","operation":"CREATE","kind":{{"group":"kubevirt.io","kind":"VirtualMachineInstance"}},"object":{object}}}}}"#
        )
    };
    let vmi = |spec: &str| review(&format!(r#"{{"metadata":{{}},"spec":{{{spec}}}}}"#));
    check(
        "/mutate",
        vec![
            ("nesting", long("[", size)),
            ("nesting in the object", review(&long("[", size))),
            ("networks", vmi(&format!(r#""networks":[{}]"#, many("{}", size)))),
            (
                "networks of a name",
                vmi(&format!(r#""networks":[{}]"#, many(r#"{"name":""}"#, size))),
            ),
            (
                "interfaces of a name",
                vmi(&format!(
                    r#""domain":{{"devices":{{"interfaces":[{}]}}}}"#,
                    many(r#"{"name":""}"#, size)
                )),
            ),
            ("a map of a text", vmi(&format!(r#""networks":"{}""#, long("x", size)))),
            (
                "annotations",
                review(&format!(
                    r#"{{"metadata":{{"annotations":{{{}}}}},"spec":{{}}}}"#,
                    many(r#""a":"""#, size)
                )),
            ),
            (
                "an annotation of control characters",
                review(&format!(
                    r#"{{"metadata":{{"annotations":{{"berth.dev/inject":"{}"}}}},"spec":{{}}}}"#,
                    long(r"\u0001", size)
                )),
            ),
            ("a kind", format!(r#"{{"kind":"{}"}}"#, long("x", size))),
            ("a kind with escapes", format!(r#"{{"kind":"{}"}}"#, long(r"\u0001", size))),
            (
                "an operation",
                format!(
                    r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"1","kind":{{"kind":""}},"operation":"{}"}}}}"#,
                    long("x", size)
                ),
            ),
            ("fields twice", format!("{{{}}}", many(r#""kind":"""#, size))),
        ],
    )
    .await;
}
