//! The form that objects are sent in: whole, or their metadata alone if the client accepts that.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::kinds::Kind;
use super::object::Object;

const GROUP: &str = "meta.k8s.io/v1";
const KIND: &str = "PartialObjectMetadata";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    Metadata,
}

impl Form {
    /// The form that a request accepts.
    pub(crate) fn accepted(accept: &str) -> Self {
        if accept.contains(KIND) {
            Self::Metadata
        } else {
            Self::Whole
        }
    }

    /// The kind and apiVersion of what is sent.
    pub(crate) fn type_of(self, kind: &Kind) -> (&'static str, Cow<'static, str>) {
        match self {
            Self::Whole => (kind.name, kind.api_version().into()),
            Self::Metadata => (KIND, GROUP.into()),
        }
    }

    pub(crate) fn of(self, object: &Object) -> Cow<'_, str> {
        match self {
            Self::Whole => object.json().into(),
            Self::Metadata => metadata(object.json()).into(),
        }
    }
}

fn metadata(object: &str) -> String {
    #[derive(Deserialize)]
    struct Partial<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    let metadata = serde_json::from_str(object)
        .map_or("{}", |Partial { metadata }: Partial<'_>| metadata.get());
    format!(r#"{{"kind":"{KIND}","apiVersion":"{GROUP}","metadata":{metadata}}}"#)
}
