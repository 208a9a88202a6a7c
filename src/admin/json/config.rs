//! The configuration in force.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The configuration in force, with every default and without secrets: `/api/v1/config`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigDocument {
    /// Equal wherever the same is configured, however it is written.
    pub hash: String,
    /// As TOML.
    pub toml: String,
}
