//! The image is built as the crate is, and runs as the manifests say.

use std::fs;
use std::path::Path;

use serde_json::Value;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The instructions of the Dockerfile: name and rest.
fn instructions() -> Vec<(String, String)> {
    read("Dockerfile")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, rest) = line.split_once(' ').unwrap();
            (name.to_owned(), rest.to_owned())
        })
        .collect()
}

#[test]
fn the_compiler_is_the_crates_and_the_result_runs_alone() {
    let toolchain = read("rust-toolchain.toml");
    let channel = toolchain
        .lines()
        .find_map(|line| line.strip_prefix("channel = \"")?.strip_suffix('"'))
        .unwrap();
    let instructions = instructions();
    let stages: Vec<&str> = instructions
        .iter()
        .filter(|(name, _)| name == "FROM")
        .map(|(_, rest)| rest.as_str())
        .collect();
    assert_eq!(
        stages,
        [
            "${BUILDER}${BUILDER_DIGEST:+@${BUILDER_DIGEST}} AS build",
            "${RUNTIME}${RUNTIME_DIGEST:+@${RUNTIME_DIGEST}}"
        ]
    );
    let arguments: Vec<&str> = instructions
        .iter()
        .filter(|(name, _)| name == "ARG")
        .map(|(_, rest)| rest.as_str())
        .collect();
    assert_eq!(
        arguments,
        [
            format!("BUILDER=docker.io/library/rust:{channel}-bookworm"),
            "RUNTIME=gcr.io/distroless/cc-debian12:nonroot".to_owned(),
            // No digest is true for ever: whoever builds looks them up.
            "BUILDER_DIGEST=".to_owned(),
            "RUNTIME_DIGEST=".to_owned(),
        ]
    );
    let last = instructions
        .iter()
        .rposition(|(name, _)| name == "FROM")
        .unwrap();
    let (build, run) = instructions.split_at(last);
    let commands: Vec<&str> = build
        .iter()
        .filter(|(name, _)| name == "RUN")
        .map(|(_, rest)| rest.as_str())
        .collect();
    assert_eq!(commands, ["cargo build --release --locked --bin berth"]);
    let run: Vec<String> = run[1..]
        .iter()
        .map(|(name, rest)| format!("{name} {rest}"))
        .collect();
    assert_eq!(
        run,
        [
            "COPY --from=build /src/target/release/berth /usr/local/bin/berth",
            "ENV MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=1048576",
            "USER 65532:65532",
            "EXPOSE 8443 8080",
            "ENTRYPOINT [\"/usr/local/bin/berth\"]",
            "CMD [\"serve\"]",
        ]
    );
}

#[test]
fn nothing_gets_into_the_image_unless_it_is_named() {
    let text = read(".dockerignore");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "*",
            "!Cargo.toml",
            "!Cargo.lock",
            "!src",
            "!crates",
            "!benches",
            "!tests"
        ]
    );
}

#[test]
fn the_deployment_runs_this_version_as_the_images_user() {
    let deployment: Value =
        serde_saphyr::from_str(&read("manifests/base/server/deployment.yaml")).unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    let image = concat!("berth:", env!("CARGO_PKG_VERSION"));
    assert_eq!(pod["containers"][0]["image"], image);
    assert_eq!(pod["containers"][0]["args"], serde_json::json!(["serve"]));
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    let first = read("Dockerfile");
    assert!(first.lines().next().unwrap().contains(image));
}
