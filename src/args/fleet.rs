//! The flags of the commands that judge a whole cluster.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::domain::Provider;

use super::usage::switch;

/// Where a cluster is read from, and by which configuration.
#[derive(Clone, Debug, Default, Args)]
pub struct ClusterArgs {
    /// Kubeconfig of the cluster [default: as kubectl chooses it]
    #[arg(long, env = "BERTH_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig [default: its current one]
    #[arg(long, env = "BERTH_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,

    /// Read a file instead of a cluster: what `kubectl get KIND,… -A -o json` (or yaml) wrote. A kubeconfig is
    /// not read then
    #[arg(long, env = "BERTH_SNAPSHOT", value_name = "FILE")]
    pub snapshot: Option<PathBuf>,

    /// Configuration file of berth, for its checks and its network [default: berth's defaults]
    #[arg(long, env = "BERTH_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Network provider: kube-ovn or ovn-kubernetes [default: as in --config, or kube-ovn]
    #[arg(long, env = "BERTH_NETWORK_PROVIDER", value_name = "PROVIDER")]
    pub network_provider: Option<Provider>,
}

/// Where the cluster is read from, and by which checks it is judged.
#[derive(Debug, Default, Args)]
pub struct FleetArgs {
    /// Its objects.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Servers of OVN's southbound database, separated by commas: tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH;
    /// certificates come from --config [default: do not read the database]
    #[arg(long, env = "BERTH_OVN_SB", value_name = "ENDPOINTS")]
    pub ovn_sb: Option<String>,
}

/// What `berth check` says of its flag `--namespace`.
const NAMESPACE_OF_CHECK: &str = "Namespace of the VMs [default: that of the context, or default]; with --install or --pre that of berth [default: berth-system]";

/// Whose VMs a command is about.
#[derive(Debug, Default, Args)]
pub struct ScopeArgs {
    /// Namespace of the VMs [default: that of the context, or default]
    #[arg(short, long, env = "BERTH_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// The VMs of all namespaces
    #[arg(short = 'A', long, env = "BERTH_ALL_NAMESPACES", conflicts_with = "namespace", value_parser = switch)]
    pub all_namespaces: bool,
}

/// The format in which a command answers.
#[derive(Debug, Default, Args)]
pub struct OutputArgs<F: ValueEnum + Send + Sync + 'static> {
    /// The output
    #[arg(
        id = "output",
        short,
        long,
        env = "BERTH_OUTPUT",
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub format: F,
}

/// How a command answers.
#[derive(Debug, Default, Args)]
pub struct AnswerArgs<F: ValueEnum + Send + Sync + 'static> {
    /// The output.
    #[command(flatten)]
    pub output: OutputArgs<F>,

    /// What makes the exit code other than 0
    #[arg(
        long,
        env = "BERTH_FAIL_ON",
        value_name = "SEVERITY",
        default_value = "warning"
    )]
    pub fail_on: FailOn,
}

/// What a command leaves out of its answer.
#[derive(Debug, Default, Args)]
pub struct SuppressArgs {
    /// Leave a code out, of all VMs or of one: CODE or CODE=KIND/NAMESPACE/NAME; may be repeated
    #[arg(
        id = "suppress",
        long = "suppress",
        env = "BERTH_SUPPRESS",
        value_name = "CODE"
    )]
    pub codes: Vec<String>,
}

/// Whether a command describes its answer instead.
#[derive(Debug, Default, Args)]
pub struct SchemaArgs {
    /// Print the JSON Schema of -o json, and do nothing else
    #[arg(id = "schema", long = "schema", env = "BERTH_SCHEMA", value_parser = switch)]
    pub is_asked: bool,
}

/// Flags of `berth check`.
#[derive(Debug, Default, Args)]
#[command(mut_arg("namespace", |arg| arg.help(NAMESPACE_OF_CHECK)))]
pub struct Check {
    /// The VMs: NAME, vm/NAME or vmi/NAME [default: all of the namespace]
    #[arg(value_name = "VM")]
    pub vms: Vec<String>,

    /// Which of them.
    #[command(flatten)]
    pub scope: ScopeArgs,

    /// Judge this node alone as the target
    #[arg(long, env = "BERTH_NODE", value_name = "NODE")]
    pub node: Option<String>,

    /// berth itself in place of VMs.
    #[command(flatten)]
    pub installation: Installation,

    /// The cluster.
    #[command(flatten)]
    pub fleet: FleetArgs,

    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs<Output>,

    /// What is left out of it.
    #[command(flatten)]
    pub suppress: SuppressArgs,

    /// Its schema.
    #[command(flatten)]
    pub schema: SchemaArgs,
}

