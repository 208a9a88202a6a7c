//! A hub in recorded files, which a test changes while a daemon reads them.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder for a source of kind "files". Each endpoint has one address a zone, of at most three.
pub struct Recording {
    dir: TempDir,
}

/// An endpoint: the service's short name, and its addresses.
pub type Recorded = (String, Vec<Ipv4Addr>);

const ZONES: [&str; 3] = ["a", "b", "c"];

/// The name that clients ask for.
pub fn name_of(service: &str) -> String {
    format!("{service}.eu-west-1.amazonaws.com")
}

// === impl Recording ===

impl Recording {
    /// With these endpoints.
    pub fn new(endpoints: &[Recorded]) -> Self {
        let recording = Self { dir: TempDir::new().expect("a temporary folder") };
        recording.write(endpoints);
        recording
    }

    /// `[[source]]`.
    pub fn source(&self) -> String {
        let path = self.dir.path();
        format!("[[source]]\nname = \"files\"\nkind = \"files\"\npath = {path:?}\n")
    }

    /// Writes all three files, each at once.
    pub fn write(&self, endpoints: &[Recorded]) {
        let service = |(name, _): &Recorded| {
            json!({ "ServiceName": format!("com.amazonaws.eu-west-1.{name}"), "Owner": "amazon",
                "ServiceType": [{ "ServiceType": "Interface" }],
                "PrivateDnsNames": [{ "PrivateDnsName": name_of(name) }],
                "PrivateDnsNameVerificationState": "verified" })
        };
        let services: Vec<Value> = endpoints.iter().map(service).collect();
        self.put("vpc-endpoint-services.json", &json!({ "ServiceDetails": services }));
        let endpoint = |(at, (name, addresses)): (usize, &Recorded)| {
            let enis: Vec<String> = (0..addresses.len()).map(|zone| eni(at, zone)).collect();
            json!({ "VpcEndpointId": endpoint_id(at), "VpcEndpointType": "Interface",
                "VpcId": "vpc-1", "ServiceName": format!("com.amazonaws.eu-west-1.{name}"),
                "State": "available", "IpAddressType": "ipv4",
                "DnsOptions": { "DnsRecordIpType": "ipv4" }, "PrivateDnsEnabled": false,
                "NetworkInterfaceIds": enis, "DnsEntries": [],
                "CreationTimestamp": "2024-01-16T09:23:59.593000+00:00", "Tags": [],
                "OwnerId": "111122223333" })
        };
        let all: Vec<Value> = endpoints.iter().enumerate().map(endpoint).collect();
        self.put("vpc-endpoints.json", &json!({ "VpcEndpoints": all }));
        self.write_addresses(endpoints);
    }

    /// Writes the interfaces alone: the same endpoints have other addresses.
    pub fn write_addresses(&self, endpoints: &[Recorded]) {
        let mut interfaces = Vec::new();
        for (at, (_, addresses)) in endpoints.iter().enumerate() {
            for (zone, address) in addresses.iter().enumerate() {
                interfaces.push(json!({ "NetworkInterfaceId": eni(at, zone),
                    "AvailabilityZone": format!("eu-west-1{}", ZONES[zone]),
                    "AvailabilityZoneId": format!("euw1-az{}", zone + 1),
                    "Description": format!("VPC Endpoint Interface {}", endpoint_id(at)),
                    "InterfaceType": "vpc_endpoint", "Ipv6Addresses": [],
                    "PrivateIpAddress": address, "Status": "in-use", "VpcId": "vpc-1",
                    "PrivateIpAddresses": [{ "Primary": true, "PrivateIpAddress": address }] }));
            }
        }
        self.put("network-interfaces.json", &json!({ "NetworkInterfaces": interfaces }));
    }

    fn put(&self, file: &str, content: &Value) {
        let (path, beside) = (self.path().join(file), self.path().join("new"));
        fs::write(&beside, content.to_string()).expect("a file");
        fs::rename(beside, path).expect("a file");
    }

    fn path(&self) -> PathBuf {
        Path::new(self.dir.path()).to_owned()
    }
}

fn endpoint_id(at: usize) -> String {
    format!("vpce-{at:017}")
}

fn eni(at: usize, zone: usize) -> String {
    format!("eni-{at:015}{zone:02}")
}
