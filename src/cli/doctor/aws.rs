//! What AWS lets the sources do, where this host is, what the clock says, and which rules of Route 53
//! Resolver are at its own VPC.

use futures_util::future::join_all;

use super::{CheckList, host::is_of_this_host};
use crate::{
    admin::json::NamesDocument,
    app::{Asked, host_lookup},
    base::{Chain, Name, Pattern, SourceName, VpcId},
    config::Config,
    discover::{
        Action, AwsTime, CallPace, DiscoverError, Dispensable, ForwardingRule, HostLookup, Place,
        Source, SourceKind, Trial,
    },
};

/// Without these a look fails.
const NEEDED: [Action; 3] = [
    Action::DescribeVpcEndpoints,
    Action::DescribeVpcEndpointServices,
    Action::DescribeNetworkInterfaces,
];
/// AWS refuses what was signed this far off its clock; half of it is told.
const CLOCK_OFF_MAX_SECS: u64 = 300;
const CLOCK: &str = "`chronyc tracking` tells why; 169.254.169.123 is AWS's time server";
const LIST_RULES: &str =
    "`aws route53resolver list-resolver-rule-associations --filters Name=VPCId,Values=VPC`";

/// Tries the calls of every source, looks where this host is, and at what is sent on from there.
pub(super) async fn look(
    list: &mut CheckList,
    config: &Config,
    asked: &[Asked],
    names: Option<&NamesDocument>,
    now_secs: &dyn Fn() -> u64,
) {
    let is_ec2 = |kind: &SourceKind| matches!(kind, SourceKind::Ec2 { .. });
    if !config.sources.iter().any(|source| is_ec2(&source.kind)) {
        return;
    }
    let lookup = host_lookup(config);
    let (trials, place) = tokio::join!(try_sources(config, &lookup), Place::ask(&lookup));
    for (source, trial) in &trials {
        match trial {
            Ok(trial) => {
                tell_caller(list, source, trial);
                tell_calls(list, config, source, trial, asked);
            }
            Err(error) => list.failed(
                "credentials",
                format!("{source}: {}", Chain(error)),
                "`aws configure list` tells what is found on this host; docs/IAM.md what is needed",
            ),
        }
    }
    let trials: Vec<&Trial> = trials.iter().filter_map(|(_, trial)| trial.as_ref().ok()).collect();
    if let Some(time) = trials.iter().find_map(|trial| trial.time) {
        tell_clock(list, time, now_secs());
    }
    tell_region(list, place.as_ref(), &trials);
    look_at_rules(list, place, names, &lookup).await;
}

/// Every source that calls AWS, all at the same time.
async fn try_sources(
    config: &Config,
    lookup: &HostLookup,
) -> Vec<(SourceName, Result<Trial, DiscoverError>)> {
    let pace = CallPace::new();
    let trials = config.sources.iter().map(|source| {
        let source = Source::new(source.clone(), lookup.clone(), pace.clone());
        async move { Some((source.name().clone(), source.try_calls().await?)) }
    });
    join_all(trials).await.into_iter().flatten().collect()
}

fn tell_caller(list: &mut CheckList, source: &SourceName, trial: &Trial) {
    let region = &trial.region;
    match &trial.caller {
        Ok(arn) => list.passed("credentials", format!("{source}: calls as {arn} in {region}")),
        // A host with credentials of its own does not need STS.
        Err(error @ (DiscoverError::Unreachable { .. } | DiscoverError::TimedOut { .. }))
            if trial.role.is_none() && !trial.calls.is_empty() =>
        {
            list.warned(
                "credentials",
                format!("{source}: {}", Chain(error)),
                "a way to STS, such as an endpoint for it, is needed to see whom we call as, and for \
                 roles; nothing else needs it",
            );
        }
        Err(error) => {
            let next = match &trial.role {
                Some(role) => format!(
                    "`aws sts assume-role --role-arn {role} --role-session-name hubdns` on this host \
                     tries it by itself; docs/IAM.md has the trust policy"
                ),
                None => {
                    "`aws sts get-caller-identity` on this host tries it by itself; docs/IAM.md \
                         has what an instance needs"
                        .to_owned()
                }
            };
            list.failed("credentials", format!("{source}: {}", Chain(error)), &next);
        }
    }
}

