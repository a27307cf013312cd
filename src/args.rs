//! The command line. Every flag can be set as `BERTH_…` in the environment as well; a flag comes
//! before the environment, and both before the configuration file.

use std::env;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{ContinuityMode, ListenAddress, LogFormat, LogLevel, ObjectName, Span};
use crate::domain::Provider;
use crate::tls::HostName;

pub mod environment;
pub mod exit;
pub mod fleet;
mod help;
mod idle;
mod program;
pub mod usage;

pub use help::help_as_flag;
pub use idle::idle_flag;
pub use program::Program;
use usage::switch;

/// A safe berth for every migrating VM: an admission webhook that lets bridge-bound KubeVirt VMs
/// migrate, and a scheduler extender that rejects nodes where a VM's machine type or network fails.
#[derive(Debug, Parser)]
#[command(name = "berth", version, about, max_term_width = 100, after_help = exit::ALL)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service for kube-apiserver (POST /mutate, /validate) and kube-scheduler (POST /scheduler/…)
    #[command(after_help = exit::OTHERS)]
    Serve(Box<Serve>),
    /// Start the service on a sample cluster, send requests to it and check the responses
    #[command(after_help = exit::OTHERS)]
    Demo(Demo),
    /// Print or check the configuration file
    #[command(subcommand, after_help = exit::OTHERS)]
    Config(ConfigCommand),
    /// Print the `extenders:` stanza for kube-scheduler
    #[command(after_help = exit::OTHERS)]
    SchedulerConfig(SchedulerConfig),
    /// Judge whether VMs can migrate, to which nodes, and why not; or, with --install or --pre, whether berth
    /// itself is in place, or can be
    #[command(after_help = exit::CHECK)]
    Check(Box<fleet::Check>),
    /// Report on all VMs: how many nodes can take each, which machine types and CPUs run, what was found, and
    /// what would be if nodes were upgraded
    #[command(after_help = exit::REPORT)]
    Report(Box<fleet::Report>),
    /// Plan the drain of nodes: where each VM would go, which ones would be shut down, and which ones the
    /// drain would wait for
    #[command(after_help = exit::DRAIN)]
    Drain(Box<fleet::Drain>),
    /// Find the VMs that lack the annotation which berth's webhook gives to new ones, and patch them with
    /// --apply
    #[command(after_help = exit::ANNOTATE)]
    Annotate(Box<fleet::Annotate>),
    /// Explain a code such as BRT0102: what it means and what to do about it; or vm/NAME: what is judged of a
    /// VM and of each node, with every input
    #[command(after_help = exit::EXPLAIN)]
    Explain(Box<Explain>),
    /// Print the version of berth and, with --cluster, of what a cluster runs, with its known bugs
    #[command(after_help = exit::VERSION)]
    Version(Box<fleet::Version>),
    /// Show what berth wrote to OVN's northbound database and no migration needs, and delete it with --apply
    #[command(after_help = exit::CLEANUP)]
    Cleanup(Box<Cleanup>),
    /// Follow the next migration of a VM, or the one that is under way: what KubeVirt and OVN do, how long each
    /// stage takes and what goes wrong
    #[command(after_help = exit::WATCH)]
    Watch(Box<Watch>),
    /// Print a script with which a shell completes the words of a command
    #[command(after_help = exit::OTHERS)]
    Completion(Completion),
    /// Write the man pages
    #[command(hide = true, after_help = exit::OTHERS)]
    Man(Man),
}

/// Flags of `berth cleanup`.
#[derive(Debug, Default, Args)]
pub struct Cleanup {
    /// The cluster, which says which migrations are under way.
    #[command(flatten)]
    pub cluster: fleet::ClusterArgs,

    /// Servers of OVN's northbound database, as `berth serve --ovn-nb` has them; certificates come
    /// from --config
    #[arg(long, env = "BERTH_OVN_NB", value_name = "ENDPOINTS")]
    pub ovn_nb: Option<String>,

    /// Delete it; otherwise it is only shown
    #[arg(long, env = "BERTH_APPLY", conflicts_with = "snapshot", value_parser = switch)]
    pub apply: bool,
}

/// Flags of `berth watch`.
#[derive(Debug, Args)]
#[command(mut_arg("snapshot", |arg| arg.hide(true)))]
pub struct Watch {
    /// The VM: NAME, vm/NAME or vmi/NAME
    #[arg(value_name = "VM")]
    pub vm: String,

    /// Namespace of the VM [default: that of the context, or default]
    #[arg(short, long, env = "BERTH_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// The cluster.
    #[command(flatten)]
    pub cluster: fleet::ClusterArgs,

