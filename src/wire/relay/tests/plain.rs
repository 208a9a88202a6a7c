//! What is read as common, against the general way.

use super::*;
use crate::wire::relay::plain;

/// So many addresses of one name, as most servers write them.
fn common(addresses: u8, ttl: u32, has_opt: bool) -> (Question, Vec<u8>) {
    let question = question("www.corp.example", RecordType::A);
    let mut message = vec![0, 7, 0x81, 0xA0, 0, 1, 0, addresses, 0, 0, 0, has_opt.into()];
    message.extend(b"\x03wWw\x04corp\x07example\0\0\x01\0\x01");
    for last in 0..addresses {
        message.extend([0xC0, 12, 0, 1, 0, 1]);
        message.extend(ttl.to_be_bytes());
        message.extend([0, 4, 192, 0, 2, last]);
    }
    if has_opt {
        message.extend([0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    }
    (question, message)
}

#[test]
fn addresses_of_the_name_are_common() {
    for (addresses, ttl, has_opt) in
        [(1, 60, true), (3, 0, false), (2, 0x8000_0000, true), (8, 90_000, true)]
    {
        let (question, message) = common(addresses, ttl, has_opt);
        let told = plain::read(&question, &message).unwrap();
        assert!(told.validated());
        assert_eq!(Ok(told), Relay::read_any(&question, &message));
    }
}

proptest! {
    #[test]
    fn what_is_common_reads_the_same_in_the_general_way(
        addresses in 1_u8..4,
        ttl in any::<u32>(),
        has_opt in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (question, mut message) = common(addresses, ttl, has_opt);
        for (at, octet) in changes {
            let at = at.index(message.len());
            message[at] = octet;
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len()));
        }
        if let Some(told) = plain::read(&question, &message) {
            prop_assert_eq!(Ok(told), Relay::read_any(&question, &message));
        }
    }
}
