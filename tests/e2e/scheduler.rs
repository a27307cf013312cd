//! kube-scheduler with the configuration of the manifests, and berth's stanza in it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::manifests;
use crate::plane::logs;
use crate::process::{Log, Process};
use crate::programs;
use crate::world::World;

/// A running kube-scheduler that asks berth.
pub(crate) struct Scheduler {
    process: Process,
}

impl Scheduler {
    /// Starts one that reaches berth at `url`, and trusts `ca`.
    pub(crate) fn start(world: &World, url: &str, ca: &Path) -> Self {
        Self::configured(world, &configuration(url, ca, &world.scheduler_kubeconfig))
    }

    /// The same, and berth binds the pods of VMs.
    pub(crate) fn start_binding(world: &World, url: &str, ca: &Path) -> Self {
        Self::start_binding_within(world, url, ca, None)
    }

    /// The same, and kube-scheduler waits no longer than this for a bind.
    pub(crate) fn start_binding_within(
        world: &World,
        url: &str,
        ca: &Path,
        timeout: Option<&str>,
    ) -> Self {
        let mut configuration = configuration(url, ca, &world.scheduler_kubeconfig);
        configuration["extenders"] = stanza(url, ca, &["--bind"])["extenders"].take();
        let binding = &mut configuration["extenders"][1];
        assert_eq!(binding["bindVerb"], "bind");
        if let Some(timeout) = timeout {
            binding["httpTimeout"] = timeout.into();
        }
        Self::configured(world, &configuration)
    }

    fn configured(world: &World, configuration: &Value) -> Self {
        let config = world.dir().join("kube-scheduler.json");
        fs::write(&config, configuration.to_string()).unwrap();
        let mut command = world.programs.command("kube-scheduler");
        command
            .arg(format!("--config={}", config.display()))
            // Nobody asks it anything.
            .arg("--secure-port=0");
        Self {
            process: Process::start("kube-scheduler", command, &logs(world.dir())),
        }
    }

    pub(crate) fn log(&self) -> &Log {
        self.process.log()
    }

    /// Fails when it went on without berth, which `ignorable` lets it do.
    pub(crate) fn assert_always_answered(&self) {
        let skipped = self.log().lines_with("Skipping extender");
        assert!(skipped.is_empty(), "{skipped:#?}");
    }
}

fn configuration(url: &str, ca: &Path, kubeconfig: &Path) -> Value {
    let path = programs::repository("manifests/kube-scheduler-configuration.yaml");
    let text = fs::read_to_string(path).unwrap();
    let mut configuration: Value = serde_saphyr::from_str(&text).unwrap();
    let stanza = stanza(url, ca, &[]);
    // The file differs from what berth prints in nothing but what is particular to a cluster.
    let mut shown = configuration["extenders"].clone();
    for place in [
        "/0/urlPrefix",
        "/0/tlsConfig/caData",
        "/0/tlsConfig/serverName",
    ] {
        *shown.pointer_mut(place).unwrap() = stanza["extenders"].pointer(place).unwrap().clone();
    }
    assert_eq!(shown, stanza["extenders"]);
    configuration["extenders"] = shown;
    configuration["clientConnection"] = json!({"kubeconfig": kubeconfig});
    // It is alone.
    configuration["leaderElection"] = json!({"leaderElect": false});
    configuration
}

/// What `berth scheduler-config` prints.
fn stanza(url: &str, ca: &Path, flags: &[&str]) -> Value {
    let output = programs::berth()
        .args(["scheduler-config", "--url", url, "--ca"])
        .arg(ca)
        .args(flags)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    manifests::document(&String::from_utf8(output.stdout).unwrap())
}
