//! How far a conversation is, and the ways to ask for tables.

/// What was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    StatusSchema,
    Status,
    Schema,
    /// By a method, for the tables of a group.
    Monitor(Method, usize),
    Synced,
}

/// The ways to ask for tables, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Method {
    MonitorCondSince,
    MonitorCond,
    Monitor,
}

impl Method {
    pub(super) fn name(self) -> &'static str {
        self.into()
    }

    pub(super) const fn fallback(self) -> Option<Self> {
        match self {
            Self::MonitorCondSince => Some(Self::MonitorCond),
            Self::MonitorCond => Some(Self::Monitor),
            Self::Monitor => None,
        }
    }
}
