//! `[[source]]`: what belongs to each kind, and no two of one name.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    path::Path,
    time::Duration,
};

use super::{
    answers::DISCOVER,
    file::{File, Kind, Source},
    limits::INTERVAL_SECS,
    located::{Located, Text},
    problem::Findings,
    roles::roles,
    words::{self, read, read_all},
};
use crate::{
    base::{Region, VpcId},
    discover::{Role, RoleName, SourceConfig, SourceKind},
};

/// Every source. `folder` is where the configuration file lies; `is_folder` looks at the disk.
pub(super) fn sources(
    found: &mut Findings,
    file: &File,
    folder: &Path,
    is_folder: &dyn Fn(&Path) -> bool,
) -> Vec<SourceConfig> {
    if file.source.is_empty() && !found.doubts("source") {
        found
            .problem("source", &(0..0), "nothing to answer: there is no [[source]]")
            .label("a source is required")
            .help("add one: [[source]] with name = \"main\" and kind = \"ec2\"");
    }
    let mut names = Names::new("source.name");
    let subnets = file.zones.keys().any(|key| key.value == DISCOVER.0);
    let mut sources = Vec::new();
    for source in &file.source {
        let written = &source.value;
        let kinds = kinds(found, source, folder, is_folder);
        let vpc_ids = written.vpc_ids.as_deref().unwrap_or_default();
        let vpc_ids = read_all(found, "source.vpc_ids", vpc_ids, |text| {
            words::ec2_id(text, "vpc").map(VpcId::from)
        });
        let vpc_ids: Vec<VpcId> = vpc_ids.into_iter().map(|(_, id)| id).collect();
        let interval = written.interval_secs.as_ref();
        let interval =
            interval.map(|secs| INTERVAL_SECS.check(found, "source.interval_secs", secs));
        let called = names.of_source(found, written.name.as_ref(), &kinds);
        sources.extend(called.into_iter().zip(kinds).map(|(name, kind)| SourceConfig {
            name: name.as_str().into(),
            kind,
            vpc_ids: vpc_ids.clone(),
            tags: tags(written.tags.as_ref()),
            subnets,
            interval: interval.map(Duration::from_secs),
        }));
    }
    sources
}

/// `tags` of a source or a view. EC2 takes any text for both, so there is nothing to check.
pub(super) fn tags(written: Option<&BTreeMap<Text, Text>>) -> BTreeMap<String, String> {
    let pairs = written.into_iter().flatten();
    pairs.map(|(key, value)| (key.value.clone(), value.value.clone())).collect()
}

/// What a table stands for: one source, or one for each of its accounts.
fn kinds(
    found: &mut Findings,
    source: &Located<Source>,
    folder: &Path,
    is_folder: &dyn Fn(&Path) -> bool,
) -> Vec<SourceKind> {
    let Located { value: source, span } = source;
    let region = source.region.as_ref();
    let region = region.and_then(|text| read_owned(found, "source.region", text, words::region));
    let url = source.endpoint_url.as_ref();
    let url = url.and_then(|text| read_owned(found, "source.endpoint_url", text, words::url));
    let roles = roles(found, source);
    match source.kind.as_ref().map(|kind| kind.value) {
        Some(Kind::Ec2) => {
            stray(found, "files", &[("path", span_of(&source.path))]);
            let ec2 = |role| SourceKind::Ec2 {
                region: region.as_deref().map(Region::from),
                role,
                endpoint_url: url.clone(),
            };
            roles.into_iter().map(ec2).collect()
        }
        Some(Kind::Files) => {
            let ec2_only = [
                ("region", span_of(&source.region)),
                ("role_arn", span_of(&source.role_arn)),
                ("accounts", source.accounts.as_ref().map(|list| &list.span)),
                ("role_name", span_of(&source.role_name)),
                ("external_id", span_of(&source.external_id)),
                ("session_name", span_of(&source.session_name)),
                ("session_tags", source.session_tags.as_ref().map(|_| span)),
                ("endpoint_url", span_of(&source.endpoint_url)),
            ];
            stray(found, "ec2", &ec2_only);
            files(found, source, span, folder, is_folder).into_iter().collect()
        }
        None => Vec::new(),
    }
}

