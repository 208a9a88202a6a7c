//! Sockets as the configuration names them, on real interfaces and ports.

use super::{BindError, Bound, Inherited};
use crate::serve::{ListenAddress, Service};

fn bind(listen: &ListenAddress) -> Result<Vec<Bound>, BindError> {
    super::bind(Service::Plain, listen, &mut Inherited::default())
}

fn socket(text: &str) -> ListenAddress {
    ListenAddress::Socket(text.parse().unwrap())
}

fn interface(name: &str) -> ListenAddress {
    ListenAddress::Interface { name: name.into(), port: 0 }
}

#[test]
fn udp_and_tcp_share_a_found_port() {
    let bound = bind(&socket("127.0.0.1:0")).unwrap();
    assert_ne!(bound[0].address.port(), 0);
    assert_eq!(bound[0].tcp.local_addr().unwrap(), bound[0].address);
    assert_eq!(bound[0].udp[0].local_addr().unwrap(), bound[0].address);
}

#[test]
fn what_is_encrypted_has_tcp_alone() {
    let service = Service::Encrypted(crate::telemetry::Encrypted::Tls);
    let bound = super::bind(service, &socket("127.0.0.1:0"), &mut Inherited::default()).unwrap();
    assert!(bound[0].udp.is_empty());
    assert_eq!(bound[0].tcp.local_addr().unwrap(), bound[0].address);
    assert!(std::net::UdpSocket::bind(bound[0].address).is_ok(), "UDP is left free");
}

#[test]
fn wildcards_of_both_families_stand_side_by_side() {
    let v4 = bind(&socket("0.0.0.0:0")).unwrap();
    let port = v4[0].address.port();
    assert!(bind(&socket(&format!("[::]:{port}"))).is_ok());
}

#[test]
fn an_interface_gives_all_its_addresses() {
    let bound = bind(&interface("lo")).unwrap();
    assert!(bound.iter().any(|bound| bound.address.ip().to_string() == "127.0.0.1"));
}

#[test]
fn each_failure_says_what_is_wrong_and_what_to_do() {
    let taken = bind(&socket("127.0.0.1:0")).unwrap();
    let in_use = bind(&ListenAddress::Socket(taken[0].address)).unwrap_err();
    assert!(matches!(in_use, BindError::InUse { protocol: "UDP", .. }), "{in_use}");
    assert!(in_use.help().contains("ss -lntup"));
    let not_ours = bind(&socket("192.0.2.1:0")).unwrap_err();
    assert_eq!(not_ours.to_string(), "this machine has no address 192.0.2.1:0");
    let nowhere = bind(&interface("nowhere0")).unwrap_err();
    assert!(nowhere.to_string().starts_with("there is no interface nowhere0; there are lo"));
}
