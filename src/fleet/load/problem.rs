//! What is wrong with an object, in words for people: serde's name Rust's types.

/// `spec.volumes is the integer `7`, not a list` for serde's ``invalid type: integer `7`, expected a sequence in
/// spec.volumes``. What has another form stays as it is.
pub(crate) fn in_words(problem: &str) -> String {
    let missing = problem.strip_prefix("missing field `");
    if let Some((name, object)) = missing.and_then(|text| text.split_once("` in ")) {
        return format!("{object}.{name} is missing");
    }
    let parts = problem.strip_prefix("invalid type: ");
    let parts = parts.and_then(|parts| parts.rsplit_once(", expected "));
    let Some((found, expected)) = parts else {
        return problem.to_owned();
    };
    let (expected, field) = match expected.split_once(" in ") {
        Some((expected, field)) => (expected, field),
        None => (expected, "the object"),
    };
    format!("{field} is {}, not {}", value(found), kind(expected))
}

/// What is there.
fn value(found: &str) -> String {
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "an object".to_owned(),
        "null" | "unit value" => "null".to_owned(),
        found => format!("the {found}"),
    }
}

/// What should be there.
fn kind(expected: &str) -> &str {
    let is_type = |name: &str| name.starts_with(|first: char| first.is_ascii_uppercase());
    let is_number = |name: &str| {
        let digits = name.strip_prefix(['i', 'u', 'f']);
        digits.is_some_and(|digits| digits.parse::<u8>().is_ok())
    };
    match expected {
        "a sequence" => "a list",
        "a map" => "an object",
        "Quantity" | "tuple struct Quantity" => "a quantity",
        "IntOrString" => "a number or a string",
        expected if expected.starts_with("struct ") || is_type(expected) => "an object",
        expected if is_number(expected) => "a number",
        expected => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_type_is_said_without_the_names_of_rust() {
        for (problem, expect) in [
            (
                "invalid type: integer `7`, expected a sequence in spec.volumes",
                "spec.volumes is the integer `7`, not a list",
            ),
            (
                "invalid type: string \"x, expected y\", expected struct Template in spec.template",
                "spec.template is the string \"x, expected y\", not an object",
            ),
            (
                "invalid type: sequence, expected a map in metadata.labels",
                "metadata.labels is a list, not an object",
            ),
            (
                "invalid type: boolean `true`, expected Affinity in spec.affinity",
                "spec.affinity is the boolean `true`, not an object",
            ),
            (
                "invalid type: string \"many\", expected u32 in spec.domain.cpu.cores",
                "spec.domain.cpu.cores is the string \"many\", not a number",
            ),
            (
                "invalid type: sequence, expected Quantity in status.allocatable.cpu",
                "status.allocatable.cpu is a list, not a quantity",
            ),
            (
                "invalid type: integer `7`, expected struct Vm",
                "the object is the integer `7`, not an object",
            ),
            (
                "missing field `name` in metadata",
                "metadata.name is missing",
            ),
            ("EOF while parsing a value", "EOF while parsing a value"),
        ] {
            assert_eq!(in_words(problem), expect);
        }
    }
}