/// A line for all calls that may be made, and one for each other.
fn tell_calls(
    list: &mut CheckList,
    config: &Config,
    source: &SourceName,
    trial: &Trial,
    asked: &[Asked],
) {
    if trial.calls.is_empty() {
        let what = format!("{source}: no call was tried without credentials");
        return list.skipped("permission", what, "see its credentials above");
    }
    let good: Vec<&str> = trial
        .calls
        .iter()
        .filter_map(|(action, told)| told.is_ok().then_some(action.as_str()))
        .collect();
    if !good.is_empty() {
        list.passed("permission", format!("{source}: may call {}", good.join(", ")));
    }
    let (who, assumed) = match &trial.role {
        Some(role) => (role.as_str(), " --assumed"),
        None => ("what hubdns runs as", ""),
    };
    let failed =
        trial.calls.iter().filter_map(|(action, told)| Some((*action, told.as_ref().err()?)));
    for (action, error) in failed {
        let what = format!("{source}: {}", Chain(error));
        let next = match error.permission() {
            Some(permission) => format!(
                "allow {permission} to {who}: `hubdns export iam-policy{assumed}` prints the policy"
            ),
            None => "ask again: `hubdns doctor`; `hubdns discover` asks for the whole".to_owned(),
        };
        match (NEEDED.contains(&action), unused(config, source, action, asked)) {
            (true, _) => list.failed("permission", what, &next),
            (false, Some(why)) => list.skipped("permission", format!("{what}; {why}"), &next),
            (false, None) => list.warned("permission", what, &next),
        }
    }
}

/// Why this source has no use for a call that a look can do without; `None` where it has.
fn unused(
    config: &Config,
    source: &SourceName,
    action: Action,
    asked: &[Asked],
) -> Option<&'static str> {
    if action == Action::DescribeSubnets {
        let asks = config.sources.iter().any(|it| it.name == *source && it.subnets);
        return (!asks).then_some("it is not needed while zones are not discovered");
    }
    let lacks = asked.iter().filter(|it| it.source == *source).flat_map(|it| &it.lacks);
    let is_lacking = lacks.into_iter().any(|lack| lack.of == Dispensable::Associations);
    (!is_lacking).then_some("it is not needed while no endpoint here is of VPC Lattice")
}

fn tell_clock(list: &mut CheckList, time: AwsTime, now_secs: u64) {
    let passed = i64::try_from(time.told.elapsed().as_secs()).unwrap_or(i64::MAX);
    let now = i64::try_from(now_secs).unwrap_or(i64::MAX);
    let off = now.saturating_sub(time.unix_secs.saturating_add(passed));
    let what = match off {
        ..-1 => format!("is {} s behind AWS's", off.unsigned_abs()),
        -1..=1 => "is AWS's".to_owned(),
        2.. => format!("is {off} s before AWS's"),
    };
    match off.unsigned_abs() {
        0..=1 => list.passed("clock", what),
        off if off < CLOCK_OFF_MAX_SECS / 2 => list.passed("clock", what),
        off if off < CLOCK_OFF_MAX_SECS => list.warned("clock", what, CLOCK),
        _ => list.failed("clock", format!("{what}: it refuses what is signed here"), CLOCK),
    }
}

