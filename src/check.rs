//! `berth check`: whether VMs can migrate, where to, and why not. It only reads.

pub mod cluster;
pub mod install;
pub mod output;
pub mod report;
pub mod suppress;
pub mod text;

use std::collections::BTreeSet;
use std::io::Write;

use crate::args::fleet::{Check, FailOn};
use crate::check::cluster::{Cluster, ClusterError, Scope};
use crate::check::install::report::InstallationReport;
use crate::check::output::WriteError;
use crate::check::report::{CheckReport, Item};
use crate::check::suppress::{SuppressError, Suppressions};
use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::decide::codes::Code;
use crate::fleet::Fleet;
use crate::fleet::finding::{Finding, Summary, Verdict};
use crate::fleet::judge::{Body, Judge, Judgement, Kind};
use crate::fleet::kind;
use crate::fleet::load::Loaded;
use crate::layout::Layout;

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The cluster can't be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A VM that was named is not there.
    #[error("there is no VM {0}; -n NAMESPACE selects another namespace, -A all of them")]
    NoVm(String),
    /// No namespace has a VM that was named.
    #[error("there is no VM {0:?} in any namespace")]
    NoVmAnywhere(String),
    /// A VM that was named is not among those that were read, and those are not all.
    #[error("whether there is a VM {0} is not known: {1}")]
    NotListed(String, String),
    /// The namespace is not there.
    #[error("there is no namespace {0:?}")]
    NoNamespace(String),
    /// The node that was named is not there.
    #[error("there is no node {0:?}")]
    NoNode(String),
    /// A VM that was named is damaged.
    #[error("the VM is not judged, because an object could not be read: {0}")]
    Damaged(String),
    /// There is a VM of this name, and no VMI.
    #[error(
        "VMI {0} does not exist, because the VM does not run; vm/{1} judges the VM by its template"
    )]
    DoesNotRun(String, String),
    /// There is a VMI of this name, and no VM.
    #[error("VM {0} does not exist; vmi/{1} judges the VMI of this name")]
    NotOfAVm(String, String),
    /// The kind is not a VM.
    #[error("{0:?} is not a VM: write NAME, vm/NAME or vmi/NAME")]
    NotAVm(String),
    /// There is a namespace where a kind should be.
    #[error("{0:?} is not a VM: for the VM of namespace {1}, write -n {1} {2}")]
    NamespaceBeforeName(String, String, String),
    /// What is suppressed can't be.
    #[error(transparent)]
    Suppress(#[from] SuppressError),
    /// The answer can't be written.
    #[error(transparent)]
    Output(#[from] WriteError),
}

/// Checks the VMs that are asked for, and gives the exit code: 0: all can migrate; 1: there are warnings; 2: some
/// can't; 3: some could not be judged.
///
/// # Errors
/// Nothing could be checked.
pub async fn run(args: &Check, layout: Layout, out: &mut dyn Write) -> Result<u8, CheckError> {
    let is_installation = args.installation.install || args.installation.pre;
    if args.schema.is_asked {
        if is_installation {
            output::write_schema::<InstallationReport>(out)?;
        } else {
            output::write_schema::<CheckReport<'static>>(out)?;
        }
        return Ok(0);
    }
    let suppressed = Suppressions::parse(&args.suppress.codes)?;
    if is_installation {
        return Box::pin(install::run(args, &suppressed, layout, out)).await;
    }
    let cluster = Cluster::read(&args.fleet, Scope::from(&args.scope)).await?;
    let namespace = (!args.scope.all_namespaces).then_some(cluster.namespace.as_str());
    suppressed.warn(&cluster.loaded.fleet, namespace);
    let report = report(args, &cluster, &suppressed)?;
    let warns = report
        .items
        .iter()
        .any(|item| item.counted == Verdict::Warning);
    // A VM that is named and damaged is an error already.
    let is_asked = |key: &ObjectKey| {
        args.vms.is_empty() && namespace.is_none_or(|namespace| key.is_in(namespace))
    };
    let is_unanswered = cluster.is_unanswered(is_asked);
    output::write_report(
        &report,
        args.answer.output.format,
        layout,
        out,
        |layout| text::table(&report, layout),
        || text::short(&report, layout),
    )?;
    Ok(exit_code(
        report.counted(),
        warns,
        args.answer.fail_on,
        is_unanswered,
    ))
}

/// Judges the VMs that are asked for.
fn report<'l>(
    args: &Check,
    cluster: &'l Cluster,
    suppressed: &Suppressions<'_>,
) -> Result<CheckReport<'l>, CheckError> {
    let fleet = &cluster.loaded.fleet;
    let bodies = selected(args, cluster)?;
    if let Some(node) = &args.node
        && !fleet.nodes.contains_key(node)
        && !fleet.may_have(kind::Kind::Node, &ObjectKey::new("", node))
    {
        return Err(CheckError::NoNode(node.clone()));
    }
    let mut of_cluster = cluster.findings();
    of_cluster.retain(|found| !suppressed.leave_out(found, None));
    let mut judge = Judge::new(fleet, &cluster.snapshot, &cluster.policy);
    let mut items = Vec::new();
    if !of_cluster.is_empty() {
        items.push(Item::of_cluster(&of_cluster));
    }
    for body in bodies {
        let mut judgement = judge.judge(body);
        if let Some(node) = &args.node {
            narrow(&mut judgement, node);
        }
        items.push(Item::new(&judgement, |found| {
            suppressed.leave_out(found, Some(&body))
        }));
    }
    Ok(CheckReport::new(items))
}