fn span_of(text: &Option<Text>) -> Option<&Range<usize>> {
    text.as_ref().map(|text| &text.span)
}

fn files(
    found: &mut Findings,
    source: &Source,
    span: &Range<usize>,
    folder: &Path,
    is_folder: &dyn Fn(&Path) -> bool,
) -> Option<SourceKind> {
    let Some(text) = source.path.as_ref().filter(|text| !text.value.is_empty()) else {
        let span = source.path.as_ref().map_or(span, |text| &text.span);
        if !found.doubts("source.path") {
            found
                .problem("source.path", span, "a source of kind \"files\" lacks `path`")
                .label("`path` is required here")
                .help(
                    "add `path = \"DIR\"`: a folder as `hubdns discover --save DIR` writes it, \
                     relative to the one of this file",
                );
        }
        return None;
    };
    let path = folder.join(&text.value);
    if !is_folder(&path) {
        found
            .warning("source.path", &text.span, format!("no folder {}", path.display()))
            .label("no such folder now")
            .help("until it is there every round of this source fails");
    }
    Some(SourceKind::Files { path })
}

/// Keys that belong to the other kind, by their places: ignoring them would hide a mistake.
fn stray(found: &mut Findings, other: &str, keys: &[(&str, Option<&Range<usize>>)]) {
    for (key, span) in keys {
        if let Some(span) = span {
            let what = format!("`{key}` is only for sources of kind \"{other}\"");
            found
                .problem(format!("source.{key}"), span, what)
                .label("not of this source's kind")
                .help(format!("remove it, or write kind = \"{other}\""));
        }
    }
}

pub(super) fn read_owned(
    found: &mut Findings,
    key: &str,
    text: &Text,
    parse: impl Fn(&str) -> Result<&str, words::Wrong>,
) -> Option<String> {
    read(found, key, text, |text| parse(text).map(str::to_owned))
}

/// Names that must be unlike each other, with where each was first seen.
pub(super) struct Names {
    key: &'static str,
    seen: HashMap<String, Range<usize>>,
}

// === impl Names ===

impl Names {
    pub(super) fn new(key: &'static str) -> Self {
        let seen = HashMap::new();
        Self { key, seen }
    }

    /// The name, checked; one that was seen before is a problem with both places.
    pub(super) fn take(&mut self, found: &mut Findings, text: Option<&Text>) -> Option<String> {
        let name = read_owned(found, self.key, text?, words::label)?;
        let span = &text?.span;
        match self.seen.get(&name) {
            None => _ = self.seen.insert(name.clone(), span.clone()),
            Some(first) => {
                found
                    .problem(self.key, span, format!("the name {name:?} is taken"))
                    .label("the second of this name")
                    .also(first, "the first")
                    .help("give one of them another name: logs and metrics tell them apart by it");
            }
        }
        Some(name)
    }

    /// What the sources of one table are called: as the table is, and one that asks an account of
    /// a list by that account, too.
    fn of_source(
        &mut self,
        found: &mut Findings,
        text: Option<&Text>,
        kinds: &[SourceKind],
    ) -> Vec<String> {
        let Some(text) = text else { return Vec::new() };
        let one = |kind: &SourceKind| {
            let value = match kind {
                SourceKind::Ec2 {
                    role: Some(Role { name: RoleName::In(account, _), .. }), ..
                } => format!("{}-{account}", text.value),
                SourceKind::Ec2 { .. } | SourceKind::Files { .. } | SourceKind::Demo => {
                    text.value.clone()
                }
            };
            self.take(found, Some(&Located { value, span: text.span.clone() }))
        };
        // Without the rest once one is wrong: the others are so alike.
        kinds.iter().map_while(one).collect()
    }
}
