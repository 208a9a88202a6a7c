//! How large a reply is, and who gets it by UDP: for people.

use super::{explain::Given, sender::FORGED_TIMES};
use crate::{base::Name, wire};

/// What UDP carries for who comes without EDNS (RFC 1035 section 4.2.1), and at most.
const PLAIN: usize = 512;
const MOST: usize = wire::UDP_PAYLOAD_MAX as usize;
/// An OPT without options (RFC 6891 section 6.1.2).
const OPT: usize = 11;

/// What a question takes: header, name, type, class and an OPT.
fn of_question(name: &Name) -> usize {
    12 + name.as_wire().len() + 4 + OPT
}

/// What a reply takes: the question again, and for each address an owner that points to the
/// question, with type, class, TTL and length (RFC 1035 section 4.1).
pub(super) fn of_reply(name: &Name, given: &[Given]) -> usize {
    let address = |given: &Given| if given.ip.is_ipv4() { 4 } else { 16 };
    of_question(name) + given.iter().map(|given| 12 + address(given)).sum::<usize>()
}

/// What a reply to an address takes at most that may be forged.
pub(super) fn unproven(name: &Name) -> usize {
    FORGED_TIMES * of_question(name)
}

/// The octets of a reply and who gets it cut, where `unproven` is the most without a cookie.
pub(super) fn told(octets: usize, unproven: Option<usize>) -> String {
    let lacking = [
        (PLAIN < octets).then_some("EDNS"),
        unproven.is_some_and(|most| most < octets).then_some("a cookie of ours"),
    ];
    let lacking: Vec<&str> = lacking.into_iter().flatten().collect();
    let cut = match (octets <= MOST, lacking.is_empty()) {
        (true, true) => String::new(),
        (true, false) => {
            format!(", truncated by UDP for who comes without {}", lacking.join(" or without "))
        }
        (false, _) => ", truncated by UDP: clients come again by TCP".to_owned(),
    };
    format!("{octets} octets{cut}")
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn it_is_told_who_gets_a_reply_cut() {
        let cut = "truncated by UDP";
        for (octets, unproven, expected) in [
            (512, None, "512 octets".to_owned()),
            (120, Some(120), "120 octets".to_owned()),
            (121, Some(120), format!("121 octets, {cut} for who comes without a cookie of ours")),
            (513, None, format!("513 octets, {cut} for who comes without EDNS")),
            (
                513,
                Some(120),
                format!("513 octets, {cut} for who comes without EDNS or without a cookie of ours"),
            ),
            (1_233, Some(120), format!("1233 octets, {cut}: clients come again by TCP")),
        ] {
            assert_eq!(told(octets, unproven), expected);
        }
    }
}