/// Leaves one node in a judgement.
fn narrow(judgement: &mut Judgement<'_>, node: &str) {
    judgement.targets.retain(|target| *target == node);
    judgement.findings.retain(|found| {
        !matches!(found.code, Code::Cause(Cause::NoTarget | Cause::OneTarget))
            && (found.nodes.is_empty() || found.nodes.contains(&node))
    });
    for found in &mut judgement.findings {
        found.nodes.retain(|named| *named == node);
    }
    if judgement.targets.is_empty() && judgement.are_targets_known {
        judgement
            .findings
            .insert(0, Finding::of(Cause::NodeDoesNotFit, node));
    }
    judgement.verdict = Verdict::of(&judgement.findings);
}

/// The VMs of a namespace, or of all.
pub(crate) fn bodies<'l>(
    fleet: &'l Fleet,
    namespace: Option<&str>,
) -> Result<Vec<Body<'l>>, CheckError> {
    let known = &fleet.namespaces;
    if let Some(namespace) = namespace
        && !known.is_empty()
        && !known.contains_key(namespace)
    {
        return Err(CheckError::NoNamespace(namespace.to_owned()));
    }
    let is_asked =
        |body: &Body<'_>| namespace.is_none_or(|namespace| body.namespace() == namespace);
    Ok(Body::all(fleet).filter(is_asked).collect())
}

/// The VMs that are asked for.
fn selected<'l>(args: &Check, cluster: &'l Cluster) -> Result<Vec<Body<'l>>, CheckError> {
    let namespace = &cluster.namespace;
    let fleet = &cluster.loaded.fleet;
    let asked = (!args.scope.all_namespaces).then_some(namespace.as_str());
    let bodies = bodies(fleet, asked)?;
    if args.vms.is_empty() {
        return Ok(bodies);
    }
    let mut names = BTreeSet::new();
    for word in &args.vms {
        let (kind, name) = named_vm(word).ok_or_else(|| not_a_vm(word, fleet))?;
        let of_name = bodies.iter().filter(|body| body.name() == name);
        let of_name: Vec<Body<'l>> = of_name.copied().collect();
        if of_name.is_empty() {
            return Err(match asked {
                Some(namespace) => no_vm(kind, &ObjectKey::new(namespace, name), &cluster.loaded),
                None => match cluster.loaded.why_unlisted(kind) {
                    Some(why) => CheckError::NotListed(name.to_owned(), why),
                    None => CheckError::NoVmAnywhere(name.to_owned()),
                },
            });
        }
        require_kind(kind, &of_name, &cluster.loaded)?;
        names.insert(name);
    }
    Ok(bodies
        .into_iter()
        .filter(|body| names.contains(body.name()))
        .collect())
}

