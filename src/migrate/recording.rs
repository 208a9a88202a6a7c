//! From a folder of the AWS CLI's lists to zones with their records.
//!
//! A file is known by what is in it. A list of records does not name its zone: its SOA does, and
//! where two zones have one name, the zone's id in the file's name.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    records::{ByVpc, GetZone, Records, Set, ZoneVpc, identifier, unescaped, vpc_named},
    zone::{RecordSet, Target, Vpc, Zone},
};
use crate::base::{Name, Pattern};

/// What AWS gives a zone's SOA; the time that matters is the least of the record's TTL and its
/// last field (RFC 2308 section 5).
const NEGATIVE_TTL_SECS: u32 = 900;

/// An alias to an endpoint has this TTL, which no list tells.
const ALIAS_TTL_SECS: u32 = 60;

/// A file.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its name.
    pub file: String,
    /// What is in it.
    pub text: String,
}

/// What a folder tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Sorted by name, then by id.
    pub zones: Vec<Zone>,
    /// What could not be read, or not be read whole.
    pub doubts: Vec<Doubt>,
}

/// Something that could not be read, or not be read whole, and the next step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Doubt {
    /// The file, or the zone.
    pub about: String,
    /// What is the matter.
    pub why: String,
}

/// A list of records and where it came from.
struct Page {
    file: String,
    records: Records,
}

/// Zones on their way, by id.
#[derive(Default)]
struct Reading {
    zones: BTreeMap<String, Zone>,
    counts: BTreeMap<String, usize>,
    sets: BTreeMap<String, Vec<Set>>,
    pages: Vec<Page>,
    /// Files without anything in them.
    empty: Vec<String>,
    doubts: Vec<Doubt>,
}

// === impl Recording ===

impl Recording {
    /// Reads the files of a folder, in any order.
    pub fn read(texts: Vec<Text>) -> Self {
        let mut reading = Reading::default();
        for Text { file, text } in texts {
            if let Err(why) = reading.take(&file, &text) {
                reading.doubts.push(Doubt { about: file, why });
            }
        }
        reading.finish()
    }
}

// === impl Reading ===

