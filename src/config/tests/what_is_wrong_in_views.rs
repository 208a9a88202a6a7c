//! Views that are wrong, or hardly meant.

use super::*;

#[test]
fn a_view_has_a_name_of_its_own_and_listeners_that_can_be_asked() {
    let view = |name: &str, rest: &str| format!("[[view]]\nname = \"{name}\"\n{rest}\n");
    let by_client = |name: &str| view(name, &format!("clients = [\"10.0.{}.0/24\"]", name.len()));
    assert_eq!(wrong(&by_client("default")), ["2: no view can have the name \"default\""]);
    assert_eq!(wrong(&by_client("")), ["2: `view.name` cannot be \"\""]);
    let listeners = |listen: &str, asked: &str| {
        let rest = format!("listeners = [\"{asked}\"]");
        wrong(&format!("[server]\nlisten = [\"{listen}\"]\n{}", view("v", &rest)))
    };
    assert_eq!(listeners("10.0.0.10:53", "10.0.0.10:5353"), ["5: no one can ask 10.0.0.10:5353"]);
    assert_eq!(listeners("10.0.0.10:53", "10.0.0.11:53"), ["5: no one can ask 10.0.0.11:53"]);
    assert_eq!(listeners("interface:ens5:53", "10.0.0.11:54"), ["5: no one can ask 10.0.0.11:54"]);
    for (listen, asked) in [
        ("10.0.0.10:53", "10.0.0.10:53"),
        ("10.0.0.10:53", "0.0.0.0:53"),
        ("0.0.0.0:53", "10.0.0.10:53"),
        ("interface:ens5:53", "10.0.0.11:53"),
    ] {
        assert_eq!(listeners(listen, asked), [""; 0], "{listen} {asked}");
    }
    assert_eq!(
        listeners("nonsense", "10.0.0.10:53"),
        ["2: `server.listen` cannot be \"nonsense\""]
    );
}

#[test]
fn views_that_nobody_can_be_in_are_warned_of() {
    let view = |name: &str, rest: &str| format!("[[view]]\nname = \"{name}\"\n{rest}\n");
    let wide = view("wide", "clients = [\"10.0.0.0/8\"]");
    let narrow = view("narrow", "clients = [\"10.1.0.0/16\"]");
    let everybody = view("everybody", "");
    assert_eq!(wrong(&(wide.clone() + &narrow)), ["4: the view narrow is never used"]);
    assert_eq!(wrong(&(narrow.clone() + &wide)), [""; 0]);
    assert_eq!(wrong(&(everybody.clone() + &wide)), ["1: the view everybody matches everybody"]);
    assert_eq!(wrong(&(wide + &everybody)), [""; 0]);
    let asked = "clients = [\"10.1.0.0/16\"]\nlisteners = [\"10.0.0.1:53\"]";
    assert_eq!(wrong(&(view("asked", asked) + &narrow)), [""; 0]);
    // Two that hold it together, of networks and of the addresses that are asked.
    let halves =
        view("a", "clients = [\"10.0.0.0/9\"]") + &view("b", "clients = [\"10.128.0.0/9\"]");
    let whole = view("whole", "clients = [\"10.0.0.0/8\"]");
    assert_eq!(wrong(&(halves.clone() + &whole)), ["7: the view whole is never used"]);
    assert_eq!(
        wrong(&(halves + &view("more", "clients = [\"10.0.0.0/8\", \"fd00::/8\"]"))),
        [""; 0]
    );
    let asked = |at: &str| view(at, &format!("listeners = [\"10.0.0.{at}:53\"]"));
    let listen =
        |text: &str| format!("server.listen = [{text}]\n{}{}{narrow}", asked("1"), asked("2"));
    let both = "\"10.0.0.1:53\", \"10.0.0.2:53\"";
    assert_eq!(wrong(&listen(both)), ["8: the view narrow is never used"]);
    assert_eq!(wrong(&listen(&format!("{both}, \"10.0.0.3:53\""))), [""; 0]);
    assert_eq!(wrong(&listen("\"0.0.0.0:53\"")), [""; 0]);
    let outside = view("outside", "clients = [\"8.8.8.0/24\"]");
    assert_eq!(wrong(&outside), ["3: nobody in 8.8.8.0/24 is answered at all"]);
    let empty = view("empty", "clients = []\nlisteners = []");
    let told = ["3: `view.clients` is empty", "4: `view.listeners` is empty"];
    assert_eq!(wrong(&empty), told);
}

