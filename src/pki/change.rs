//! The changes of the Secret, and the reasons for them.

use std::fmt;
use std::time::SystemTime;

use strum::{AsRefStr, Display, VariantArray};

use super::Names;
use super::contents::Defect;
use super::x509::{Authority, Id};

/// One change of the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Put back what was there before.
    Restore,
    /// Write it again without what is wrong in it.
    Repair(Defect),
    /// Trust the CA of a leaf that is served.
    Trust(Authority, SystemTime),
    /// Make a CA that signs from now on.
    MakeSigner(IssueReason),
    /// Make a CA that is to be published first.
    MakeNext(IssueReason),
    /// Let the next CA sign.
    Promote(IssueReason),
    /// Sign a leaf for these names.
    IssueLeaf(IssueReason, Names),
    /// Trust a CA no more.
    Retire(Id),
}

/// Why a certificate is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, Display, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum IssueReason {
    /// There was none.
    First,
    /// Two thirds of its life are over.
    Renewal,
    /// The CA that signs is another one.
    NewCa,
    /// It was lost or damaged.
    Lost,
    /// It is no longer valid.
    Expired,
    /// It begins in the future, which a clock that was off has made.
    FromTheFuture,
    /// It lacks a name that is configured.
    Names,
}

impl Change {
    /// Whether it puts right what was lost or damaged, which no rotation does.
    pub(super) fn is_repair(&self) -> bool {
        match self {
            Self::Restore | Self::Repair(_) | Self::Trust(..) => true,
            Self::MakeSigner(why) | Self::MakeNext(why) | Self::IssueLeaf(why, _) => matches!(
                why,
                IssueReason::Lost | IssueReason::Expired | IssueReason::FromTheFuture
            ),
            Self::Promote(_) | Self::Retire(_) => false,
        }
    }

    /// Whether another CA signs afterwards.
    pub(super) const fn replaces_signer(&self) -> bool {
        matches!(self, Self::MakeSigner(_) | Self::Promote(_))
    }
}

/// As a log line says it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore => f.write_str("put back what was lost"),
            Self::Repair(defect) => write!(f, "mended: {defect}"),
            Self::Trust(ca, _) => write!(f, "trusted ca {} of a served leaf", ca.id.serial()),
            Self::MakeSigner(why) => write!(f, "made a ca ({why})"),
            Self::MakeNext(why) => write!(f, "made the next ca ({why})"),
            Self::Promote(why) => write!(f, "let the next ca sign ({why})"),
            Self::IssueLeaf(why, _) => write!(f, "issued a leaf ({why})"),
            Self::Retire(id) => write!(f, "retired ca {}", id.serial()),
        }
    }
}
