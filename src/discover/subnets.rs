//! The subnets of a source, by which clients' networks are known to be in zones.
//!
//! All that the caller sees, whatever VPCs its endpoints are taken from: clients of a hub are mostly
//! in other VPCs than its endpoints. A source goes on without them, so what is wrong with them is no
//! failure of its look.

use std::{path::Path, sync::Arc};

use ipnet::IpNet;

use super::{
    disk::aside,
    error::{Action, DiscoverError},
    files::{SUBNETS_FILE, file},
    recorded::{RecordedSubnet, SubnetsFile},
};
use crate::{
    base::{Az, SubnetId, VpcId},
    inventory::Subnet,
};

/// Reads the recording in `folder`.
pub(super) async fn read_subnets(folder: &Path) -> Result<Vec<RecordedSubnet>, DiscoverError> {
    let path = folder.join(SUBNETS_FILE);
    let command = "aws ec2 describe-subnets --output json";
    let read: SubnetsFile = aside(move || file(path, command)).await?;
    subnets(&read.subnets, Action::Files)?;
    Ok(read.subnets)
}

/// The facts in a list, which is told under `action` if it is none.
pub(super) fn subnets(
    recorded: &[RecordedSubnet],
    action: Action,
) -> Result<Vec<Subnet>, DiscoverError> {
    recorded.iter().map(|item| subnet(item, action)).collect()
}

fn subnet(item: &RecordedSubnet, action: Action) -> Result<Subnet, DiscoverError> {
    for (key, value) in [
        ("SubnetId", &item.subnet_id),
        ("VpcId", &item.vpc_id),
        ("AvailabilityZone", &item.availability_zone),
    ] {
        if value.is_empty() {
            let what = format!("the subnet {:?} lacks {key}", item.subnet_id);
            return Err(DiscoverError::garbage(action, what));
        }
    }
    let is_on = |state: &str| state.is_empty() || state.eq_ignore_ascii_case("associated");
    let ipv6 = item.ipv6_cidr_block_association_set.iter();
    let ipv6 = ipv6.filter(|it| is_on(&it.ipv6_cidr_block_state.state));
    let texts = item.cidr_block.iter().chain(ipv6.map(|it| &it.ipv6_cidr_block));
    let mut networks = texts
        .map(|text| {
            text.parse::<IpNet>().map(|network| network.trunc()).map_err(|error| {
                DiscoverError::Garbage {
                    action,
                    what: format!("the subnet {} has the network {text:?}", item.subnet_id),
                    source: Some(Box::new(error)),
                }
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    networks.sort();
    Ok(Subnet {
        id: SubnetId::from(item.subnet_id.as_str()),
        vpc: VpcId::from(item.vpc_id.as_str()),
        az: Az {
            name: Arc::from(item.availability_zone.as_str()),
            id: item.availability_zone_id.as_deref().map(Arc::from),
        },
        networks,
    })
}

#[cfg(test)]
mod tests {
    use super::{Action, SubnetsFile, subnets};
    use crate::base::Chain;

    /// What the AWS CLI prints, with the keys that we do not use.
    const PRINTED: &str = r#"{"Subnets": [
        {"SubnetId": "subnet-1", "VpcId": "vpc-1", "AvailabilityZone": "eu-west-1a",
         "AvailabilityZoneId": "euw1-az2", "CidrBlock": "10.0.1.0/24", "State": "available",
         "MapPublicIpOnLaunch": false, "OwnerId": "123456789012",
         "Ipv6CidrBlockAssociationSet": [
            {"AssociationId": "a", "Ipv6CidrBlock": "2001:db8:1::/64",
             "Ipv6CidrBlockState": {"State": "associated"}},
            {"AssociationId": "b", "Ipv6CidrBlock": "2001:db8:2::/64",
             "Ipv6CidrBlockState": {"State": "disassociated"}}]},
        {"SubnetId": "subnet-2", "VpcId": "vpc-1", "AvailabilityZone": "eu-west-1b"}]}"#;

    fn read(text: &str) -> Result<Vec<crate::inventory::Subnet>, String> {
        let file: SubnetsFile = serde_json::from_str(text).unwrap();
        subnets(&file.subnets, Action::Files).map_err(|error| Chain(&error).to_string())
    }

    #[test]
    fn a_subnet_has_its_networks_of_both_families() {
        let [first, second] = read(PRINTED).unwrap().try_into().unwrap();
        let networks: Vec<String> = first.networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.1.0/24", "2001:db8:1::/64"]);
        assert_eq!(first.az.id.as_deref(), Some("euw1-az2"));
        assert!(second.networks.is_empty());
    }

    #[test]
    fn what_is_no_subnet_is_told() {
        let error = read(&PRINTED.replace("10.0.1.0/24", "10.0.1.0/99")).unwrap_err();
        assert!(error.contains("the subnet subnet-1 has the network \"10.0.1.0/99\""), "{error}");
        let error = read(&PRINTED.replace("eu-west-1b", "")).unwrap_err();
        assert!(error.contains("the subnet \"subnet-2\" lacks AvailabilityZone"), "{error}");
    }
}
