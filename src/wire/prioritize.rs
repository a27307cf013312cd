//! The answer to the prioritize verb of kube-scheduler's extender API: `HostPriorityList`, which has
//! no place for an error. The call is that of the filter.

use serde::Serialize;

/// A node and its score.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostPriority<'a> {
    /// The node's name, as it was asked about.
    pub host: &'a str,
    /// From 0 to 10; more is better.
    pub score: u8,
}

/// The answer as JSON.
#[must_use]
pub fn host_priorities(scored: &[HostPriority<'_>]) -> Vec<u8> {
    super::encode(&scored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_list_in_the_order_of_the_call() {
        let scored = [("b", 10), ("a", 0)].map(|(host, score)| HostPriority { host, score });
        for (count, expect) in [
            (2, r#"[{"Host":"b","Score":10},{"Host":"a","Score":0}]"#),
            (0, "[]"),
        ] {
            let json = String::from_utf8(host_priorities(&scored[..count])).unwrap();
            assert_eq!(json, expect);
        }
    }
}