    /// Servers of OVN's southbound database, as `berth check --ovn-sb` has them [default: do not read the
    /// database]
    #[arg(long, env = "BERTH_OVN_SB", value_name = "ENDPOINTS")]
    pub ovn_sb: Option<String>,

    /// Servers of OVN's northbound database, which say who wrote the pair of chassis; nothing is written to
    /// it [default: do not read the database]
    #[arg(long, env = "BERTH_OVN_NB", value_name = "ENDPOINTS")]
    pub ovn_nb: Option<String>,

    /// End after this time, as in 10m, if no migration has ended by then [default: never]
    #[arg(long, env = "BERTH_TIMEOUT", value_name = "TIME")]
    pub timeout: Option<Span>,

    /// The output.
    #[command(flatten)]
    pub output: fleet::OutputArgs<fleet::WatchOutput>,
}

/// Flags of `berth completion`.
#[derive(Debug, Args)]
pub struct Completion {
    /// The shell
    pub shell: Shell,
}

/// Flags of `berth man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The directory to write them to, which has to exist
    pub dir: PathBuf,
}

/// Flags of `berth explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A code or its name, as in BRT0102, 0102, `MachineType` or `machine_type`; or a VM, as in vm/NAME or
    /// vmi/NAME [default: list all codes]
    #[arg(value_name = "CODE")]
    pub what: Option<String>,

    /// Namespace of the VM [default: that of the context, or default]
    #[arg(short, long, env = "BERTH_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// The cluster of the VM.
    #[command(flatten)]
    pub fleet: fleet::FleetArgs,

    /// The output.
    #[command(flatten)]
    pub output: fleet::OutputArgs<fleet::PlanOutput>,
}

/// Flags of `berth serve`.
#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Configuration file (YAML); `berth config default` prints one
    #[arg(long, env = "BERTH_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Kubeconfig of the cluster to watch [default: the cluster of the pod that berth runs in]
    #[arg(long, env = "BERTH_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Use a snapshot of a cluster instead of a live one: the output of `kubectl get KIND -A -o json`
    /// (or yaml) for nodes, pods, namespaces, vmi, vmim and kubevirts
    #[arg(
        long,
        env = "BERTH_SNAPSHOT",
        value_name = "FILE",
        conflicts_with = "kubeconfig"
    )]
    pub snapshot: Option<PathBuf>,

    /// HTTPS address [default: 127.0.0.1:8443; in a pod 0.0.0.0:8443]
    #[arg(long, env = "BERTH_LISTEN", value_name = "ADDR")]
    pub listen: Option<ListenAddress>,

    /// Plain HTTP address for /livez, /readyz, /metrics and /migrations [default: 127.0.0.1:8080; in a
    /// pod 0.0.0.0:8080]
    #[arg(long, env = "BERTH_ADMIN_LISTEN", value_name = "ADDR")]
    pub admin_listen: Option<ListenAddress>,

    /// Network provider: kube-ovn or ovn-kubernetes [default: kube-ovn]
    #[arg(long, env = "BERTH_NETWORK_PROVIDER", value_name = "PROVIDER")]
    pub network_provider: Option<Provider>,

    /// Servers of OVN's southbound database, separated by commas: tcp:HOST:PORT, ssl:HOST:PORT or
    /// unix:PATH [default: do not read the database]
    #[arg(long, env = "BERTH_OVN_SB", value_name = "ENDPOINTS")]
    pub ovn_sb: Option<String>,

    /// Servers of OVN's northbound database, through which the leader probes all chassis [default: no
    /// probe]
    #[arg(long, env = "BERTH_OVN_NB", value_name = "ENDPOINTS")]
    pub ovn_nb: Option<String>,

    /// What to do for the network of migrations: Off, Observe, or Prepare, which also prepares it before
    /// the target is bound and writes to the northbound database [default: Observe]
    #[arg(long, env = "BERTH_CONTINUITY", value_name = "MODE")]
    pub continuity: Option<ContinuityMode>,

    /// Server certificate with its chain (PEM); reloaded when the file changes
    #[arg(long, env = "BERTH_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the server certificate (PEM)
    #[arg(long, env = "BERTH_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Secret in which berth keeps certificates that it issues and renews itself, in place of files
    #[arg(long, env = "BERTH_TLS_SECRET", value_name = "NAME")]
    pub tls_secret: Option<ObjectName>,

    /// Allow --tls-secret with --kubeconfig: berth then writes the Secret and the caBundle of its
    /// webhook configurations in that cluster
    #[arg(long, env = "BERTH_MANAGE_CERTIFICATES", value_parser = switch)]
    pub manage_certificates: bool,

    /// CAs of client certificates (PEM): every HTTPS client needs a certificate from one of them
    #[arg(long, env = "BERTH_CLIENT_CA", value_name = "FILE")]
    pub client_ca: Option<PathBuf>,

    /// CAs of client certificates (PEM): clients of /scheduler/… need a certificate from one of them
    #[arg(long, env = "BERTH_SCHEDULER_CLIENT_CA", value_name = "FILE")]
    pub scheduler_client_ca: Option<PathBuf>,

    /// Log format: human, json, or auto (human on a terminal, else json) [default: auto]
    #[arg(long, env = "BERTH_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Log level (error, warn, info, debug, trace) or filter; `info,berth::decision=debug` logs every
    /// decision with its details [default: info]
    #[arg(long, env = "BERTH_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
}