impl Reading {
    fn take(&mut self, file: &str, text: &str) -> Result<(), String> {
        if text.trim().is_empty() {
            self.empty.push(file.to_owned());
            return Ok(());
        }
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
            format!("it is not JSON ({error}); save what `--output json` prints")
        })?;
        let has = |key: &str| value.get(key).is_some();
        if has("HostedZoneSummaries") {
            self.by_vpc(file, read(value)?)
        } else if has("HostedZone") {
            self.zone(read(value)?)
        } else if has("ResourceRecordSets") {
            self.pages.push(Page { file: file.to_owned(), records: read(value)? });
            Ok(())
        } else {
            Err("it is none of what `aws route53 list-hosted-zones-by-vpc`, `get-hosted-zone` and \
                 `list-resource-record-sets` print"
                .to_owned())
        }
    }

    fn by_vpc(&mut self, file: &str, list: ByVpc) -> Result<(), String> {
        let vpc = vpc_named(file);
        for summary in list.hosted_zone_summaries {
            let zone = self.known(&summary.hosted_zone_id, &summary.name)?;
            zone.listed_in.extend(vpc.map(str::to_owned));
            if let Some(owner) = summary.owner {
                zone.account = owner.owning_account;
                zone.service = owner.owning_service;
            }
        }
        if list.next_token.is_some() {
            self.doubt(file, "it is cut off; list the zones again without `--max-items`");
        }
        Ok(())
    }

    fn zone(&mut self, got: GetZone) -> Result<(), String> {
        let id = short(&got.hosted_zone.id).to_owned();
        let zone = self.known(&id, &got.hosted_zone.name)?;
        let is_private = got.hosted_zone.config.is_some_and(|config| config.private_zone);
        zone.public = !is_private && got.vpcs.is_empty();
        let mut vpcs = Vec::new();
        for ZoneVpc { id, region } in got.vpcs {
            vpcs.push(Vpc { id: identifier(id)?, region: identifier(region)? });
        }
        vpcs.sort();
        zone.vpcs = Some(vpcs);
        if let Some(count) = got.hosted_zone.resource_record_set_count {
            self.counts.insert(id, count);
        }
        Ok(())
    }

    fn known(&mut self, id: &str, name: &str) -> Result<&mut Zone, String> {
        let name = parsed(name)?;
        let id = identifier(short(id).to_owned())?;
        Ok(self.zones.entry(id.clone()).or_insert_with(|| Zone {
            id,
            name,
            public: false,
            account: None,
            service: None,
            vpcs: None,
            listed_in: BTreeSet::new(),
            records: None,
            negative_ttl_secs: NEGATIVE_TTL_SECS,
        }))
    }

    fn doubt(&mut self, about: &str, why: impl Into<String>) {
        self.doubts.push(Doubt { about: about.to_owned(), why: why.into() });
    }

    fn finish(mut self) -> Recording {
        // A shell makes the file before the command fails, as for a zone of AWS's own: of one that a
        // list has, nothing is missed that is not told with it.
        for file in std::mem::take(&mut self.empty) {
            if !self.zones.keys().any(|id| file.contains(id)) {
                self.doubt(&file, "it is empty: the command that was to print it has failed");
            }
        }
        let pages = std::mem::take(&mut self.pages);
        for page in &pages {
            if let Some(why) = cut_off(page, &pages) {
                self.doubt(&page.file, why);
            }
        }
        for page in pages {
            match self.zone_of(&page) {
                Ok(id) => {
                    self.sets.entry(id).or_default().extend(page.records.resource_record_sets);
                }
                Err(why) => self.doubt(&page.file, why),
            }
        }
        for (id, sets) in std::mem::take(&mut self.sets) {
            let read = sets.len();
            if let Some(count) = self.counts.get(&id).filter(|count| **count != read) {
                let why =
                    format!("{read} of its {count} record sets were read; list them again, whole");
                self.doubt(&id, why);
            }
            let (records, doubts) =
                self.zones.get_mut(&id).map(|it| it.fill(sets)).unwrap_or_default();
            if let Some(zone) = self.zones.get_mut(&id) {
                zone.records = Some(records);
            }
            doubts.into_iter().for_each(|why| self.doubt(&id, why));
        }
        let mut zones: Vec<Zone> = self.zones.into_values().collect();
        zones.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        self.doubts.sort();
        Recording { zones, doubts: self.doubts }
    }

    /// The id of the zone that a list of records is of.
    fn zone_of(&self, page: &Page) -> Result<String, String> {
        let sets = &page.records.resource_record_sets;
        let Some(first) = sets.first() else {
            return Err("it has no records, not even those of every zone".to_owned());
        };
        let apex = sets.iter().find(|set| set.r#type == "SOA");
        let fits: Box<dyn Fn(&Zone) -> bool> = match apex {
            Some(soa) => {
                let name = parsed(&soa.name)?;
                Box::new(move |zone| zone.name == name)
            }
            // A later page: the longest zone that can have it.
            None => {
                let name = parsed(&first.name)?;
                let above = self.zones.values().filter(|zone| name.is_within(&zone.name));
                let longest = above.map(|zone| zone.name.labels().count()).max();
                Box::new(move |zone| {
                    name.is_within(&zone.name) && Some(zone.name.labels().count()) == longest
                })
            }
        };
        let named: Vec<&Zone> = self.zones.values().filter(|zone| fits(zone)).collect();
        let by_id = named.iter().find(|zone| page.file.contains(&zone.id));
        match (by_id, named.as_slice()) {
            (Some(zone), _) | (None, [zone]) => Ok(zone.id.clone()),
            (None, []) => Err(format!(
                "no zone has these records, beginning at {}; add what `aws route53 \
                 get-hosted-zone` prints of theirs",
                first.name
            )),
            (None, several) => {
                let ids: Vec<&str> = several.iter().map(|zone| zone.id.as_str()).collect();
                Err(format!(
                    "{} zones could have these records; put the id of theirs into the file's \
                     name: {}",
                    ids.len(),
                    ids.join(", ")
                ))
            }
        }
    }
}

