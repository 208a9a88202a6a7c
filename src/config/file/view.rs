//! `[[view]]` as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Alias, ForwardZone};
use crate::config::{
    limits::{NEGATIVE_TTL_SECS, TTL_SECS},
    located::{Located, Text},
};

/// Who is told what otherwise than everybody. Without `clients` and `listeners` it matches
/// everybody. What it does not say it inherits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct View {
    /// Its name in metrics and `explain`; unlike every other view's and not "default", which is
    /// the view of whoever matches none.
    #[schemars(required)]
    pub(in crate::config) name: Option<Text>,
    /// Networks (or single addresses) of its clients.
    pub(in crate::config) clients: Option<Located<Vec<Text>>>,
    /// Which of our own addresses its clients ask: "IP:PORT", each one covered by
    /// `server.listen`, or that of TLS or HTTPS. With `clients` both must match.
    pub(in crate::config) listeners: Option<Located<Vec<Text>>>,
    /// "onprem": its clients are on premises, so that endpoints with
    /// PrivateDnsOnlyForInboundResolverEndpoint answer too. "vpc", or nothing: they do not.
    pub(in crate::config) kind: Option<Located<ViewKind>>,
    /// Only endpoints that have all of these tags. Without it: all.
    pub(in crate::config) tags: Option<BTreeMap<Text, Text>>,
    /// Only endpoints in one of these VPCs. Without it: all.
    pub(in crate::config) vpc_ids: Option<Located<Vec<Text>>>,
    /// Only endpoints that one of these accounts owns. Without it: all.
    pub(in crate::config) accounts: Option<Located<Vec<Text>>>,
    /// Only these endpoints, by id. Without it: all.
    pub(in crate::config) endpoints: Option<Located<Vec<Text>>>,
    /// Services left to the upstream in this view, added to `answers.deny`.
    pub(in crate::config) deny: Option<Vec<Text>>,
    /// Services of `answers.deny` that are answered in this view all the same. It leaves no other
    /// service out, and what the view's own `deny` has stays denied.
    pub(in crate::config) allow: Option<Vec<Text>>,
    /// In place of `answers.override`.
    #[serde(rename = "override")]
    pub(in crate::config) overrides: Option<Located<bool>>,
    /// In place of `answers.ttl_secs`.
    #[schemars(range(min = TTL_SECS.min, max = TTL_SECS.max))]
    pub(in crate::config) ttl_secs: Option<Located<i64>>,
    /// In place of `answers.negative_ttl_secs`.
    #[schemars(range(min = NEGATIVE_TTL_SECS.min, max = NEGATIVE_TTL_SECS.max))]
    pub(in crate::config) negative_ttl_secs: Option<Located<i64>>,
    /// Names as in `[[answers.alias]]`, added to these, and in place of one of the same name.
    #[serde(default)]
    pub(in crate::config) alias: Vec<Located<Alias>>,
    /// Who is asked for this view's clients.
    pub(in crate::config) forward: Option<Located<ViewForward>>,
}

/// Where a view's clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum ViewKind {
    Vpc,
    Onprem,
}

/// Who is asked for the names of a view's clients that are not ours. What it does not say it
/// inherits of `[forward]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ViewForward {
    /// In place of `forward.upstreams`. Zones of `[[forward.zone]]` are asked for as ever.
    pub(in crate::config) upstreams: Option<Located<Vec<Text>>>,
    /// Domains as in `[[forward.zone]]`, added to these, and in place of one of the same name.
    #[serde(default)]
    pub(in crate::config) zone: Vec<Located<ForwardZone>>,
}
