//! Which role a source is asked as, or which in each of its accounts.

use std::collections::BTreeMap;

use super::{
    file::Source,
    located::{Located, Text},
    problem::Findings,
    sources::{read_owned, tags},
    words::{self, read_all},
};
use crate::{
    base::AccountId,
    discover::{Role, RoleName},
};

/// How we call a session that the configuration does not name.
const SESSION_NAME: &str = "hubdns";

/// The role of each source that the table stands for: none, one, or one an account. Empty where
/// what is written does not say which.
pub(super) fn roles(found: &mut Findings, source: &Source) -> Vec<Option<Role>> {
    let arn = source.role_arn.as_ref();
    let arn = arn.and_then(|text| read_owned(found, "source.role_arn", text, words::role_arn));
    let (external_id, session_name, session_tags) = session(found, source);
    let role = |name| Role {
        name,
        external_id: external_id.clone(),
        session_name: session_name.clone(),
        session_tags: session_tags.clone(),
    };
    match (&source.accounts, &source.role_name) {
        (Some(accounts), Some(name)) => {
            if let Some(text) = &source.role_arn {
                found
                    .problem("source.role_arn", &text.span, "`role_arn` stands beside `accounts`")
                    .label("one role of one account")
                    .help("remove it: `accounts` with `role_name` says which roles are assumed");
            }
            let name = read_owned(found, "source.role_name", name, words::role_name);
            let accounts = self::accounts(found, accounts);
            let Some(name) = name else { return Vec::new() };
            let of = |account| Some(role(RoleName::In(account, name.clone())));
            accounts.into_iter().map(of).collect()
        }
        (Some(accounts), None) => {
            found
                .problem("source.role_name", &accounts.span, "`accounts` lacks `role_name`")
                .label("which role is assumed in these?")
                .help("add `role_name = \"hubdns-read\"`: a role that each of them has");
            Vec::new()
        }
        (None, Some(name)) => {
            found
                .problem("source.role_name", &name.span, "`role_name` lacks `accounts`")
                .label("in which accounts?")
                .help("add `accounts = [\"123456789012\"]`, or name the one role by `role_arn`");
            Vec::new()
        }
        (None, None) => {
            if source.role_arn.is_none() {
                without_role(found, source);
            }
            vec![arn.map(|arn| role(RoleName::Arn(arn)))]
        }
    }
}

/// Session tags that STS takes at most.
const SESSION_TAGS_MAX: usize = 50;

/// `external_id`, `session_name` and `session_tags`.
fn session(
    found: &mut Findings,
    source: &Source,
) -> (Option<String>, String, BTreeMap<String, String>) {
    let id = source.external_id.as_ref();
    let id = id.and_then(|text| read_owned(found, "source.external_id", text, words::external_id));
    let name = source.session_name.as_ref();
    let name =
        name.and_then(|text| read_owned(found, "source.session_name", text, words::session_name));
    let written = source.session_tags.iter().flatten();
    for (at, (key, value)) in written.enumerate() {
        read_owned(found, "source.session_tags", key, words::session_tag_key);
        read_owned(found, "source.session_tags", value, words::session_tag_value);
        if at == SESSION_TAGS_MAX {
            found
                .problem("source.session_tags", &key.span, "too many session tags")
                .label(format!("number {}", at + 1))
                .help(format!("STS takes {SESSION_TAGS_MAX}"));
        }
    }
    let name = name.unwrap_or_else(|| SESSION_NAME.to_owned());
    (id, name, tags(source.session_tags.as_ref()))
}

/// What only a role has, without one: it would do nothing, and be believed to.
fn without_role(found: &mut Findings, source: &Source) {
    let tag = source.session_tags.iter().flatten().map(|(key, _)| key).next();
    for (key, text) in [
        ("external_id", source.external_id.as_ref()),
        ("session_name", source.session_name.as_ref()),
        ("session_tags", tag),
    ] {
        if let Some(text) = text {
            found
                .problem(format!("source.{key}"), &text.span, format!("`{key}` lacks a role"))
                .label("nobody is told this")
                .help("it is for `role_arn`, or for `accounts` with `role_name`");
        }
    }
}

fn accounts(found: &mut Findings, texts: &Located<Vec<Text>>) -> Vec<AccountId> {
    let Located { value: texts, span } = texts;
    if texts.is_empty() {
        found
            .problem("source.accounts", span, "`source.accounts` is empty")
            .label("a role of no account")
            .help("name the accounts, or remove the source");
    }
    let mut accounts: Vec<(&Text, AccountId)> = Vec::new();
    for (text, account) in
        read_all(found, "source.accounts", texts, |text| words::account(text).map(AccountId::from))
    {
        match accounts.iter().find(|(_, known)| *known == account) {
            Some((first, _)) => {
                found
                    .problem("source.accounts", &text.span, format!("{account} stands twice"))
                    .label("the second")
                    .also(&first.span, "the first")
                    .help("remove one of them");
            }
            None => accounts.push((text, account)),
        }
    }
    accounts.into_iter().map(|(_, account)| account).collect()
}
