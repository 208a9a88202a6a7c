//! Fields of protobuf, for the few messages that are encoded by hand.

use std::net::IpAddr;

/// Kinds of fields on the wire: a number, eight octets, octets behind their length, four octets.
const VARINT: u64 = 0;
#[cfg(feature = "otlp")]
const FIXED_64: u64 = 1;
const OCTETS: u64 = 2;
const FIXED_32: u64 = 5;

pub(super) fn put_number(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << 3 | VARINT);
    put_varint(out, value);
}

pub(super) fn put_fixed(out: &mut Vec<u8>, field: u64, value: u32) {
    put_varint(out, field << 3 | FIXED_32);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(feature = "otlp")]
pub(super) fn put_long(out: &mut Vec<u8>, field: u64, value: u64) {
    put_varint(out, field << 3 | FIXED_64);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_octets(out: &mut Vec<u8>, field: u64, octets: &[u8]) {
    put_varint(out, field << 3 | OCTETS);
    put_varint(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

pub(super) fn put_address(out: &mut Vec<u8>, field: u64, address: IpAddr) {
    match address {
        IpAddr::V4(ip) => put_octets(out, field, &ip.octets()),
        IpAddr::V6(ip) => put_octets(out, field, &ip.octets()),
    }
}

/// Seven bits an octet, the lowest first; the highest bit says that more follow.
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        match value {
            0 => return out.push(low & 0x7F),
            _ => out.push(low | 0x80),
        }
    }
}

/// What a field has that was read.
#[cfg(feature = "otlp")]
pub(super) enum Value<'m> {
    Number(u64),
    Octets(&'m [u8]),
    /// Of a kind that no message that we read has.
    Other,
}

/// The fields of a message, by number. What is cut off, or no message, ends them.
#[cfg(feature = "otlp")]
pub(super) fn fields(mut rest: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let key = take_varint(&mut rest)?;
        let value = match key & 7 {
            VARINT => Value::Number(take_varint(&mut rest)?),
            OCTETS => {
                let len = usize::try_from(take_varint(&mut rest)?).ok()?;
                Value::Octets(rest.split_off(..len)?)
            }
            FIXED_64 => rest.split_off(..8).map(|_| Value::Other)?,
            FIXED_32 => rest.split_off(..4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((key >> 3, value))
    })
}

#[cfg(feature = "otlp")]
fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let octet = *rest.split_off_first()?;
        value |= u64::from(octet & 0x7F) << shift;
        if octet < 0x80 {
            return Some(value);
        }
    }
    None
}