/// Flags of `berth demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Leave the service running and print curl commands for it
    #[arg(long, env = "BERTH_KEEP", value_parser = switch)]
    pub keep: bool,
}

/// The commands for the configuration file.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the default configuration with comments
    #[command(after_help = exit::OTHERS)]
    Default,
    /// Check a configuration file, and that the files it names are readable
    #[command(after_help = exit::OTHERS)]
    Check(ConfigCheck),
    /// Print the JSON Schema of the configuration file
    #[command(after_help = exit::OTHERS)]
    Schema,
}

/// Flags of `berth config check`.
#[derive(Debug, Args)]
pub struct ConfigCheck {
    /// The file to check; - is standard input
    pub file: PathBuf,

    /// Do not check the files that it names, which may exist only in berth's pod
    #[arg(long, env = "BERTH_SKIP_FILES", value_parser = switch)]
    pub skip_files: bool,
}

/// Flags of `berth scheduler-config`.
#[derive(Debug, Default, Args)]
#[command(group = ArgGroup::new("origin").args(["ca", "kubeconfig"]).required(true).multiple(true))]
pub struct SchedulerConfig {
    /// CA of berth's certificate (PEM); kube-scheduler reads it only at start
    #[arg(long, env = "BERTH_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Kubeconfig of the cluster from which to read the CA (Secret berth-tls, or webhook configuration
    /// berth) and the address (Service berth), unless --ca and --url are set
    #[arg(long, env = "BERTH_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig [default: its current one]
    #[arg(
        long,
        env = "BERTH_CONTEXT",
        value_name = "NAME",
        requires = "kubeconfig"
    )]
    pub context: Option<String>,

    /// Namespace of berth [default: berth-system]
    #[arg(
        long,
        env = "BERTH_NAMESPACE",
        value_name = "NAME",
        requires = "kubeconfig"
    )]
    pub namespace: Option<ObjectName>,

    /// HTTPS URL of berth, as kube-scheduler reaches it [default: the DNS name of the Service berth; with
    /// --kubeconfig its address]
    #[arg(long, env = "BERTH_URL", value_name = "URL")]
    pub url: Option<String>,

    /// Name in berth's certificate, if the URL has an IP address, as kube-scheduler often needs because
    /// it has no cluster DNS
    #[arg(long, env = "BERTH_SERVER_NAME", value_name = "NAME")]
    pub server_name: Option<HostName>,

    /// Path of the client certificate on kube-scheduler's host, if berth runs with --client-ca or
    /// --scheduler-client-ca
    #[arg(
        long,
        env = "BERTH_CLIENT_CERT",
        value_name = "PATH",
        requires = "client_key"
    )]
    pub client_cert: Option<PathBuf>,

    /// Path of the client certificate's private key on kube-scheduler's host
    #[arg(
        long,
        env = "BERTH_CLIENT_KEY",
        value_name = "PATH",
        requires = "client_cert"
    )]
    pub client_key: Option<PathBuf>,

    /// Add a second stanza, by which berth binds the pods of VMs and prepares the network of a migration
    /// first (continuity.mode: Prepare)
    #[arg(long, env = "BERTH_BIND", value_parser = switch)]
    pub bind: bool,

    /// Print a whole kube-scheduler configuration instead of only the stanza
    #[arg(long, env = "BERTH_FULL", value_parser = switch)]
    pub full: bool,
}

/// The format of the log that a command line asks `berth serve` for, where it can't be parsed as a
/// whole: `line` is without the program's name.
#[must_use]
pub fn log_format(line: &[String]) -> Option<LogFormat> {
    if line.first()? != "serve" {
        return None;
    }
    let mut pairs = line.windows(2);
    let separate = pairs.find_map(|pair| (pair[0] == "--log-format").then(|| pair[1].clone()));
    let mut words = line.iter();
    let joined = words.find_map(|word| word.strip_prefix("--log-format="));
    let value = separate.or_else(|| joined.map(str::to_owned));
    let value = value.or_else(|| env::var("BERTH_LOG_FORMAT").ok())?;
    value.parse().ok()
}
