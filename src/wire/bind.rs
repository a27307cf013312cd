//! The bind verb of kube-scheduler's extender API: `ExtenderBindingArgs` and `ExtenderBindingResult`.

use serde::{Deserialize, Serialize};

use crate::wire::extender::ArgsError;
use crate::wire::{Text, encode, read_object};

/// A pod, and the node that kube-scheduler chose for it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BindingArgs<'a> {
    /// The name of the pod.
    #[serde(borrow)]
    pub pod_name: Text<'a>,
    /// The namespace of the pod.
    #[serde(borrow)]
    pub pod_namespace: Text<'a>,
    /// The UID of the pod.
    #[serde(borrow, rename = "PodUID")]
    pub pod_uid: Text<'a>,
    /// The name of the node.
    #[serde(borrow)]
    pub node: Text<'a>,
}

impl<'a> BindingArgs<'a> {
    /// Reads the body of a call.
    ///
    /// # Errors
    /// The body is not of the protocol.
    pub fn read(body: &'a str) -> Result<Self, ArgsError> {
        read_object(body).map_err(ArgsError::NotBinding)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BindingResult<'a> {
    error: &'a str,
}

/// The answer: empty for a pod that is bound, or else why it is not.
#[must_use]
pub fn binding_result(error: &str) -> Vec<u8> {
    encode(&BindingResult { error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_by_the_names_of_its_fields_in_go() {
        let body = r#"{"PodName":"p","PodNamespace":"ns","PodUID":"u","Node":"n"}"#;
        let args = BindingArgs::read(body).unwrap();
        let texts = [
            &args.pod_name,
            &args.pod_namespace,
            &args.pod_uid,
            &args.node,
        ];
        assert_eq!(texts.map(Text::as_str), ["p", "ns", "u", "n"]);
        for body in ["", "[]", "null", r#"{"PodName":"p"}"#, r#"{"Node":1}"#] {
            let error = BindingArgs::read(body).unwrap_err();
            assert!(error.is_protocol_error(), "{body}: {error}");
        }
    }

    #[test]
    fn an_answer_always_has_the_field_that_kube_scheduler_looks_at() {
        for (error, expect) in [("", r#"{"Error":""}"#), ("no", r#"{"Error":"no"}"#)] {
            assert_eq!(binding_result(error), expect.as_bytes());
        }
    }
}
