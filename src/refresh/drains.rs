//! The zones that a person has taken out of the answers.
//!
//! Kept on disk beside the last good inventory. What a drained zone means for a name is `policy`'s.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    history::{Cause, Publication},
    order::OrderError,
    refresher::Refresher,
};
use crate::{
    base::{Az, Chain},
    discover::{Drains, drains_path, read_drains, write_drains},
    inventory::Inventory,
    policy::Outage,
    telemetry::StateFileOperation,
};

/// For the file to be written. A disk that hangs must not hold up the loop; the zone is then drained
/// until the next start.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// Which zones are drained. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DrainedZones(Arc<Drains>);

/// What an order to drain a zone, or to put it back, came to.
#[derive(Clone, Debug)]
pub struct ZoneReport {
    /// The zone as it is remembered: its id, or its name where no id is known.
    pub zone: Arc<str>,
    /// Whether it was otherwise before.
    pub changed: bool,
    /// Why it will not be known after a restart.
    pub not_kept: Option<String>,
    /// The table that it led to.
    pub publication: Option<Arc<Publication>>,
    /// What is left out of the table in force, and what is given out all the same.
    pub outage: Outage,
}

// === impl DrainedZones ===

impl DrainedZones {
    /// Whether the zone is drained.
    pub(super) fn has(&self, az: &Az) -> bool {
        self.0.keys().any(|zone| az.is_called(zone))
    }

    /// Each with the second at which it was drained.
    pub(super) fn list(&self) -> Vec<(String, u64)> {
        self.0.iter().map(|(zone, since_secs)| (zone.clone(), *since_secs)).collect()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// How a zone that a person calls `text` is remembered. By its id where it has one: accounts
    /// give one name to different zones, and different names to one.
    fn remembered(&self, text: &str, inventory: &Inventory) -> Result<Arc<str>, OrderError> {
        let interfaces = inventory.sources.iter().flat_map(|source| &source.interfaces);
        let zones: BTreeSet<&Az> = interfaces.map(|interface| &interface.az).collect();
        let meant: Vec<&&Az> = zones.iter().filter(|az| az.is_called(text)).collect();
        let ids: BTreeSet<&Arc<str>> = meant.iter().filter_map(|az| az.id.as_ref()).collect();
        let all_have_ids = meant.iter().all(|az| az.id.is_some());
        match (ids.len(), meant.len()) {
            // Of interfaces that are gone; it is drained all the same.
            (_, 0) if self.0.contains_key(text) => Ok(Arc::from(text)),
            (_, 0) => {
                let known: Vec<String> = zones.iter().map(|az| called(az)).collect();
                Err(OrderError::UnknownZone { zone: text.to_owned(), known: known.join(", ") })
            }
            (2.., _) => {
                let ids: Vec<&str> = ids.iter().map(|id| &***id).collect();
                Err(OrderError::AmbiguousZone { zone: text.to_owned(), ids: ids.join(", ") })
            }
            (1, _) if all_have_ids => Ok(ids.into_iter().next().cloned().unwrap_or_default()),
            (0 | 1, _) => Ok(Arc::from(text)),
        }
    }
}

/// Whether both are one zone, be one its name and the other its id.
fn is_same(drained: &str, zone: &str, inventory: &Inventory) -> bool {
    let interfaces = inventory.sources.iter().flat_map(|source| &source.interfaces);
    let both = |az: &Az| az.is_called(drained) && az.is_called(zone);
    drained == zone || interfaces.map(|interface| &interface.az).any(both)
}

fn called(az: &Az) -> String {
    match &az.id {
        Some(id) => format!("{az} ({id})"),
        None => az.to_string(),
    }
}

// === impl Refresher ===

impl Refresher {
    /// What the file has of them. One that cannot be used is said and counted, and no zone is
    /// drained: the answers are then what they would be without anybody's order.
    pub(super) async fn restore_drains(&mut self) {
        let Some(path) = self.drains_path() else { return };
        match read_drains(&path).await {
            Ok(drains) => {
                for (zone, since_secs) in &drains {
                    tracing::warn!(zone, since_secs, "the zone is drained since before the start");
                }
                self.drained = DrainedZones(Arc::new(drains));
            }
            Err(error) => {
                self.metrics.control.state_file_failed(StateFileOperation::ReadDrains);
                tracing::warn!(
                    reason = error.word(), error = %Chain(&error),
                    "which zones were drained is not known; none is"
                );
            }
        }
        self.measure_drains();
    }