/// Why a list of records is not whole; the API's own pages are whole together.
fn cut_off(page: &Page, pages: &[Page]) -> Option<String> {
    let records = &page.records;
    if records.next_token.is_some() {
        return Some("it is cut off; list the records again without `--max-items`".to_owned());
    }
    let next = records.next_record_name.as_deref().filter(|_| records.is_truncated)?;
    let continues = |other: &Page| {
        other.records.resource_record_sets.first().is_some_and(|set| {
            set.name == next
                && records.next_record_type.as_ref().is_none_or(|rtype| *rtype == set.r#type)
        })
    };
    let lacks = !pages.iter().any(continues);
    lacks.then(|| {
        format!(
            "it is cut off before {} {}, and no other file goes on there; list the records again \
             without `--no-paginate`",
            unescaped(next),
            records.next_record_type.as_deref().unwrap_or("")
        )
    })
}

// === impl Zone ===

impl Zone {
    /// The records of its lists without those of every zone, and what of them is not understood.
    fn fill(&mut self, sets: Vec<Set>) -> (Vec<RecordSet>, Vec<String>) {
        let mut records: BTreeMap<(Pattern, String), RecordSet> = BTreeMap::new();
        let mut doubts = Vec::new();
        for set in sets {
            let pattern = match Pattern::parse(&unescaped(&set.name)) {
                Ok(pattern) => pattern,
                Err(error) => {
                    doubts.push(format!(
                        "the name of a record is passed over, {:?}: {error}",
                        set.name
                    ));
                    continue;
                }
            };
            if set.r#type == "SOA" {
                self.negative_ttl_secs = negative_ttl(&set);
            }
            let of_every_zone = pattern == Pattern::Exact(self.name.clone());
            if of_every_zone && matches!(set.r#type.as_str(), "SOA" | "NS") {
                continue;
            }
            let read = match record_set(pattern, &set) {
                Ok(read) => read,
                Err(why) => {
                    doubts.push(why);
                    continue;
                }
            };
            match records.entry((read.pattern.clone(), read.rtype.clone())) {
                std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(read)),
                std::collections::btree_map::Entry::Occupied(mut known) => {
                    known.get_mut().join(read)
                }
            }
        }
        (records.into_values().collect(), doubts)
    }
}

fn negative_ttl(soa: &Set) -> u32 {
    let last = soa.resource_records.first().and_then(|it| it.value.split_whitespace().last());
    let minimum = last.and_then(|it| it.parse().ok());
    let ttls = [soa.ttl, minimum].into_iter().flatten();
    ttls.min().unwrap_or(NEGATIVE_TTL_SECS)
}

fn record_set(pattern: Pattern, set: &Set) -> Result<RecordSet, String> {
    let values = || set.resource_records.iter().map(|it| it.value.as_str());
    let no_name =
        |text: &str| format!("{pattern} {}: {text:?} is no name, and is passed over", set.r#type);
    let name = |text: &str| Name::parse(&unescaped(text)).map_err(|_| no_name(text));
    let target = match (&set.alias_target, set.r#type.as_str()) {
        (Some(alias), _) => Target::Alias(vec![name(&alias.dns_name)?]),
        (None, "CNAME") => Target::Cname(values().map(name).collect::<Result<_, _>>()?),
        (None, "A" | "AAAA") => {
            let mut addresses = values()
                .map(|it| it.parse::<IpAddr>().map_err(|_| no_name(it)))
                .collect::<Result<Vec<_>, _>>()?;
            addresses.sort_unstable();
            Target::Addresses(addresses)
        }
        (None, _) => Target::Other(values().map(str::to_owned).collect()),
    };
    Ok(RecordSet {
        pattern,
        rtype: set.r#type.clone(),
        ttl_secs: set.ttl.unwrap_or(ALIAS_TTL_SECS),
        target,
        routed: set.set_identifier.is_some(),
    })
}

// === impl RecordSet ===

impl RecordSet {
    /// Takes another set of the same name and type, which a routing policy chooses between.
    fn join(&mut self, other: RecordSet) {
        self.ttl_secs = self.ttl_secs.max(other.ttl_secs);
        match (&mut self.target, other.target) {
            (Target::Addresses(ours), Target::Addresses(theirs)) => {
                ours.extend(theirs);
                ours.sort_unstable();
                ours.dedup();
            }
            (Target::Alias(ours), Target::Alias(theirs))
            | (Target::Cname(ours), Target::Cname(theirs)) => {
                ours.extend(theirs);
                ours.sort();
                ours.dedup();
            }
            (Target::Other(ours), Target::Other(theirs)) => ours.extend(theirs),
            // An alias beside addresses under one routing policy: told by the addresses.
            (ours @ Target::Alias(_), theirs @ Target::Addresses(_)) => *ours = theirs,
            (
                Target::Addresses(_) | Target::Alias(_) | Target::Cname(_) | Target::Other(_),
                Target::Addresses(_) | Target::Alias(_) | Target::Cname(_) | Target::Other(_),
            ) => (),
        }
    }
}

fn read<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, String> {
    serde_json::from_value(value)
        .map_err(|error| format!("it is not what the AWS CLI prints: {error}"))
}

fn parsed(name: &str) -> Result<Name, String> {
    Name::parse(&unescaped(name)).map_err(|error| format!("{name:?} is no name: {error}"))
}

/// `Z123` of `/hostedzone/Z123`.
fn short(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}
