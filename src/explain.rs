//! `berth explain CODE`: what a code means and what to do about it, without a cluster.

use crate::decide::codes::Code;

/// The text about a code, or the list of all.
///
/// # Errors
/// There is no such code.
pub fn explain(code: Option<&str>) -> Result<String, String> {
    let Some(text) = code else {
        return Ok(Code::all().map(line).collect());
    };
    let Some(code) = Code::parse(text) else {
        return Err(format!(
            "there is no code {text:?}; `berth explain` lists all of them"
        ));
    };
    let severity: &str = code.severity().into();
    Ok(format!(
        "{} {} ({severity})\n{}\n\n{}\n\nWhat to do: {}\n",
        code.id(),
        code.name(),
        code.text(Some("TYPE")),
        code.meaning(),
        code.remedy(),
    ))
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
        let list = explain(None).unwrap();
        assert_eq!(list.lines().count(), Code::all().count());
        assert!(list.contains("\nBRT0910  unchecked  OVN's chassis are not judged\n"));
        assert_eq!(
            explain(Some("x")),
            Err("there is no code \"x\"; `berth explain` lists all of them".to_owned())
        );
    }
}
