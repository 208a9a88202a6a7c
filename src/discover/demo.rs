//! The recorded hub inside the binary: what `hubdns demo` answers from.
//!
//! Invented ids and addresses; services and names as AWS published them. Among its endpoints are
//! the cases that surprise: names that no rule derives, wildcards without an apex, a parent and a
//! child of different services, two endpoints for one name, names without proof.

use super::recorded::{EndpointsFile, InterfacesFile, Recorded, ServicesFile};

const ENDPOINTS: &str = include_str!("demo/vpc-endpoints.json");
const SERVICES: &str = include_str!("demo/vpc-endpoint-services.json");
const INTERFACES: &str = include_str!("demo/network-interfaces.json");

/// The recording, in the shape that every source gives.
///
/// # Panics
/// When the files compiled in are not a recording, which a test rules out.
pub fn demo() -> Recorded {
    let endpoints: EndpointsFile =
        serde_json::from_str(ENDPOINTS).expect("demo/vpc-endpoints.json is tested");
    let services: ServicesFile =
        serde_json::from_str(SERVICES).expect("demo/vpc-endpoint-services.json is tested");
    let interfaces: InterfacesFile =
        serde_json::from_str(INTERFACES).expect("demo/network-interfaces.json is tested");
    Recorded {
        endpoints: endpoints.vpc_endpoints,
        services: services.service_details,
        interfaces: interfaces.network_interfaces,
        associations: None,
        subnets: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::files, ENDPOINTS, INTERFACES, SERVICES, demo};

    #[tokio::test]
    async fn the_demo_is_a_recording_like_any_other() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/discover/demo");
        assert_eq!(files::read_files(&folder).await.unwrap(), demo());
        demo().check(None).unwrap();
    }

    #[test]
    fn the_demo_is_small_enough_to_carry() {
        assert!(ENDPOINTS.len() + SERVICES.len() + INTERFACES.len() < 120_000);
        assert!((25..=30).contains(&demo().endpoints.len()));
    }
}
