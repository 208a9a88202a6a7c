//! Answers as they are sent: records encoded once, copied for each query.
//!
//! Every record's owner is a pointer to the question (RFC 1035 section 4.1.4), which gives the
//! client its own spelling back and makes all records of a set equally long.

#![deny(clippy::indexing_slicing)]

use std::{net::IpAddr, sync::Arc};

use crate::{
    base::{Az, RecordType, Ttl},
    policy::Address,
};

/// Records of one set. A VPC endpoint has one interface a zone and at most a handful of zones;
/// 64 AAAA records of 28 octets are 1,792, which with header, question and OPT stays far below
/// the 4,096 octets that buffers for TCP answers are commonly sized to. Addresses beyond it, in
/// the order of zones, are known to `explain` and not sent.
pub const RECORDS_MAX: usize = 64;

/// Where the question's name stands in every message: behind the header of 12 octets.
const OWNER: [u8; 2] = [0xc0, 0x0c];
/// Class IN.
const CLASS: [u8; 2] = [0, 1];

/// `hubdns.invalid.`: there is no primary to ask (RFC 6761 section 6.4).
const SOA_MNAME: &[u8] = b"\x06hubdns\x07invalid\x00";
/// `nobody.invalid.`
const SOA_RNAME: &[u8] = b"\x06nobody\x07invalid\x00";
/// Serial, refresh, retry and expire; nobody transfers us, so they say nothing of their own.
const SOA_TIMERS: [u32; 4] = [1, 3_600, 1_200, 604_800];

/// The A or AAAA records of a name, encoded, in the order of zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordSet {
    /// Records of `slot_len` octets each, one behind the other.
    records: Box<[u8]>,
    slot_len: usize,
    zones: Box<[ZoneSlots]>,
}

/// The records of one zone, which stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ZoneSlots {
    az: Az,
    /// Octets before the zone's first record.
    start: usize,
    /// Octets up to the end of its last.
    end: usize,
}

// === impl RecordSet ===

impl RecordSet {
    /// The records of the addresses of that type's family; `None` when there is none.
    pub(super) fn new(rtype: RecordType, ttl: Ttl, addresses: &[Address]) -> Option<Self> {
        let mut records = Vec::new();
        let mut zones: Vec<ZoneSlots> = Vec::new();
        let mut slot_len = 0;
        for address in of_type(rtype, addresses) {
            let start = records.len();
            match address.ip {
                IpAddr::V4(ip) => push_record(&mut records, rtype, ttl, &ip.octets()),
                IpAddr::V6(ip) => push_record(&mut records, rtype, ttl, &ip.octets()),
            }
            let end = records.len();
            slot_len = end - start;
            match zones.last_mut() {
                Some(zone) if zone.az == address.az => zone.end = end,
                Some(_) | None => zones.push(ZoneSlots { az: address.az.clone(), start, end }),
            }
        }
        (!records.is_empty()).then(|| Self {
            records: records.into(),
            slot_len,
            zones: zones.into(),
        })
    }

    /// Appends every record to an answer: those of the client's zone first, then the others, each
    /// group begun `rotation` records later than the last time.
    pub fn write(&self, az: Option<&str>, rotation: usize, out: &mut Vec<u8>) {
        for run in self.runs(az, rotation) {
            out.extend_from_slice(run);
        }
    }

    /// The same for an answer to another name than the question's, where a chain of aliases ends:
    /// `owner` is that name in wire form, or a pointer to it.
    pub fn write_as(&self, owner: &[u8], az: Option<&str>, rotation: usize, out: &mut Vec<u8>) {
        let slots = self.runs(az, rotation).into_iter();
        for slot in slots.flat_map(|run| run.chunks_exact(self.slot_len)) {
            out.extend_from_slice(owner);
            out.extend_from_slice(slot.get(OWNER.len()..).unwrap_or_default());
        }
    }

    /// Records in the set, never 0.
    pub fn count(&self) -> u16 {
        // At most RECORDS_MAX.
        u16::try_from(self.records.len() / self.slot_len).unwrap_or(u16::MAX)
    }

    /// The stretches of records in the order of sending; some may be empty.
    fn runs(&self, az: Option<&str>, rotation: usize) -> [&[u8]; 6] {
        let near = az.and_then(|az| self.zones.iter().find(|zone| zone.az.is_called(az)));
        let (start, end) = near.map_or((0, 0), |zone| (zone.start, zone.end));
        let (head, after) = self.records.split_at(end);
        let (before, near) = head.split_at(start);
        let [a, b, c] = rotated(near, &[], rotation, self.slot_len);
        let [d, e, f] = rotated(before, after, rotation, self.slot_len);
        [a, b, c, d, e, f]
    }
}

/// The records of `first` and then `second`, as a ring begun at another place.
fn rotated<'r>(
    first: &'r [u8],
    second: &'r [u8],
    rotation: usize,
    slot_len: usize,
) -> [&'r [u8]; 3] {
    let slots = (first.len() + second.len()) / slot_len;
    let skip = rotation.checked_rem(slots).unwrap_or(0) * slot_len;
    match first.split_at_checked(skip) {
        Some((skipped, rest)) => [rest, second, skipped],
        None => {
            let (skipped, rest) = second.split_at(skip - first.len());
            [rest, first, skipped]
        }
    }
}

/// The addresses that are sent for that type, at most [`RECORDS_MAX`].
pub(super) fn of_type(rtype: RecordType, addresses: &[Address]) -> impl Iterator<Item = &Address> {
    let of_family = move |address: &&Address| match address.ip {
        IpAddr::V4(_) => rtype == RecordType::A,
        IpAddr::V6(_) => rtype == RecordType::AAAA,
    };
    addresses.iter().filter(of_family).take(RECORDS_MAX)
}

/// The SOA record that goes with an absence; how long that may be kept is both its TTL and its
/// minimum (RFC 2308 section 3).
pub(super) fn soa(negative_ttl: Ttl) -> Arc<[u8]> {
    let mut rdata = [SOA_MNAME, SOA_RNAME].concat();
    for timer in SOA_TIMERS.into_iter().chain([negative_ttl.as_secs()]) {
        rdata.extend(timer.to_be_bytes());
    }
    let mut record = Vec::new();
    push_record(&mut record, RecordType::SOA, negative_ttl, &rdata);
    record.into()
}

/// Appends a record whose owner is the question's name (RFC 1035 section 4.1.3).
fn push_record(out: &mut Vec<u8>, rtype: RecordType, ttl: Ttl, rdata: &[u8]) {
    let len = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
    debug_assert_eq!(usize::from(len), rdata.len(), "our rdata has at most 52 octets");
    out.extend(OWNER);
    out.extend(rtype.0.to_be_bytes());
    out.extend(CLASS);
    out.extend(ttl.as_secs().to_be_bytes());
    out.extend(len.to_be_bytes());
    out.extend_from_slice(rdata);
}
