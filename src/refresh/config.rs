//! How often we look, and where the last good inventory lives.

use std::{path::PathBuf, time::Duration};

/// `[refresh]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshConfig {
    /// `interval_secs`: between two looks at endpoints and interfaces.
    pub interval: Duration,
    /// `services_interval_secs`: between two looks at the services' names.
    pub services_interval: Duration,
    /// `state_file`; `None` (an empty text) keeps none.
    pub state_file: Option<PathBuf>,
    /// `shrink_guard_percent`: a round that would drop more of its source's names than this, or of a
    /// view's, is held back until it has been seen three times in a row. 100 lets all pass but the
    /// last name of all.
    pub shrink_guard_percent: u8,
}
