//! `berth check`: whether VMs can migrate, where to, and why not. It only reads.

pub mod cluster;
pub mod install;
pub mod report;
pub mod text;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::args::Program;
use crate::args::fleet::{Check, FailOn, Output, PlanOutput};
use crate::check::cluster::{Cluster, ClusterError, Scope};
use crate::check::install::report::InstallationReport;
use crate::check::report::{CheckReport, Item};
use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::decide::codes::Code;
use crate::fleet::Fleet;
use crate::fleet::finding::{Finding, Summary, Verdict};
use crate::fleet::judge::{Body, Judge, Judgement, Kind};
use crate::fleet::kind;
use crate::fleet::load::Loaded;
use crate::layout::Layout;

/// What a check comes to.
#[derive(Debug)]
pub struct Answer {
    /// The text for standard output.
    pub text: String,
    /// 0: all can migrate; 1: there are warnings; 2: some can't; 3: some could not be judged.
    pub code: u8,
}

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
    /// A VM that was named is not in the file, which has none of its kind.
    #[error("whether there is a VM {0} is not known: the file has no {1}")]
    NotInFile(String, &'static str),
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
    /// What is suppressed is not written as it has to be.
    #[error(
        "--suppress {0:?}: write CODE or CODE=KIND/NAMESPACE/NAME, as in BRT0413=vm/default/web"
    )]
    Suppress(String),
    /// A code that there is not.
    #[error("--suppress {0:?}: there is no code {1:?}; `{program} explain` lists all of them", program = Program::current().name())]
    NoCode(String, String),
}

