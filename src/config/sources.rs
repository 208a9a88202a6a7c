//! `[[source]]`: what belongs to each kind, and no two of one name.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
    path::Path,
};

use super::{
    answers::DISCOVER,
    file::{File, Kind, Source},
    located::{Located, Text},
    problem::Findings,
    words::{self, read, read_all},
};
use crate::discover::{SourceConfig, SourceKind};

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
    file.source
        .iter()
        .filter_map(|source| {
            let name = names.take(found, source.value.name.as_ref());
            let kind = kind(found, source, folder, is_folder);
            let vpc_ids = source.value.vpc_ids.as_deref().unwrap_or_default();
            let vpc_ids = read_all(found, "source.vpc_ids", vpc_ids, |text| {
                words::ec2_id(text, "vpc").map(Into::into)
            });
            Some(SourceConfig {
                name: name?.as_str().into(),
                kind: kind?,
                vpc_ids: vpc_ids.into_iter().map(|(_, id)| id).collect(),
                tags: tags(source.value.tags.as_ref()),
                subnets: file.zones.keys().any(|key| key.value == DISCOVER.0),
            })
        })
        .collect()
}

/// `tags` of a source or a view. EC2 takes any text for both, so there is nothing to check.
pub(super) fn tags(written: Option<&BTreeMap<Text, Text>>) -> BTreeMap<String, String> {
    let pairs = written.into_iter().flatten();
    pairs.map(|(key, value)| (key.value.clone(), value.value.clone())).collect()
}

fn kind(
    found: &mut Findings,
    source: &Located<Source>,
    folder: &Path,
    is_folder: &dyn Fn(&Path) -> bool,
) -> Option<SourceKind> {
    let Located { value: source, span } = source;
    let region = source.region.as_ref();
    let region = region.and_then(|text| read_owned(found, "source.region", text, words::region));
    let role = source.role_arn.as_ref();
    let role = role.and_then(|text| read_owned(found, "source.role_arn", text, words::role_arn));
    let url = source.endpoint_url.as_ref();
    let url = url.and_then(|text| read_owned(found, "source.endpoint_url", text, words::url));
    let ec2_only = [
        ("region", &source.region),
        ("role_arn", &source.role_arn),
        ("endpoint_url", &source.endpoint_url),
    ];
    match source.kind.as_ref()?.value {
        Kind::Ec2 => {
            stray(found, "files", &[("path", &source.path)]);
            Some(SourceKind::Ec2 {
                region: region.map(|text| text.as_str().into()),
                role_arn: role,
                endpoint_url: url,
            })
        }
        Kind::Files => {
            stray(found, "ec2", &ec2_only);
            files(found, source, span, folder, is_folder)
        }
    }
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

/// Keys that belong to the other kind: ignoring them would hide a mistake.
fn stray(found: &mut Findings, other: &str, keys: &[(&str, &Option<Text>)]) {
    for (key, value) in keys {
        if let Some(text) = value {
            let what = format!("`{key}` is only for sources of kind \"{other}\"");
            found
                .problem(format!("source.{key}"), &text.span, what)
                .label("not of this source's kind")
                .help(format!("remove it, or write kind = \"{other}\""));
        }
    }
}

fn read_owned(
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
}
