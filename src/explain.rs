//! `berth explain CODE`: what a code means and what to do about it, without a cluster. `berth explain
//! vm/NAME`: what is judged of a VM.

pub mod vm;

use crate::args::{Explain, Program};
use crate::check::named_vm;
use crate::decide::codes::Code;

/// The text about a code or a VM, or the list of all codes.
///
/// # Errors
/// There is no such code or VM, or the cluster can't be read.
pub async fn run(args: &Explain) -> Result<String, String> {
    match args.what.as_deref().and_then(named_vm) {
        Some((Some(kind), name)) => {
            let explained = vm::run(args, kind, name).await;
            explained.map_err(|error| error.to_string())
        }
        _ => explain(args.what.as_deref()),
    }
}

/// The text about a code, or the list of all.
///
/// # Errors
/// There is no such code.
fn explain(code: Option<&str>) -> Result<String, String> {
    let Some(text) = code else {
        return Ok(Code::all().map(line).collect());
    };
    let Some(code) = Code::parse(text) else {
        let program = Program::current().name();
        return Err(format!(
            "there is no code {text:?}; `{program} explain` lists all of them"
        ));
    };
    let severity: &str = code.severity().into();
    let (id, name, title) = (code.id(), code.name(), code.text(Some("TYPE")));
    let mut parts = vec![
        format!("{id} {name} ({severity})\n{title}"),
        code.meaning().to_owned(),
        format!("What to do: {}", code.remedy()),
    ];
    if let Code::Advisory(advisory) = code {
        let row = advisory.row();
        parts.insert(2, format!("How it shows: {}", row.shows));
        parts.push(format!(
            "Affected: {}\nSource: {}",
            row.releases(),
            row.source
        ));
    }
    Ok(parts.join("\n\n") + "\n")
}

fn line(code: Code) -> String {
    let severity: &str = code.severity().into();
    let text = code.text(Some("TYPE"));
    format!("{}  {severity:9}  {text}\n", code.id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained_and_without_one_all_are_listed() {
        let text = explain(Some("machinetype")).unwrap();
        assert!(
            text.starts_with("BRT0102 MachineType (error)\nmachine type TYPE not supported\n\n")
        );
        assert!(text.contains("\n\nWhat to do: Migrate to nodes"));
        let text = explain(Some("0501")).unwrap();
        assert!(text.starts_with("BRT0501 MachineTypeIgnored (warning)\n"));
        assert!(text.ends_with(
            "\n\nAffected: KubeVirt before 1.5.1\nSource: https://github.com/kubevirt/kubevirt/issues/13664\n"
        ));
        let list = explain(None).unwrap();
        assert_eq!(list.lines().count(), Code::all().count());
        assert!(list.contains("\nBRT0910  unchecked  OVN's chassis are not judged\n"));
        assert_eq!(
            explain(Some("x")),
            Err("there is no code \"x\"; `berth explain` lists all of them".to_owned())
        );
    }
}
