//! krew's manifest, filled in as a release does it, passes krew's rules (krew `internal/index/validation/validate.go`
//! and `cmd/validate-krew-manifest`).

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::root;

/// The variables of the manifest.
const VALUES: [(&str, &str); 5] = [
    ("VERSION", "0.1.0"),
    ("HOMEPAGE", "https://example.com/berth"),
    ("DOWNLOADS", "https://example.com/berth/releases/v0.1.0"),
    (
        "SHA256_AMD64",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ),
    (
        "SHA256_ARM64",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
];

fn filled() -> Value {
    let text = fs::read_to_string(root().join("manifests/krew/berth.yaml")).unwrap();
    let fill = |text: String, (name, value): (&str, &str)| {
        let variable = format!("${{{name}}}");
        assert!(text.contains(&variable), "{variable}");
        text.replace(&variable, value)
    };
    let text = VALUES.into_iter().fold(text, fill);
    assert!(!text.contains("${"), "{text}");
    serde_saphyr::from_str(&text).unwrap()
}

#[test]
fn the_manifest_passes_the_rules_of_krew() {
    let manifest = filled();
    assert_eq!(
        manifest["apiVersion"],
        "krew.googlecontainertools.github.com/v1alpha2"
    );
    assert_eq!(manifest["kind"], "Plugin");
    // The name of the file, and what follows `kubectl-`.
    assert_eq!(manifest["metadata"], json!({"name": "berth"}));
    let spec = &manifest["spec"];
    assert_eq!(spec["version"], concat!("v", env!("CARGO_PKG_VERSION")));
    let short = spec["shortDescription"].as_str().unwrap();
    // The column of `kubectl krew search`.
    assert!(
        !short.is_empty() && short.len() <= 50 && !short.contains('\n'),
        "{short}"
    );
    let mut selected = BTreeSet::new();
    for platform in spec["platforms"].as_array().unwrap() {
        let fields: Vec<&String> = platform.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["bin", "selector", "sha256", "uri"]);
        let labels = &platform["selector"]["matchLabels"];
        let [os, arch] = ["os", "arch"].map(|label| labels[label].as_str().unwrap());
        assert_eq!(labels.as_object().unwrap().len(), 2);
        assert!(
            selected.insert((os.to_owned(), arch.to_owned())),
            "{os} {arch} twice"
        );
        let uri = platform["uri"].as_str().unwrap();
        assert!(
            uri.ends_with(&format!("/berth-0.1.0-{os}-{arch}.tar.gz")),
            "{uri}"
        );
        let sum = platform["sha256"].as_str().unwrap();
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        assert!(sum.len() == 64 && sum.bytes().all(is_digit), "{sum}");
        assert_eq!(platform["bin"], "berth");
    }
    let expect = [("linux", "amd64"), ("linux", "arm64")];
    let expect = expect.map(|(os, arch)| (os.to_owned(), arch.to_owned()));
    assert_eq!(selected, BTreeSet::from(expect));
}