/// One of the VMs of a name has to be of the kind that is asked for. Where that kind could not be listed, the
/// judgement of the VM says so.
pub(crate) fn require_kind(
    kind: Option<Kind>,
    named: &[Body<'_>],
    loaded: &Loaded,
) -> Result<(), CheckError> {
    let (Some(kind), Some(body)) = (kind, named.first()) else {
        return Ok(());
    };
    let is_asked = |body: &Body<'_>| body.is(kind) || body.lacks_vmi(&loaded.fleet).is_some();
    let mut refused = loaded.not_allowed.iter();
    if named.iter().any(is_asked) || refused.any(|(refused, _)| *refused == object_kind(kind)) {
        return Ok(());
    }
    Err(match (no_vm(Some(kind), body.key, loaded), kind) {
        (CheckError::NoVm(key), Kind::VirtualMachine) => {
            CheckError::NotOfAVm(key, body.name().to_owned())
        }
        (CheckError::NoVm(key), Kind::VirtualMachineInstance) => {
            CheckError::DoesNotRun(key, body.name().to_owned())
        }
        (unread, _) => unread,
    })
}

/// The kind of the object.
const fn object_kind(kind: Kind) -> kind::Kind {
    match kind {
        Kind::VirtualMachine => kind::Kind::VirtualMachine,
        Kind::VirtualMachineInstance => kind::Kind::VirtualMachineInstance,
    }
}

/// Why a word names no VM. A namespace before the name is a habit from other tools.
fn not_a_vm(word: &str, fleet: &Fleet) -> CheckError {
    match word.split_once('/') {
        Some((namespace, name)) if fleet.namespaces.contains_key(namespace) => {
            CheckError::NamespaceBeforeName(word.to_owned(), namespace.to_owned(), name.to_owned())
        }
        _ => CheckError::NotAVm(word.to_owned()),
    }
}

/// Why a VM is not there: perhaps because it is damaged, or because not all were read.
fn no_vm(kind: Option<Kind>, key: &ObjectKey, loaded: &Loaded) -> CheckError {
    let mut unreadable = loaded.unreadable.iter();
    let damaged = unreadable.find(|(kind, damaged, _)| {
        matches!(
            kind,
            kind::Kind::VirtualMachine | kind::Kind::VirtualMachineInstance
        ) && damaged == key
    });
    match (damaged, loaded.why_unlisted(kind)) {
        (Some((kind, _, problem)), _) => {
            CheckError::Damaged(format!("{} {key}: {problem}", kind.name()))
        }
        (None, Some(why)) => CheckError::NotListed(key.to_string(), why),
        (None, None) => CheckError::NoVm(key.to_string()),
    }
}

/// The kind, if there is one, and the name in `NAME`, `vm/NAME` or `vmi/NAME`.
pub(crate) fn named_vm(word: &str) -> Option<(Option<Kind>, &str)> {
    let (kind, name) = match word.split_once('/') {
        None => (None, word),
        Some((kind, name)) => (Some(kind_of(kind)?), name),
    };
    (!name.is_empty()).then_some((kind, name))
}

/// The kind of this name, as in `vm/NAME`.
fn kind_of(name: &str) -> Option<Kind> {
    match name.to_ascii_lowercase().as_str() {
        "vm" | "vms" | "virtualmachine" | "virtualmachines" => Some(Kind::VirtualMachine),
        "vmi" | "vmis" | "virtualmachineinstance" | "virtualmachineinstances" => {
            Some(Kind::VirtualMachineInstance)
        }
        _ => None,
    }
}

/// The exit code for what the VMs got. `warns` is whether there is a warning, about a VM or the cluster.
pub(crate) fn exit_code(summary: Summary, warns: bool, fail_on: FailOn, is_unanswered: bool) -> u8 {
    if summary.unknown > 0 || is_unanswered {
        3
    } else if summary.blocked > 0 {
        2
    } else {
        u8::from(warns && fail_on == FailOn::Warning)
    }
}