/// Checks the VMs that are asked for.
///
/// # Errors
/// Nothing could be checked.
pub async fn run(args: &Check, layout: Layout) -> Result<Answer, CheckError> {
    let is_installation = args.installation.install || args.installation.pre;
    if args.schema {
        let schema = if is_installation {
            schemars::schema_for!(InstallationReport)
        } else {
            schemars::schema_for!(CheckReport<'static>)
        };
        return Ok(Answer {
            text: format!("{:#}\n", schema.to_value()),
            code: 0,
        });
    }
    let suppressed = args
        .suppress
        .iter()
        .map(|text| Suppressed::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    if is_installation {
        return Box::pin(install::run(args, &suppressed, layout)).await;
    }
    let cluster = Cluster::read(&args.fleet, Scope::from(&args.scope)).await?;
    let report = report(args, &cluster, &suppressed)?;
    let warns = report
        .items
        .iter()
        .any(|item| item.counted == Verdict::Warning);
    // A VM that is named and damaged is an error already.
    let is_asked = |key: &ObjectKey| {
        args.vms.is_empty() && (args.scope.all_namespaces || key.is_in(&cluster.namespace))
    };
    let is_unanswered = cluster.is_unanswered(is_asked);
    Ok(Answer {
        text: print_report(
            &report,
            args.answer.output.format,
            layout,
            |layout| text::table(&report, layout),
            || text::short(&report, layout),
        ),
        code: exit_code(report.counted(), warns, args.answer.fail_on, is_unanswered),
    })
}

/// Judges the VMs that are asked for.
fn report<'l>(
    args: &Check,
    cluster: &'l Cluster,
    suppressed: &[Suppressed<'_>],
) -> Result<CheckReport<'l>, CheckError> {
    let fleet = &cluster.loaded.fleet;
    let bodies = selected(args, cluster)?;
    if let Some(node) = &args.node
        && !fleet.nodes.contains_key(node)
        && !fleet.may_have(kind::Kind::Node, &ObjectKey::new("", node))
    {
        return Err(CheckError::NoNode(node.clone()));
    }
    let is_suppressed = |found: &Finding<'_>, body: Option<&Body<'_>>| {
        let mut rules = suppressed.iter();
        rules.any(|rule| rule.matches(found.code, body))
    };
    let mut of_cluster = cluster.findings();
    of_cluster.retain(|found| !is_suppressed(found, None));
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
            is_suppressed(found, Some(&body))
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
                Some(namespace) => no_vm(kind, &ObjectKey::new(namespace, name), cluster),
                None => match cluster.loaded.lacks(kind) {
                    Some(absent) => CheckError::NotInFile(name.to_owned(), absent.plural()),
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

/// One of the VMs of a name has to be of the kind that is asked for.
pub(crate) fn require_kind(
    kind: Option<Kind>,
    named: &[Body<'_>],
    loaded: &Loaded,
) -> Result<(), CheckError> {
    let Some(kind) = kind else { return Ok(()) };
    let is_asked = |body: &Body<'_>| body.is(kind) || body.lacks_vmi(&loaded.fleet).is_some();
    match named.first() {
        Some(body) if !named.iter().any(is_asked) => {
            let (key, name) = (body.key.to_string(), body.name().to_owned());
            Err(match (loaded.lacks(Some(kind)), kind) {
                (Some(absent), _) => CheckError::NotInFile(key, absent.plural()),
                (None, Kind::VirtualMachine) => CheckError::NotOfAVm(key, name),
                (None, Kind::VirtualMachineInstance) => CheckError::DoesNotRun(key, name),
            })
        }
        _ => Ok(()),
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

/// Why a VM is not there: perhaps because it is damaged.
fn no_vm(kind: Option<Kind>, key: &ObjectKey, cluster: &Cluster) -> CheckError {
    let mut unreadable = cluster.loaded.unreadable.iter();
    let damaged = unreadable.find(|(kind, damaged, _)| {
        matches!(
            kind,
            kind::Kind::VirtualMachine | kind::Kind::VirtualMachineInstance
        ) && damaged == key
    });
    match damaged {
        Some((kind, _, problem)) => {
            CheckError::Damaged(format!("{} {key}: {problem}", kind.name()))
        }
        None => match cluster.loaded.lacks(kind) {
            Some(absent) => CheckError::NotInFile(key.to_string(), absent.plural()),
            None => CheckError::NoVm(key.to_string()),
        },
    }
}

/// The kind, if there is one, and the name in `NAME`, `vm/NAME` or `vmi/NAME`.
pub(crate) fn named_vm(word: &str) -> Option<(Option<Kind>, &str)> {
    let (kind, name) = match word.split_once('/') {
        None => (None, word),
        Some((kind, name)) => {
            let kind = match kind {
                "vm" | "vms" | "virtualmachine" | "virtualmachines" => Kind::VirtualMachine,
                "vmi" | "vmis" | "virtualmachineinstance" | "virtualmachineinstances" => {
                    Kind::VirtualMachineInstance
                }
                _ => return None,
            };
            (Some(kind), name)
        }
    };
    (!name.is_empty()).then_some((kind, name))
}

/// A report or a plan in its format.
pub(crate) fn print_plan(
    plan: &impl Serialize,
    output: PlanOutput,
    text: impl FnOnce() -> String,
) -> String {
    match output {
        PlanOutput::Table => text(),
        // Strings, numbers and lists of them: nothing in a plan refuses to be written.
        PlanOutput::Json => serde_json::to_string_pretty(plan).unwrap_or_default() + "\n",
        PlanOutput::Yaml => serde_saphyr::to_string(plan).unwrap_or_default(),
    }
}

/// A code that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Suppressed<'a> {
    code: Code,
    /// Kind, namespace and name of the VM, unless it is left out of all.
    object: Option<(&'a str, &'a str, &'a str)>,
}

impl<'a> Suppressed<'a> {
    fn parse(text: &'a str) -> Result<Self, CheckError> {
        let refused = || CheckError::Suppress(text.to_owned());
        let (code, object) = match text.split_once('=') {
            Some((code, object)) => (code, Some(object)),
            None => (text, None),
        };
        let object = match object
            .map(|object| object.split('/').collect::<Vec<_>>())
            .as_deref()
        {
            None => None,
            Some([kind, namespace, name]) => Some((*kind, *namespace, *name)),
            Some(_) => return Err(refused()),
        };
        let known = Code::parse(code);
        let code = known.ok_or_else(|| CheckError::NoCode(text.to_owned(), code.to_owned()))?;
        Ok(Self { code, object })
    }

    /// Whether it leaves out this code of a VM, or of the cluster as a whole.
    fn matches(&self, code: Code, body: Option<&Body<'_>>) -> bool {
        let is_of = |(kind, namespace, name): (&str, &str, &str)| {
            let Some(body) = body else { return false };
            let kinds: &[&str] = match body.vm {
                Some(_) => &["vm", "virtualmachine"],
                None => &["vmi", "virtualmachineinstance"],
            };
            kinds.iter().any(|known| known.eq_ignore_ascii_case(kind))
                && namespace == body.namespace()
                && name == body.name()
        };
        self.code == code && self.object.is_none_or(is_of)
    }
}

/// A report in its format. `table` gets the layout of the format.
pub(crate) fn print_report(
    report: &impl Serialize,
    output: Output,
    layout: Layout,
    table: impl FnOnce(Layout) -> String,
    short: impl FnOnce() -> String,
) -> String {
    let wide = Layout {
        is_wide: true,
        ..layout
    };
    match output {
        Output::Table => table(layout),
        Output::Wide => table(wide),
        Output::Short => short(),
        // Strings, numbers and lists of them: nothing in a report refuses to be written.
        Output::Json => serde_json::to_string_pretty(report).unwrap_or_default() + "\n",
        Output::Yaml => serde_saphyr::to_string(report).unwrap_or_default(),
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
