//! Label and field selectors.

use super::kinds::Kind;
use super::object::Object;
use super::request::Request;
use super::status::Status;

/// What a list or watch asks for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Selector {
    namespace: Option<String>,
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

#[derive(Debug, Clone)]
enum LabelTerm {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

#[derive(Debug, Clone)]
struct FieldTerm {
    field: Field,
    value: String,
    equal: bool,
}

#[derive(Debug, Clone, Copy)]
enum Field {
    Name,
    Namespace,
    NodeName,
    Phase,
}

impl Selector {
    fn new(
        kind: &Kind,
        namespace: Option<&str>,
        labels: &str,
        fields: &str,
    ) -> Result<Self, Box<Status>> {
        let terms = fields.split(',').filter(|term| !term.is_empty());
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            labels: label_terms(labels)
                .iter()
                .map(|term| LabelTerm::parse(term))
                .collect::<Result<_, _>>()?,
            fields: terms
                .map(|term| FieldTerm::parse(kind, term))
                .collect::<Result<_, _>>()?,
        })
    }

    /// What a request asks for.
    pub(crate) fn of(kind: &Kind, request: &Request) -> Result<Self, Box<Status>> {
        let parameter = |name| request.parameter(name).unwrap_or_default();
        Self::new(
            kind,
            request.namespace.as_deref(),
            parameter("labelSelector"),
            parameter("fieldSelector"),
        )
    }

    /// Whether nothing but the namespace is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether it is in the collection that was asked for, selected or not.
    pub(crate) fn covers(&self, object: &Object) -> bool {
        let namespace = self.namespace.as_ref();
        namespace.is_none_or(|namespace| object.key.split('/').next() == Some(namespace))
    }

    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.covers(object)
            && self.labels.iter().all(|term| term.matches(object))
            && self.fields.iter().all(|term| term.matches(object))
    }
}

/// Splits at the commas that are not between brackets.
fn label_terms(selector: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut inside = false;
    for c in selector.chars() {
        match c {
            ',' if !inside => terms.push(String::new()),
            _ => {
                inside = (inside || c == '(') && c != ')';
                terms.last_mut().unwrap().push(c);
            }
        }
    }
    terms.retain(|term| !term.trim().is_empty());
    terms
}

impl LabelTerm {
    fn parse(term: &str) -> Result<Self, Box<Status>> {
        let term = term.trim();
        let one = |value: &str| vec![value.trim().to_owned()];
        let key = |key: &str| {
            let key = key.trim();
            if key.is_empty() || key.contains(|c: char| c.is_whitespace() || "()<>".contains(c)) {
                return Err(Status::bad_request(format!(
                    "unable to parse requirement: found '{key}', expected: identifier"
                )));
            }
            Ok(key.to_owned())
        };
        if let Some((name, value)) = term.split_once("!=") {
            return Ok(Self::NotIn(key(name)?, one(value)));
        }
        if let Some((name, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            return Ok(Self::In(key(name)?, one(value)));
        }
        if let Some((head, values)) = term.strip_suffix(')').and_then(|term| term.split_once('(')) {
            let values = values
                .split(',')
                .map(|value| value.trim().to_owned())
                .collect();
            let head: Vec<_> = head.split_whitespace().collect();
            return match head[..] {
                [name, "in"] => Ok(Self::In(key(name)?, values)),
                [name, "notin"] => Ok(Self::NotIn(key(name)?, values)),
                _ => Err(Status::bad_request(format!(
                    "unable to parse requirement: found '{term}', expected: in, notin"
                ))),
            };
        }
        match term.strip_prefix('!') {
            Some(name) => Ok(Self::Absent(key(name)?)),
            None => Ok(Self::Exists(key(term)?)),
        }
    }

    fn matches(&self, object: &Object) -> bool {
        let label = |key| object.labels.get(key);
        match self {
            Self::In(key, values) => label(key).is_some_and(|label| values.contains(label)),
            Self::NotIn(key, values) => label(key).is_none_or(|label| !values.contains(label)),
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
        }
    }
}

impl FieldTerm {
    fn parse(kind: &Kind, term: &str) -> Result<Self, Box<Status>> {
        let (name, value, equal) = if let Some((name, value)) = term.split_once("!=") {
            (name, value, false)
        } else if let Some((name, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
            (name, value, true)
        } else {
            return Err(Status::bad_request(format!(
                "invalid selector: '{term}'; can't understand '{term}'"
            )));
        };
        let field = match (name, kind.name) {
            ("metadata.name", _) => Field::Name,
            ("metadata.namespace", _) => Field::Namespace,
            ("spec.nodeName", "Pod") => Field::NodeName,
            ("status.phase", "Pod" | "Namespace") => Field::Phase,
            _ => {
                return Err(Status::bad_request(format!(
                    "field label not supported: {name}"
                )));
            }
        };
        Ok(Self {
            field,
            value: value.to_owned(),
            equal,
        })
    }

    fn matches(&self, object: &Object) -> bool {
        let value = match self.field {
            Field::Name => &object.name,
            Field::Namespace => &object.namespace,
            Field::NodeName => &object.node_name,
            Field::Phase => &object.phase,
        };
        (*value == self.value) == self.equal
    }
}
