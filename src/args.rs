//! The command line. Every flag can be set as `BERTH_…` in the environment as well; a flag comes
//! before the environment, and both before the configuration file.

use std::env;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::config::address::ListenAddress;
use crate::config::level::LogLevel;
use crate::config::log_format::LogFormat;
use crate::config::names::HostName;
use crate::config::names::ObjectName;
use crate::config::network::Provider;

pub mod usage;

use usage::switch;

/// A safe berth for every migrating VM: lets bridge-bound KubeVirt VMs migrate, and keeps them off
/// nodes where their machine type does not run or their network can't follow.
#[derive(Debug, Parser)]
#[command(name = "berth", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What berth can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve kube-apiserver (POST /mutate) and kube-scheduler (POST /scheduler/…) over HTTPS
    Serve(Box<Serve>),
    /// Show on a sample cluster what berth does: start the service, talk to it, check the answers
    Demo(Demo),
    /// Show or check the configuration file
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the `extenders:` stanza that makes kube-scheduler call berth
    SchedulerConfig(SchedulerConfig),
}

/// Flags of `berth serve`.
#[derive(Debug, Default, Args)]
pub struct Serve {
    /// Configuration file (YAML); see `berth config default`
    #[arg(long, env = "BERTH_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How to reach the API server of the cluster; without it and without a snapshot, berth asks
    /// as the pod that it runs in
    #[arg(long, env = "BERTH_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Cluster to decide on, instead of a live one: what `kubectl get KIND -A -o json` (or yaml) wrote,
    /// for the kinds nodes, pods, namespaces, vmi, vmim and kubevirts as far as they are there
    #[arg(
        long,
        env = "BERTH_SNAPSHOT",
        value_name = "FILE",
        conflicts_with = "kubeconfig"
    )]
    pub snapshot: Option<PathBuf>,

    /// Address for HTTPS [default: 127.0.0.1:8443; in a pod 0.0.0.0:8443]
    #[arg(long, env = "BERTH_LISTEN", value_name = "ADDR")]
    pub listen: Option<ListenAddress>,

    /// Address for plain HTTP: /livez, /readyz, /metrics [default: 127.0.0.1:8080; in a pod
    /// 0.0.0.0:8080]
    #[arg(long, env = "BERTH_ADMIN_LISTEN", value_name = "ADDR")]
    pub admin_listen: Option<ListenAddress>,

    /// Who brings OVN to the nodes: kube-ovn or ovn-kubernetes [default: kube-ovn]
    #[arg(long, env = "BERTH_NETWORK_PROVIDER", value_name = "PROVIDER")]
    pub network_provider: Option<Provider>,

    /// Servers of OVN's southbound database: tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH, with commas
    /// between them; without any it is not read
    #[arg(long, env = "BERTH_OVN_SB", value_name = "ENDPOINTS")]
    pub ovn_sb: Option<String>,

    /// Servers of OVN's northbound database, by which one replica asks all chassis whether they still
    /// answer; without any nobody asks
    #[arg(long, env = "BERTH_OVN_NB", value_name = "ENDPOINTS")]
    pub ovn_nb: Option<String>,

    /// Server certificate with its chain (PEM); a new one is taken when the file changes
    #[arg(long, env = "BERTH_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM)
    #[arg(long, env = "BERTH_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Secret with certificates that berth makes and renews by itself, in place of files
    #[arg(long, env = "BERTH_TLS_SECRET", value_name = "NAME")]
    pub tls_secret: Option<ObjectName>,

    /// Write that secret and the caBundle of berth's webhook configurations with --kubeconfig too;
    /// in a pod that needs no flag
    #[arg(long, env = "BERTH_MANAGE_CERTIFICATES", value_parser = switch)]
    pub manage_certificates: bool,

    /// CAs whose client certificates are accepted (PEM); with it every HTTPS client needs one
    #[arg(long, env = "BERTH_CLIENT_CA", value_name = "FILE")]
    pub client_ca: Option<PathBuf>,

    /// CAs whose client certificates open /scheduler/… (PEM); /mutate needs none of them
    #[arg(long, env = "BERTH_SCHEDULER_CLIENT_CA", value_name = "FILE")]
    pub scheduler_client_ca: Option<PathBuf>,

    /// How log lines are written: auto (for people on a terminal, else JSON), human or json [default: auto]
    #[arg(long, env = "BERTH_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Level (error, warn, info, debug, trace) or filter; `info,berth::decision=debug` logs every
    /// decision with its details [default: info]
    #[arg(long, env = "BERTH_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
}

/// Flags of `berth demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Leave the service running and print the curl commands that talk to it
    #[arg(long, env = "BERTH_KEEP", value_parser = switch)]
    pub keep: bool,
}

/// What to do with the configuration file.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the default configuration with a comment on every field
    Default,
    /// Check a configuration file, and whether the files that it names are there: exit 0, or say what
    /// is wrong and exit 1
    Check(ConfigCheck),
    /// Print the JSON Schema of the configuration file
    Schema,
}

/// Flags of `berth config check`.
#[derive(Debug, Args)]
pub struct ConfigCheck {
    /// The file; - is standard input
    pub file: PathBuf,

    /// Leave out the files that it names: they are elsewhere, as in berth's pod
    #[arg(long, env = "BERTH_SKIP_FILES", value_parser = switch)]
    pub skip_files: bool,
}

/// Flags of `berth scheduler-config`.
#[derive(Debug, Default, Args)]
#[command(group = ArgGroup::new("origin").args(["ca", "kubeconfig"]).required(true).multiple(true))]
pub struct SchedulerConfig {
    /// CA of berth's certificate (PEM); kube-scheduler reads it once, when it starts
    #[arg(long, env = "BERTH_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Read what --ca and --url do not say from the cluster of this kubeconfig: the CA from the Secret
    /// berth-tls or the webhook configuration berth, the address from the Service berth
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

    /// Namespace of berth in the cluster [default: berth-system]
    #[arg(
        long,
        env = "BERTH_NAMESPACE",
        value_name = "NAME",
        requires = "kubeconfig"
    )]
    pub namespace: Option<ObjectName>,

    /// Where kube-scheduler reaches berth: an https URL of host and port [default: the Service berth, by
    /// its name in the cluster's DNS, or by its address with --kubeconfig]
    #[arg(long, env = "BERTH_URL", value_name = "URL")]
    pub url: Option<String>,

    /// Name in berth's certificate, where it is not the host of the URL: kube-scheduler often has
    /// no cluster DNS and needs an IP address there
    #[arg(long, env = "BERTH_SERVER_NAME", value_name = "NAME")]
    pub server_name: Option<HostName>,

    /// Client certificate on kube-scheduler's host, where berth runs with --client-ca or
    /// --scheduler-client-ca
    #[arg(
        long,
        env = "BERTH_CLIENT_CERT",
        value_name = "PATH",
        requires = "client_key"
    )]
    pub client_cert: Option<PathBuf>,

    /// Private key of the client certificate on kube-scheduler's host
    #[arg(
        long,
        env = "BERTH_CLIENT_KEY",
        value_name = "PATH",
        requires = "client_cert"
    )]
    pub client_key: Option<PathBuf>,

    /// Print a whole configuration of kube-scheduler, not the stanza alone
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