/// The instance's region beside those that the sources ask.
fn tell_region(list: &mut CheckList, place: Option<&Place>, trials: &[&Trial]) {
    let Some(Place { region, .. }) = place else {
        let what = "the metadata service does not tell where this host is".to_owned();
        let next = "on an instance: `aws ec2 describe-instances --query \
                    Reservations[].Instances[].MetadataOptions` tells whether it is switched off";
        return list.skipped("region", what, next);
    };
    let mut asked: Vec<&str> = trials.iter().map(|trial| trial.region.as_str()).collect();
    asked.sort_unstable();
    asked.dedup();
    let what = format!("this host is in {region}; sources ask in {}", asked.join(", "));
    match asked.is_empty() || asked.contains(&region.as_str()) {
        true => list.passed("region", what),
        false => list.warned(
            "region",
            format!("{what}: no endpoint that is near is answered"),
            "`region` in each [[source]] names where it asks; a hub answers for its own region",
        ),
    }
}

/// The rules that send questions of this host's own VPC on: what we forward to its resolver goes there.
async fn look_at_rules(
    list: &mut CheckList,
    place: Option<Place>,
    names: Option<&NamesDocument>,
    lookup: &HostLookup,
) {
    let Some((place, vpc)) = place.and_then(|place| Some((place.clone(), place.vpc?))) else {
        let what = "which VPC this host is in is not known".to_owned();
        return list.skipped("rule", what, &format!("look with the VPC's id: {LIST_RULES}"));
    };
    let rules = match place.rules(&vpc, lookup).await {
        Ok(rules) => rules,
        Err(error) => {
            let next = match error.permission() {
                Some(_) => "allow route53resolver:ListResolverRuleAssociations and \
                            route53resolver:ListResolverRules to what hubdns runs as; hubdns itself \
                            needs neither"
                    .to_owned(),
                None => format!("look by hand: {}", LIST_RULES.replace("VPC`", &format!("{vpc}`"))),
            };
            let what = format!("of {vpc} cannot be looked at: {}", Chain(&error));
            return list.skipped("rule", what, &next);
        }
    };
    let mut harmless = 0_usize;
    for rule in &rules {
        match harm(rule, names) {
            Harm::None => harmless += 1,
            Harm::Loop(to) => list.failed("rule", told(rule, &vpc, &to), &next(rule, &vpc)),
            Harm::Names(name) => list.warned("rule", told(rule, &vpc, &name), &next(rule, &vpc)),
        }
    }
    if harmless == rules.len() {
        let what = match harmless {
            0 => format!("none sends what is asked in {vpc}, our own VPC, elsewhere"),
            many => format!("{many} with {vpc}, our own VPC, of which none is for names of ours"),
        };
        list.passed("rule", what);
    }
}

/// What a rule at our own VPC does to us.
enum Harm {
    None,
    /// It sends what we forward back to us.
    Loop(String),
    /// It is for names that we answer.
    Names(String),
}

fn harm(rule: &ForwardingRule, names: Option<&NamesDocument>) -> Harm {
    if let Some(ip) = rule.targets.iter().find(|ip| is_of_this_host(ip)) {
        return Harm::Loop(format!("to {ip}, which is this host: what we forward comes back"));
    }
    let Ok(domain) = Name::parse(&rule.domain) else { return Harm::None };
    let answered = names.iter().flat_map(|it| &it.views).flat_map(|view| &view.names);
    let mut within = answered.filter(|name| {
        Pattern::parse(&name.name).is_ok_and(|pattern| pattern.name().is_within(&domain))
    });
    match within.next() {
        Some(name) => Harm::Names(format!(
            "elsewhere, and we answer {} there: if that is a hub, what it forwards comes back to it",
            name.name
        )),
        None => Harm::None,
    }
}

fn told(rule: &ForwardingRule, vpc: &VpcId, what: &str) -> String {
    format!("{} with {vpc}, our own VPC, sends {} {what}", rule.id, rule.domain)
}

fn next(rule: &ForwardingRule, vpc: &VpcId) -> String {
    format!(
        "`aws route53resolver disassociate-resolver-rule --vpc-id {vpc} --resolver-rule-id {}`",
        rule.id
    )
}
