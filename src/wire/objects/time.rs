//! Times as the API server writes them.

use k8s_openapi::jiff::Timestamp;

use crate::domain::UnixTime;
use crate::wire::Text;

/// The time; one that can't be read, or is before 1970, is as good as none.
pub(super) fn time(text: Option<&Text<'_>>) -> Option<UnixTime> {
    let time: Timestamp = text?.as_str().parse().ok()?;
    time.as_duration().try_into().ok()
}
