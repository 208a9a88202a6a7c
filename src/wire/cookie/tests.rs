//! The test vectors of RFC 9018 appendix A, and the ways in which a cookie is none.

use super::{Cookie, CookieState};
use crate::base::{CookieSecret, CookieSecrets};

fn octets(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn secrets(all: &[&str]) -> CookieSecrets {
    let all: Vec<CookieSecret> = all.iter().map(|text| text.parse().unwrap()).collect();
    CookieSecrets { current: all[0], former: all[1..].to_vec() }
}

/// What a client at `ip` that sends `cookie` is told.
fn told(secrets: &CookieSecrets, ip: &str, now: u32, cookie: &str) -> (CookieState, String) {
    let cookie = Cookie::read(&octets(cookie)).unwrap();
    let (state, full) = cookie.answer(secrets, ip.parse().unwrap(), now);
    let hex = full.parts().concat().iter().map(|octet| format!("{octet:02x}")).collect();
    (state, hex)
}

const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const CLIENT: &str = "2464c4abcf10c957";
const FIRST: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
const RENEWED: &str = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
const MADE: u32 = 1_559_731_985;

#[test]
fn a_new_cookie_is_that_of_appendix_a_1() {
    let told = told(&secrets(&[SECRET]), "198.51.100.100", MADE, CLIENT);
    assert_eq!(told, (CookieState::New, FIRST.to_owned()));
}

#[test]
fn a_renewed_cookie_is_that_of_appendix_a_2() {
    let told = told(&secrets(&[SECRET]), "198.51.100.100", 1_559_734_385, FIRST);
    assert_eq!(told, (CookieState::Good, RENEWED.to_owned()));
}

#[test]
fn reserved_octets_are_hashed_and_not_kept_as_in_appendix_a_3() {
    let sent = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
    let told = |now| told(&secrets(&[SECRET]), "203.0.113.203", now, sent);
    // The appendix has it renewed after an hour and 52 minutes, when it is good no longer.
    let renewed = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e".to_owned();
    assert_eq!(told(1_559_734_700), (CookieState::Bad, renewed));
    assert_eq!(told(1_559_727_985 + 3_600).0, CookieState::Good);
}

#[test]
fn a_cookie_by_a_former_secret_is_good_and_renewed_as_in_appendix_a_4() {
    let (former, current) =
        ("dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962");
    let ip = "2001:db8:220:1:59de:d0f4:8769:82b8";
    let sent = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
    let renewed = "22681ab97d52c298010000005cf7c609a6bb79d16625507a".to_owned();
    let now = 1_559_741_961;
    let both = told(&secrets(&[current, former]), ip, now, sent);
    assert_eq!(both, (CookieState::Good, renewed.clone()));
    assert_eq!(told(&secrets(&[current]), ip, now, sent), (CookieState::Bad, renewed));
}

#[test]
fn a_cookie_is_good_for_an_hour_and_kept_for_half_of_it() {
    let at = |now| {
        let (state, cookie) = told(&secrets(&[SECRET]), "198.51.100.100", now, FIRST);
        (state, cookie == FIRST)
    };
    let (kept, renewed, bad) =
        ((CookieState::Good, true), (CookieState::Good, false), (CookieState::Bad, false));
    assert_eq!([at(MADE - 301), at(MADE - 300), at(MADE)], [bad, kept, kept]);
    assert_eq!([at(MADE + 1_800), at(MADE + 1_801)], [kept, renewed]);
    assert_eq!([at(MADE + 3_600), at(MADE + 3_601)], [renewed, bad]);
    assert_eq!(at(MADE.wrapping_add(1 << 31)), bad);
}

#[test]
fn a_cookie_is_good_for_its_client_at_its_address_alone() {
    let state = |ip, cookie: &str| told(&secrets(&[SECRET]), ip, MADE, cookie).0;
    assert_eq!(state("198.51.100.101", FIRST), CookieState::Bad);
    assert_eq!(state("198.51.100.100", &FIRST.replace("2464", "2465")), CookieState::Bad);
    assert_eq!(state("198.51.100.100", &FIRST.replace("9480", "9481")), CookieState::Bad);
    assert_eq!(state("198.51.100.100", &FIRST.replace("c95701", "c95702")), CookieState::Bad);
    // Another server's: of a length that none of ours has.
    assert_eq!(state("198.51.100.100", &FIRST[..32]), CookieState::Bad);
}

#[test]
fn an_option_has_8_octets_or_16_to_40() {
    let lengths = (0..=48).filter(|len| Cookie::read(&vec![7; *len]).is_some());
    assert_eq!(lengths.collect::<Vec<_>>(), [vec![8], (16..=40).collect()].concat());
}