    /// Takes a zone out of the answers, or puts it back.
    pub(super) async fn drain(
        &mut self,
        text: &str,
        drain: bool,
    ) -> Result<ZoneReport, OrderError> {
        let inventory = self.known.inventory(None);
        let zone = match drain {
            // As it was remembered, whatever is known of the zone by now.
            false if self.drained.0.contains_key(text) => Arc::from(text),
            _ => self.drained.remembered(text, &inventory)?,
        };
        let mut drains = Drains::clone(&self.drained.0);
        let changed = match drain {
            true => {
                let new = !drains.contains_key(&*zone);
                drains.entry(zone.to_string()).or_insert_with(self.now_secs);
                new
            }
            false => {
                let before = drains.len();
                drains.retain(|drained, _| !is_same(drained, &zone, &inventory));
                drains.len() != before
            }
        };
        let mut publication = None;
        if changed {
            self.drained = DrainedZones(Arc::new(drains));
            tracing::warn!(zone = %zone, drain, by = "control socket", "a zone is drained or put back");
            let cause = match drain {
                true => Cause::ZoneDrained(Arc::clone(&zone)),
                false => Cause::ZoneUndrained(Arc::clone(&zone)),
            };
            let before = self.in_force().generation();
            self.say_again(cause).await;
            let published = before != self.in_force().generation();
            publication = published.then(|| self.history.last()).flatten();
            self.measure_drains();
            self.tell();
        }
        // Also when nothing is new: the disk may have been full the last time.
        let not_kept = self.keep_drains().await.err();
        Ok(ZoneReport { zone, changed, not_kept, publication, outage: self.outage })
    }

    /// Writes them to disk, or tells why they will be gone with the next start.
    pub(super) async fn keep_drains(&self) -> Result<(), String> {
        let path = self.drains_path().ok_or("`refresh.state_file` is \"\"")?;
        let written = timeout(WRITTEN_WITHIN, write_drains(&path, &self.drained.0)).await;
        let why = match written {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Chain(&error).to_string(),
            Err(_) => format!("{} was not written within {WRITTEN_WITHIN:?}", path.display()),
        };
        self.metrics.control.state_file_failed(StateFileOperation::WriteDrains);
        tracing::warn!(error = why, "which zones are drained will not be known after a restart");
        Err(why)
    }

    fn drains_path(&self) -> Option<PathBuf> {
        self.inputs.refresh.state_file.as_deref().map(drains_path)
    }

    fn measure_drains(&self) {
        let zones = i64::try_from(self.drained.len()).unwrap_or(i64::MAX);
        self.metrics.control.drained_zones.set(zones);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{DrainedZones, OrderError};
    use crate::{base::Az, discover::Drains, inventory::Inventory, policy::facts};

    /// Interfaces in these zones, `NAME` or `NAME=ID`.
    fn inventory(zones: &[&str]) -> Inventory {
        let addresses: Vec<String> =
            (1..=zones.len()).map(|at| format!("z{at}=10.0.0.{at}")).collect();
        let mut inventory =
            facts::inventory(&format!("vpce-1 s.sqs {} names=sqs.R", addresses.join(" ")));
        let facts = Arc::make_mut(&mut inventory.sources[0]);
        for (interface, zone) in facts.interfaces.iter_mut().zip(zones) {
            let (name, id) = match zone.split_once('=') {
                Some((name, id)) => (name, Some(Arc::from(id))),
                None => (*zone, None),
            };
            interface.az = Az { name: Arc::from(name), id };
        }
        inventory
    }

    #[test]
    fn a_zone_is_remembered_by_its_id_and_what_could_be_two_is_not_guessed() {
        let none = DrainedZones::default();
        let remembered = |text: &str, zones: &[&str]| none.remembered(text, &inventory(zones));
        let two = ["a=euw1-az1", "b=euw1-az2"];
        assert_eq!(remembered("a", &two).unwrap().as_ref(), "euw1-az1");
        assert_eq!(remembered("euw1-az2", &two).unwrap().as_ref(), "euw1-az2");
        assert_eq!(remembered("a", &["a", "b"]).unwrap().as_ref(), "a");
        // Of two accounts, of which one does not tell ids.
        assert_eq!(remembered("a", &["a", "a=euw1-az1"]).unwrap().as_ref(), "a");
        let known = "a (euw1-az1), b (euw1-az2)".to_owned();
        let unknown = OrderError::UnknownZone { zone: "c".to_owned(), known };
        assert_eq!(remembered("c", &two).unwrap_err(), unknown);
        let ids = "euw1-az1, euw1-az3".to_owned();
        let ambiguous = OrderError::AmbiguousZone { zone: "a".to_owned(), ids };
        assert_eq!(remembered("a", &["a=euw1-az3", "a=euw1-az1"]).unwrap_err(), ambiguous);
    }

    #[test]
    fn a_drained_zone_whose_interfaces_are_gone_can_be_put_back() {
        let drained = DrainedZones(Arc::new(Drains::from([("euw1-az9".to_owned(), 7)])));
        let remembered = drained.remembered("euw1-az9", &inventory(&["a"])).unwrap();
        assert_eq!(remembered.as_ref(), "euw1-az9");
        assert!(drained.remembered("euw1-az8", &inventory(&["a"])).is_err());
    }
}
