//! Roles, the accounts that have them, and their sessions.

use super::*;

#[test]
fn roles_and_accounts_go_together() {
    const ONE: &str = "accounts = [\"111122223333\"]";
    const ROLE: &str = "role_arn = \"arn:aws:iam::123456789012:role/x\"";
    let source = |name: &str, rest: &str| {
        wrong(&format!("[[source]]\nname = \"{name}\"\nkind = \"ec2\"\n{rest}"))
    };
    let of_list = |rest: &str| source("a", &format!("{ONE}\nrole_name = \"x\"\n{rest}"));
    assert_eq!(of_list(""), [""; 0]);
    assert_eq!(source("a", ONE), ["4: `accounts` lacks `role_name`"]);
    assert_eq!(source("a", "role_name = \"x\""), ["4: `role_name` lacks `accounts`"]);
    assert_eq!(of_list(ROLE), ["6: `role_arn` stands beside `accounts`"]);
    let accounts = |list: &str| source("a", &format!("role_name = \"x\"\naccounts = {list}"));
    assert_eq!(accounts("[]"), ["5: `source.accounts` is empty"]);
    assert_eq!(accounts("[\"1234\"]"), ["5: `source.accounts` cannot be \"1234\""]);
    let twice = "[\"111122223333\",\n\"111122223333\"]";
    assert_eq!(accounts(twice), ["6: 111122223333 stands twice"]);
    for role in ["/x", "x/", "a b", "arn:aws:iam::123456789012:role/x"] {
        let lines = format!("{ONE}\nrole_name = \"{role}\"");
        assert_eq!(source("a", &lines), [format!("5: `source.role_name` cannot be {role:?}")]);
    }
    for (key, value) in [("external_id", "x"), ("session_name", "a b"), ("session_name", "")] {
        let said = format!("6: `source.{key}` cannot be {value:?}");
        assert_eq!(of_list(&format!("{key} = {value:?}")), [said]);
        assert_eq!(source("a", &format!("{key} = \"good\"")), [format!("4: `{key}` lacks a role")]);
    }
    for (tags, wrong) in [("\"AWS:x\" = \"\"", "AWS:x"), ("x = \"*\"", "*")] {
        let said = format!("6: `source.session_tags` cannot be {wrong:?}");
        assert_eq!(of_list(&format!("session_tags = {{ {tags} }}")), [said]);
    }
    let many: Vec<String> = (0..51).map(|at| format!("k{at} = \"\"")).collect();
    let said = of_list(&format!("session_tags = {{ {} }}", many.join(", ")));
    assert_eq!(said, ["6: too many session tags"]);
    // The name of a source that is called by its account, too.
    let long = "a".repeat(52);
    let said = source(&long, &format!("{ONE}\nrole_name = \"x\""));
    assert_eq!(said, [format!("2: `source.name` cannot be \"{long}-111122223333\"")]);
    let taken =
        format!("{ONE}\nrole_name = \"x\"\n[[source]]\nname = \"a-111122223333\"\nkind = \"ec2\"");
    assert_eq!(source("a", &taken), ["7: the name \"a-111122223333\" is taken"]);
    let files = "[[source]]\nname = \"a\"\nkind = \"files\"\npath = \"x\"\n";
    let said = "5: `accounts` is only for sources of kind \"ec2\"";
    assert!(wrong(&format!("{files}{ONE}\nrole_name = \"x\"")).contains(&said.to_owned()));
}
