//! What `make e2e` says where it can't begin.

use std::process::Command;

use crate::tools;

#[test]
fn without_a_control_plane_make_e2e_says_where_it_comes_from() {
    let Some(make) = tools::find("make", "what make e2e says without a control plane") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    for (assets, problem) in [
        ("", "KUBEBUILDER_ASSETS is not set"),
        (
            dir.path().to_str().unwrap(),
            "lacks etcd kube-apiserver kubectl kube-scheduler",
        ),
    ] {
        let output = Command::new(&make)
            .args(["--silent", "e2e"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("KUBEBUILDER_ASSETS", assets)
            .env_remove("MAKEFLAGS")
            .output()
            .unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).unwrap();
        for text in [problem, "setup-envtest use", "https://dl.k8s.io/release/"] {
            assert!(said.contains(text), "{said}");
        }
    }
}
