//! Variables that begin with `BERTH_` and set nothing: a misspelt one would be ignored silently.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};

use super::Cli;
use crate::text::closest;

/// What every variable of berth begins with.
const PREFIX: &str = "BERTH_";

/// Each variable of the environment (name and value) that begins with `BERTH_` and sets nothing: its
/// name, and a hint at the closest one that does.
pub fn unknown_variables(
    environment: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    let mut known = BTreeSet::new();
    collect(&Cli::command(), &mut known);
    // What all of them have in common makes none of them close.
    let known: Vec<&str> = known
        .iter()
        .filter_map(|name| name.strip_prefix(PREFIX))
        .collect();
    let mut unknown = Vec::new();
    for (name, value) in environment {
        let Some(own) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if known.contains(&own) || is_service_link(&name, &value) {
            continue;
        }
        let hint = closest(own, &known).map_or_else(String::new, |close| {
            format!(" (did you mean {PREFIX}{close}?)")
        });
        unknown.push((name, hint));
    }
    unknown
}

fn collect(command: &Command, known: &mut BTreeSet<String>) {
    let variables = command.get_arguments().filter_map(|arg| arg.get_env());
    known.extend(variables.map(|name| name.to_string_lossy().into_owned()));
    for inner in command.get_subcommands() {
        collect(inner, known);
    }
}

/// What the kubelet sets for a Service whose name begins with `berth`: `BERTH_SERVICE_HOST`,
/// `BERTH_PORT=tcp://10.96.0.1:443`, `BERTH_PORT_443_TCP_ADDR` and the like.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_port = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, rest)| is_port(rest))
        || (name.ends_with("_PORT") && value.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_variables_that_set_nothing_and_suggests_the_closest() {
        for (name, value, hint) in [
            (
                "BERTH_LOG_LEVL",
                "debug",
                Some(" (did you mean BERTH_LOG_LEVEL?)"),
            ),
            ("BERTH_XYZ", "1", Some("")),
            ("BERTH_ADMIN_PORT", "8080", Some("")),
            ("BERTH_LOG_LEVEL", "debug", None),
            ("BERTH_URL", "https://berth", None),
            ("BERT_LOG_LEVEL", "debug", None),
            ("PATH", "/bin", None),
            // The Services berth and berth-metrics, as the kubelet tells of them.
            ("BERTH_SERVICE_HOST", "10.96.0.77", None),
            ("BERTH_SERVICE_PORT", "443", None),
            ("BERTH_SERVICE_PORT_HTTPS", "443", None),
            ("BERTH_PORT", "tcp://10.96.0.77:443", None),
            ("BERTH_PORT_443_TCP", "tcp://10.96.0.77:443", None),
            ("BERTH_PORT_443_TCP_PROTO", "tcp", None),
            ("BERTH_PORT_443_TCP_ADDR", "10.96.0.77", None),
            ("BERTH_METRICS_SERVICE_HOST", "10.96.0.78", None),
            ("BERTH_METRICS_PORT_8080_TCP_PORT", "8080", None),
        ] {
            let unknown = unknown_variables([(name.to_owned(), value.to_owned())]);
            let expect = hint.map(|hint| (name.to_owned(), hint.to_owned()));
            assert_eq!(unknown, expect.into_iter().collect::<Vec<_>>(), "{name}");
        }
    }
}
