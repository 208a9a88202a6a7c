//! What the AWS CLI prints of zones, as it is written there.

use serde::Deserialize;

/// `list-hosted-zones-by-vpc`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByVpc {
    pub(super) hosted_zone_summaries: Vec<Summary>,
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Summary {
    pub(super) hosted_zone_id: String,
    pub(super) name: String,
    pub(super) owner: Option<Owner>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Owner {
    pub(super) owning_account: Option<String>,
    pub(super) owning_service: Option<String>,
}

/// `get-hosted-zone`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetZone {
    pub(super) hosted_zone: HostedZone,
    #[serde(rename = "VPCs", default)]
    pub(super) vpcs: Vec<ZoneVpc>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostedZone {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) config: Option<ZoneConfig>,
    pub(super) resource_record_set_count: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ZoneConfig {
    #[serde(default)]
    pub(super) private_zone: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ZoneVpc {
    #[serde(rename = "VPCRegion")]
    pub(super) region: String,
    #[serde(rename = "VPCId")]
    pub(super) id: String,
}

/// `list-resource-record-sets`. With `--no-paginate` it is the API's own page.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Records {
    pub(super) resource_record_sets: Vec<Set>,
    #[serde(default)]
    pub(super) is_truncated: bool,
    pub(super) next_record_name: Option<String>,
    pub(super) next_record_type: Option<String>,
    pub(super) next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Set {
    pub(super) name: String,
    pub(super) r#type: String,
    #[serde(rename = "TTL")]
    pub(super) ttl: Option<u32>,
    #[serde(default)]
    pub(super) resource_records: Vec<Value>,
    pub(super) alias_target: Option<AliasTarget>,
    pub(super) set_identifier: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Value {
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct AliasTarget {
    #[serde(rename = "DNSName")]
    pub(super) dns_name: String,
}

/// A name with Route 53's escapes undone: all but letters, digits, hyphens and underscores come as
/// `\ooo` in octal, a wildcard's asterisk as `\052`.
pub(super) fn unescaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        text.push_str(before);
        let octal = escape.get(1..4).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(octet) => {
                text.push(char::from(octet));
                rest = escape.get(4..).unwrap_or("");
            }
            None => {
                text.push('\\');
                rest = escape.get(1..).unwrap_or("");
            }
        }
    }
    text + rest
}

/// An id as AWS makes them. They stand in commands that a person pastes into a shell.
pub(super) fn identifier(id: String) -> Result<String, String> {
    let is_one = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match is_one {
        true => Ok(id),
        false => Err(format!("{id:?} is no id of a zone, a VPC or a region")),
    }
}

/// `vpc-0a11a2b0c5d6e7f80` of a file's name that has such an id.
pub(super) fn vpc_named(file: &str) -> Option<&str> {
    let from = file.get(file.rfind("vpc-")?..)?;
    let digits = from.bytes().skip(4).take_while(u8::is_ascii_hexdigit).count();
    from.get(..4 + digits).filter(|_| matches!(digits, 8 | 17))
}
