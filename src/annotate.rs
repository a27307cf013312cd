//! `berth annotate`: the VMs that are there already and lack the annotation that berth's webhook gives to
//! new ones. It writes with `--apply` alone.

pub mod apply;
pub mod objects;
pub mod report;

use std::collections::BTreeSet;

use indicatif::{ProgressBar, ProgressStyle};

use crate::annotate::apply::{Outcome, Patcher};
use crate::annotate::objects::{Lacks, Survey, SurveyError};
use crate::annotate::report::{AnnotateReport, Mode};
use crate::api::{ClientError, client};
use crate::args::fleet::Annotate;
use crate::check::output::{Answer, print_plan};
use crate::check::{cluster, named_vm};
use crate::cluster::object::ObjectKey;
use crate::config::ConfigError;
use crate::decide::retrofit::{Gap, Step};
use crate::fleet::judge;
use crate::layout::Layout;
use crate::wire::kubevirt::Kind;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum AnnotateError {
    /// No client for the cluster can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The objects can't be read.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// A VM that was named is not there.
    #[error("there is no VM {0}; -n NAMESPACE selects another namespace, -A all of them")]
    NoVm(String),
    /// A VM that was named is not in the file, which has none of its kind.
    #[error("whether there is a VM {vm} is not known: the file has no {plural}")]
    NotInFile {
        /// The VM.
        vm: String,
        /// Its kind.
        plural: &'static str,
    },
    /// The kind is not a VM.
    #[error("{0:?} is not a VM: write NAME, vm/NAME or vmi/NAME")]
    NotAVm(String),
}

/// Finds the objects that lack the annotation, and patches them or asks the API server what it would do.
///
/// # Errors
/// The cluster can't be read, or a VM that is named is not there.
pub async fn run(args: &Annotate, layout: Layout) -> Result<Answer, AnnotateError> {
    let network = cluster::config(&args.fleet)?.network();
    let asked = args.scope.namespace.as_deref();
    if let Some(path) = &args.fleet.snapshot {
        let survey = objects::from_file(path, &network)?;
        let namespace = (!args.scope.all_namespaces).then(|| asked.unwrap_or("default"));
        let chosen = chosen(args, &survey, namespace)?;
        let objects: Vec<_> = chosen.into_iter().map(|lacks| (lacks, None)).collect();
        return Ok(answer(args, Mode::Snapshot, &objects, &survey, layout));
    }
    let kubeconfig = args.fleet.kubeconfig.as_deref();
    let connected = client::choose(kubeconfig, args.fleet.context.as_deref()).await;
    let connected = connected.map_err(|error| if args.apply { error } else { error.or_file() })?;
    let namespace = asked.unwrap_or(&connected.namespace);
    let namespace = (!args.scope.all_namespaces).then_some(namespace);
    let survey = objects::from_api(&connected.client, &network, namespace).await?;
    let chosen = chosen(args, &survey, namespace)?;
    let is_patched = |lacks: &&Lacks| matches!(lacks.step, Step::Patch(_));
    let to_patch: Vec<&Lacks> = chosen.iter().copied().filter(is_patched).collect();
    let patcher = Patcher {
        client: &connected.client,
        rules: &survey.rules,
        is_dry_run: !args.apply,
    };
    let bar = progress(to_patch.len());
    let outcomes = patcher.patch_all(&to_patch, || bar.inc(1)).await;
    bar.finish_and_clear();
    let mut outcomes = outcomes.into_iter();
    let objects = chosen.into_iter().map(|lacks| {
        let outcome = if is_patched(&lacks) {
            outcomes.next()
        } else {
            None
        };
        (lacks, outcome)
    });
    let objects: Vec<_> = objects.collect();
    let mode = if args.apply {
        Mode::Apply
    } else {
        Mode::DryRun
    };
    Ok(answer(args, mode, &objects, &survey, layout))
}

/// A bar on standard error; nothing where that is not a terminal.
fn progress(count: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or_default());
    match ProgressStyle::with_template("{bar:40} {pos} of {len}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// The objects that are asked about.
fn chosen<'s>(
    args: &Annotate,
    survey: &'s Survey,
    namespace: Option<&str>,
) -> Result<Vec<&'s Lacks>, AnnotateError> {
    if let Some(namespace) = namespace {
        survey.require_namespace(namespace)?;
    }
    let mut names: BTreeSet<(Kind, &str)> = BTreeSet::new();
    for word in &args.vms {
        let (kind, name) = named_vm(word).ok_or_else(|| AnnotateError::NotAVm(word.clone()))?;
        let kinds: &[Kind] = match kind {
            None => &[Kind::VirtualMachine, Kind::VirtualMachineInstance],
            Some(judge::Kind::VirtualMachine) => &[Kind::VirtualMachine],
            Some(judge::Kind::VirtualMachineInstance) => &[Kind::VirtualMachineInstance],
        };
        let is_there = |kind: &Kind| match namespace {
            Some(namespace) => survey
                .known
                .contains(&(*kind, ObjectKey::new(namespace, name))),
            None => survey
                .known
                .iter()
                .any(|(known, key)| known == kind && key.beside(name) == *key),
        };
        if !kinds.iter().any(is_there) {
            let absent = kinds.iter().find(|kind| survey.absent.contains(kind));
            return Err(match absent {
                Some(kind) => AnnotateError::NotInFile {
                    vm: word.clone(),
                    plural: objects::plural(*kind),
                },
                None => AnnotateError::NoVm(word.clone()),
            });
        }
        names.extend(kinds.iter().map(|kind| (*kind, name)));
    }
    let is_chosen = |lacks: &&Lacks| {
        let is_named = names.is_empty() || names.contains(&(lacks.kind, lacks.name.as_str()));
        is_named && namespace.is_none_or(|namespace| lacks.namespace == namespace)
    };
    Ok(survey.lacking.iter().filter(is_chosen).collect())
}

fn answer(
    args: &Annotate,
    mode: Mode,
    objects: &[(&Lacks, Option<Outcome>)],
    survey: &Survey,
    layout: Layout,
) -> Answer {
    let has_unread_namespace = objects
        .iter()
        .any(|(lacks, _)| lacks.step == Step::Unknown(Gap::Namespace));
    let is_partial = survey.is_partial || has_unread_namespace;
    let report = AnnotateReport::new(mode, objects, &survey.findings, is_partial);
    Answer {
        code: report.exit_code(args.answer.fail_on),
        text: print_plan(&report, args.answer.output.format, || report.text(layout)),
    }
}