/// Flags of `berth check` that are about berth itself.
#[derive(Debug, Default, Args)]
pub struct Installation {
    /// Check berth itself instead of VMs: versions, rights, replicas, certificates, the webhook and the calls
    /// of kube-scheduler
    #[arg(long, env = "BERTH_INSTALL", conflicts_with_all = ["vms", "snapshot", "all_namespaces", "node"], value_parser = switch)]
    pub install: bool,

    /// Check whether berth can be installed, before it is there; `--install --pre` means the same
    #[arg(long, env = "BERTH_PRE", conflicts_with_all = ["vms", "snapshot", "all_namespaces", "node"], value_parser = switch)]
    pub pre: bool,

    /// The address that the overlay cluster-ip gives the Service of berth, for --pre [default: 10.96.0.77]
    #[arg(long, env = "BERTH_CLUSTER_IP", value_name = "ADDRESS")]
    pub cluster_ip: Option<IpAddr>,
}

/// Flags of `berth drain`.
#[derive(Debug, Default, Args)]
pub struct Drain {
    /// The nodes to drain
    #[arg(value_name = "NODE", required_unless_present = "schema")]
    pub nodes: Vec<String>,

    /// The cluster.
    #[command(flatten)]
    pub fleet: FleetArgs,

    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs<Output>,

    /// What is left out of it.
    #[command(flatten)]
    pub suppress: SuppressArgs,

    /// Its schema.
    #[command(flatten)]
    pub schema: SchemaArgs,
}

/// Flags of `berth annotate`.
#[derive(Debug, Default, Args)]
pub struct Annotate {
    /// The VMs: vm/NAME for the template of a VM, vmi/NAME for the VMI that runs, NAME for both [default:
    /// all of the namespace, with its pools and replica sets]
    #[arg(value_name = "VM")]
    pub vms: Vec<String>,

    /// Which of them.
    #[command(flatten)]
    pub scope: ScopeArgs,

    /// Patch them; otherwise the API server is only asked what it would do, by a dry run
    #[arg(long, env = "BERTH_APPLY", conflicts_with = "snapshot", value_parser = switch)]
    pub apply: bool,

    /// The cluster.
    #[command(flatten)]
    pub fleet: ClusterArgs,

    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs<PlanOutput>,
}

/// Flags of `berth report`.
#[derive(Debug, Default, Args)]
pub struct Report {
    /// Namespace of the VMs [default: all namespaces]
    #[arg(short, long, env = "BERTH_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// The VMs of all namespaces, as without --namespace
    #[arg(short = 'A', long, env = "BERTH_ALL_NAMESPACES", conflicts_with = "namespace", value_parser = switch)]
    pub all_namespaces: bool,

    /// Report what would be if nodes were as another one (NODES=like:NODE), or without machine types
    /// (NODES=without:machine-type/GLOB); NODES are names or globs, separated by commas; may be repeated
    #[arg(long, env = "BERTH_ASSUME", value_name = "ASSUMPTION")]
    pub assume: Vec<String>,

    /// The cluster.
    #[command(flatten)]
    pub fleet: FleetArgs,

    /// The answer.
    #[command(flatten)]
    pub answer: AnswerArgs<PlanOutput>,

    /// Its schema.
    #[command(flatten)]
    pub schema: SchemaArgs,
}

/// Flags of `berth version`.
#[derive(Debug, Default, Args)]
pub struct Version {
    /// Show what the cluster runs, and the known bugs that it has; --kubeconfig, --context and --snapshot
    /// mean the same
    #[arg(long, env = "BERTH_CLUSTER", value_parser = switch)]
    pub cluster: bool,

    /// The cluster.
    #[command(flatten)]
    pub fleet: FleetArgs,

    /// The output.
    #[command(flatten)]
    pub output: OutputArgs<PlanOutput>,
}

/// A format of a plan, a report or versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanOutput {
    /// For people; `text`, `wide` and `short` mean the same.
    #[default]
    #[value(aliases = ["text", "wide", "short"])]
    Table,
    /// JSON.
    Json,
    /// The same as YAML.
    Yaml,
}

/// A format of a migration that is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WatchOutput {
    /// For people, a line for each thing that happens; `text` means the same.
    #[default]
    #[value(alias = "text")]
    Table,
    /// JSON: each line is the timeline as it is then.
    Json,
}

/// A format of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The findings of each VM, and what to do.
    #[default]
    Table,
    /// As `table`, with every node.
    Wide,
    /// A line for each VM.
    Short,
    /// JSON.
    Json,
    /// The same as YAML.
    Yaml,
}

/// What the exit code reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors alone, such as a VM that can't migrate.
    Error,
    /// Warnings as well, and what --apply would patch.
    #[default]
    Warning,
}
