//! The names that a cluster or a snapshot has, for completion. What can't be read has none.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::ArgMatches;
use futures_util::future::join_all;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};

use crate::api::client;
use crate::args::Program;
use crate::domain::Network;
use crate::fleet::Fleet;
use crate::fleet::judge::Body;
use crate::fleet::kind::Kind;
use crate::fleet::load;

/// The longest that a person waits for names.
const DEADLINE: Duration = Duration::from_secs(2);

/// What has the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    /// VMs, and VMIs without one.
    Vm,
    /// Nodes.
    Node,
    /// Namespaces.
    Namespace,
    /// The contexts of the kubeconfig.
    Context,
}

/// Where the names are read from, by the flags of a line and the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct NameSource {
    snapshot: Option<PathBuf>,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
    namespace: Option<String>,
    all_namespaces: bool,
}

impl NameSource {
    /// By the words of a line that may not be complete.
    pub(super) fn of(words: &[OsString]) -> Self {
        let program = Program::PluginCompletion;
        let name = [OsStr::new(program.name())].into_iter();
        let line = name.chain(words.iter().map(OsString::as_os_str));
        let command = program.command().ignore_errors(true);
        let Ok(matches) = command.try_get_matches_from(line) else {
            return Self::default();
        };
        let mut matches = &matches;
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        Self {
            snapshot: value(matches, "snapshot"),
            kubeconfig: value(matches, "kubeconfig"),
            context: value(matches, "context"),
            namespace: value(matches, "namespace"),
            all_namespaces: value(matches, "all_namespaces").unwrap_or_default(),
        }
    }

    /// The names, in order.
    pub(super) fn read(&self, kind: NameKind) -> BTreeSet<String> {
        let from = self.clone();
        let names = within(DEADLINE, move || from.find(kind));
        names.flatten().unwrap_or_default()
    }

    fn find(&self, kind: NameKind) -> Option<BTreeSet<String>> {
        let kinds: &[Kind] = match kind {
            NameKind::Vm => &[Kind::VirtualMachine, Kind::VirtualMachineInstance],
            NameKind::Node => &[Kind::Node],
            NameKind::Namespace => &[Kind::Namespace],
            NameKind::Context => {
                let contexts = client::contexts(self.kubeconfig.as_deref()).ok()?;
                return Some(contexts.into_iter().collect());
            }
        };
        if let Some(path) = &self.snapshot {
            let fleet = load::from_file(path, &Network::default()).ok()?.fleet;
            return Some(
                kinds
                    .iter()
                    .flat_map(|kind| self.of_fleet(&fleet, *kind))
                    .collect(),
            );
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.ok()?.block_on(self.of_cluster(kinds))
    }

    fn of_fleet(&self, fleet: &Fleet, kind: Kind) -> Vec<String> {
        let namespace = self.namespace.as_deref().unwrap_or("default");
        let is_asked = |body: &Body<'_>| self.all_namespaces || body.namespace() == namespace;
        let name = |body: Body<'_>| body.name().to_owned();
        match kind {
            Kind::Node => fleet.nodes.keys().cloned().collect(),
            Kind::Namespace => fleet.namespaces.keys().cloned().collect(),
            _ => Body::all(fleet).filter(is_asked).map(name).collect(),
        }
    }

    async fn of_cluster(&self, kinds: &[Kind]) -> Option<BTreeSet<String>> {
        let context = self.context.as_deref();
        let connected = client::choose(self.kubeconfig.as_deref(), context);
        let connected = connected.await.ok()?;
        let lists = kinds.iter().map(|kind| async {
            let resource = resource(*kind);
            let client = connected.client.clone();
            let api: Api<DynamicObject> = if kind.is_namespaced() && !self.all_namespaces {
                let namespace = self.namespace.as_ref().unwrap_or(&connected.namespace);
                Api::namespaced_with(client, namespace, &resource)
            } else {
                Api::all_with(client, &resource)
            };
            api.list_metadata(&ListParams::default()).await
        });
        let listed = join_all(lists).await.into_iter().flatten().flatten();
        Some(listed.filter_map(|object| object.metadata.name).collect())
    }
}

/// The value of a flag, where the command has such a flag of this type.
fn value<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, flag: &str) -> Option<T> {
    matches.try_get_one(flag).ok()?.cloned()
}

fn resource(kind: Kind) -> ApiResource {
    let kind_of_group = GroupVersionKind::gvk(kind.group(), kind.version(), kind.name());
    ApiResource::from_gvk_with_plural(&kind_of_group, kind.plural())
}

/// What work comes to if it ends in time. It may block, as a credential plugin of the kubeconfig does; the
/// end of the program ends it.
fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(work()));
    receive.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_a_line_say_where_names_are_read_from() {
        let of = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let names = NameSource::of(&words);
            (names.context, names.namespace, names.all_namespaces)
        };
        let text = |text: &str| Some(text.to_owned());
        for (line, expect) in [
            ("check", (None, None, false)),
            ("check -n a --context b web", (text("b"), text("a"), false)),
            ("check -A --node", (None, None, true)),
            ("check --context b -n", (text("b"), None, false)),
            ("check --context b -o", (text("b"), None, false)),
            ("drain --context b", (text("b"), None, false)),
            ("moor -n a", (None, None, false)),
        ] {
            assert_eq!(of(line), expect, "{line}");
        }
    }

    #[test]
    fn work_that_takes_longer_than_its_limit_is_left() {
        let (_send, never) = mpsc::channel::<()>();
        let limit = Duration::from_millis(1);
        assert_eq!(within(limit, move || never.recv().is_ok()), None);
        assert_eq!(within(DEADLINE, || 1), Some(1));
    }
}