#[test]
fn what_a_view_selects_by_names_something_that_can_be_found() {
    let view = |rest: &str| format!("[[view]]\nname = \"v\"\n{rest}\n");
    let three = "vpc_ids = [\"x\"]\naccounts = [\"1\"]\nendpoints = []";
    let told = [
        "3: `view.vpc_ids` cannot be \"x\"",
        "4: `view.accounts` cannot be \"1\"",
        "5: `view.endpoints` is empty",
    ];
    assert_eq!(wrong(&view(three)), told);
    // With a source that looks elsewhere, and with one more that may see it.
    let role = "role_arn = \"arn:aws:iam::123456789012:role/r\"";
    for (key, sees, wants, value) in [
        ("view.vpc_ids", "vpc_ids = [\"vpc-1\"]", "vpc_ids = [\"vpc-2\"]", "vpc-2"),
        ("view.accounts", role, "accounts = [\"210987654321\"]", "210987654321"),
        ("view.tags", "tags = { env = \"prod\" }", "tags = { env = \"dev\" }", "dev"),
    ] {
        let source = format!("[[source]]\nname = \"m\"\nkind = \"ec2\"\n{sees}\n");
        let config = good(&(source.clone() + &view(wants)));
        let told: Vec<&str> = config.warnings.iter().map(|it| it.what()).collect();
        assert_eq!(told, [format!("`{key}` has {value:?}, and no endpoint will")]);
        assert_eq!(good(&(source + MINIMAL + &view(wants))).warnings, []);
    }
}

#[test]
fn what_a_view_allows_has_an_effect_and_dynamodb_is_overridden_knowingly() {
    let view = |rest: &str| format!("[[view]]\nname = \"v\"\n{rest}\n");
    let allow = |text: &str| view(&format!("allow = [\"{text}\"]"));
    assert_eq!(wrong(&allow("execute-api")), [""; 0]);
    assert_eq!(wrong(&allow("sqs")), ["3: sqs is allowed everywhere"]);
    assert_eq!(wrong(&allow("dynamodb")), ["3: dynamodb needs `override = true`"]);
    assert_eq!(wrong(&(allow("dynamodb") + "override = true\n")), [""; 0]);
    assert_eq!(wrong(&format!("answers.override = true\n{}", allow("dynamodb"))), [""; 0]);
    let global = "answers.allow = [\"dynamodb\"]";
    assert_eq!(wrong(global), ["1: dynamodb needs `override = true`"]);
    let both = view("deny = [\"execute-api\"]\nallow = [\"execute-api\"]");
    assert_eq!(wrong(&both), ["4: execute-api is both denied and allowed"]);
}

#[test]
fn a_views_upstreams_are_checked_as_everybodys() {
    let view = |rest: &str| format!("[[view]]\nname = \"v\"\n[view.forward]\n{rest}\n");
    assert_eq!(wrong(&view("")), ["3: `[view.forward]` says nothing"]);
    let own = view("upstreams = [\"127.0.0.1\"]");
    assert_eq!(wrong(&own), ["4: the upstream 127.0.0.1 is hubdns itself"]);
    let zone = "[[view.forward.zone]]\nname = \"a.example\"\nupstreams = [\"10.9.0.2\"]\n";
    assert_eq!(wrong(&view(&zone.repeat(2))), ["8: two zones for \"a.example\""]);
    let trusted = format!("forward.trusted = [\"10.9.0.2\"]\n{}", view(zone));
    assert_eq!(wrong(&trusted), [""; 0]);
}
