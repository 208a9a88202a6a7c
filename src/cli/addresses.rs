//! Addresses as they are written on the command line, and what is told of one that is none.

use std::net::{IpAddr, SocketAddr};

/// `IP`.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "write an address as 10.0.0.5 or fd00::5".to_owned())
}

/// `IP:PORT`.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    let how = "write an address and a port as 127.0.0.1:5300 or [::1]:5300";
    text.parse().map_err(|_| how.to_owned())
}

/// `IP` or `IP:PORT`; port 53 unless told.
pub(super) fn dns(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse::<SocketAddr>();
    address
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| "write an address as 10.0.0.2 or 10.0.0.2:53".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{dns, ip, socket};

    #[test]
    fn a_slip_is_told_with_what_is_right() {
        assert_eq!(dns("fd00::2"), Ok("[fd00::2]:53".parse().unwrap()));
        assert_eq!(dns("10.0.0.2:5353"), Ok("10.0.0.2:5353".parse().unwrap()));
        assert_eq!(ip("fd00::5"), Ok("fd00::5".parse().unwrap()));
        assert_eq!(socket("[::1]:5300"), Ok("[::1]:5300".parse().unwrap()));
        let told =
            [ip("10.0.0").unwrap_err(), socket("10.0.0.2").unwrap_err(), dns("a").unwrap_err()];
        assert!(told.iter().all(|why| why.starts_with("write an address")), "{told:?}");
    }
}
