//! What names accounts, roles and their sessions, by the rules of IAM and STS. Asks neither.

use super::{Wrong, wrong};

/// The longest name of a role, and of a session (IAM and STS quotas).
const ROLE_NAME_LEN_MAX: usize = 64;
/// The longest external id (STS AssumeRole).
const EXTERNAL_ID_LEN_MAX: usize = 1_224;

/// `arn:PARTITION:iam::ACCOUNT:role/NAME`.
pub(in crate::config) fn role_arn(text: &str) -> Result<&str, Wrong> {
    let shape = "allowed: \"arn:aws:iam::123456789012:role/NAME\"; the partition may be another";
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, iam, region, account, resource] = parts.as_slice() else {
        return Err(wrong("not the ARN of a role", shape));
    };
    let is_account = is_account(account);
    let is_role = resource.strip_prefix("role/").is_some_and(|name| {
        !name.is_empty() && !name.ends_with('/') && name.bytes().all(|b| b.is_ascii_graphic())
    });
    if *arn != "arn" || !partition.starts_with("aws") || *iam != "iam" || !region.is_empty() {
        return Err(wrong("not the ARN of a role", shape));
    }
    match (is_account, is_role) {
        (false, _) => Err(wrong("its account is not twelve digits", shape)),
        (true, false) => Err(wrong("it does not end with role/NAME", shape)),
        (true, true) => Ok(text),
    }
}

/// Twelve digits.
pub(in crate::config) fn account(text: &str) -> Result<&str, Wrong> {
    match is_account(text) {
        true => Ok(text),
        false => Err(wrong("not an account", "allowed: its twelve digits, as \"123456789012\"")),
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `NAME` or `PATH/NAME` of a role.
pub(in crate::config) fn role_name(text: &str) -> Result<&str, Wrong> {
    let shape = "allowed: as \"hubdns-read\", or with its path as \"network/hubdns-read\"";
    let name = text.rsplit('/').next().unwrap_or_default();
    let path_is_right = text.strip_suffix(name).is_some_and(|path| {
        !path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
    });
    if text.starts_with("arn:") {
        return Err(wrong(
            "an ARN is of one account",
            format!("{shape}; an ARN stands in `role_arn`"),
        ));
    }
    match (1..=ROLE_NAME_LEN_MAX).contains(&name.len()) && is_iam_word(name) && path_is_right {
        true => Ok(text),
        false => Err(wrong("not the name of a role", shape)),
    }
}

/// What IAM allows in names of roles and of their sessions.
fn is_iam_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

/// `sts:ExternalId`.
pub(in crate::config) fn external_id(text: &str) -> Result<&str, Wrong> {
    let right =
        (2..=EXTERNAL_ID_LEN_MAX).contains(&text.len()) && text.split([':', '/']).all(is_iam_word);
    match right {
        true => Ok(text),
        false => Err(wrong(
            "not an external id",
            format!("allowed: 2 to {EXTERNAL_ID_LEN_MAX} letters, digits and any of _+=,.@:/-"),
        )),
    }
}

/// `RoleSessionName`.
pub(in crate::config) fn session_name(text: &str) -> Result<&str, Wrong> {
    match (2..=ROLE_NAME_LEN_MAX).contains(&text.len()) && is_iam_word(text) {
        true => Ok(text),
        false => Err(wrong(
            "not a name for a session",
            format!("allowed: 2 to {ROLE_NAME_LEN_MAX} letters, digits and any of _+=,.@-"),
        )),
    }
}

/// The key of a session tag.
pub(in crate::config) fn session_tag_key(text: &str) -> Result<&str, Wrong> {
    match (1..=128).contains(&text.chars().count()) && is_tag(text) {
        true if text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("aws:")) => {
            Err(wrong("AWS keeps keys with `aws:` for itself", "choose another key"))
        }
        true => Ok(text),
        false => Err(wrong(
            "not the key of a session tag",
            "allowed: 1 to 128 letters, digits, spaces and any of _.:/=+-@",
        )),
    }
}

/// The value of a session tag.
pub(in crate::config) fn session_tag_value(text: &str) -> Result<&str, Wrong> {
    match text.chars().count() <= 256 && is_tag(text) {
        true => Ok(text),
        false => Err(wrong(
            "not the value of a session tag",
            "allowed: up to 256 letters, digits, spaces and any of _.:/=+-@",
        )),
    }
}

fn is_tag(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
}
