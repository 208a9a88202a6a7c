//! Route 53 Resolver rules that send names to us, held against AWS's quotas.

use std::{
    collections::BTreeSet,
    fmt::Write,
    net::{IpAddr, SocketAddr},
};

use ring::digest::{SHA256, digest};

use super::spelled::{Strange, is_a_servers, spelled};
use crate::base::{Name, VpcId, count};

/// Targets of one rule.
const TARGETS_MAX: usize = 6;
/// Rules of one account in one region.
const RULES_MAX: usize = 1_000;
/// Associations of rules with VPCs of one account in one region.
const ASSOCIATIONS_MAX: usize = 2_000;
/// Resources of one CloudFormation template.
const RESOURCES_MAX: usize = 500;
/// Octets of a rule's name.
const NAME_LEN_MAX: usize = 64;
/// Octets of the hash in one.
const HASH_OCTETS: usize = 4;

/// The rules, and where they are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What a rule's name begins with.
    pub prefix: String,
    /// Domains that are forwarded.
    pub forward: Vec<Name>,
    /// Domains within those that the VPC's own resolver goes on answering.
    pub system: Vec<Name>,
    /// The hubs.
    pub targets: Vec<SocketAddr>,
    /// The outbound endpoint, if it is known.
    pub endpoint: Option<String>,
    /// The VPCs whose clients are sent to us.
    pub vpcs: Vec<String>,
}

/// Why there are no such rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// Nothing is answered.
    #[error("no name is answered, so no rule is needed; `hubdns names` tells why")]
    NoNames,
    /// Nobody to send names to.
    #[error("no target: say the hubs' addresses, as `--targets 10.0.0.10,10.0.1.10`")]
    NoTargets,
    /// An address that means another host, or none, where the rule is.
    #[error(
        "{target} is no address of a hub that Route 53 Resolver could reach; say the hubs' addresses \
         in their VPC, as `--targets 10.0.0.10,10.0.1.10`"
    )]
    Target {
        /// It.
        target: SocketAddr,
    },
    /// What is no id of a VPC.
    #[error(
        "{vpc:?} is no id of a VPC; `--vpc` and `--hub-vpc` take such as vpc-0123456789abcdef0"
    )]
    Vpc {
        /// It.
        vpc: String,
    },
    /// A name that cannot be written.
    #[error(transparent)]
    Strange(#[from] Strange),
    /// A target or a VPC is there twice.
    #[error("{what} is said twice; once is enough")]
    Twice {
        /// It.
        what: String,
    },
    /// More hubs than a rule takes.
    #[error(
        "{targets} targets are more than the {TARGETS_MAX} that a rule can have; name fewer hubs, or \
         make two sets of rules for different VPCs"
    )]
    Targets {
        /// How many.
        targets: usize,
    },
    /// More rules than a region takes.
    #[error(
        "{forward} + {system} rules are more than the {RULES_MAX} that an account has in a region; \
         `--scope region` needs one for each region"
    )]
    Rules {
        /// Rules that forward.
        forward: usize,
        /// Rules that are exceptions.
        system: usize,
    },
    /// More associations than a region takes.
    #[error(
        "{rules} rules x {vpcs} VPCs = {} associations, more than the {ASSOCIATIONS_MAX} of an account \
         in a region; share the rules with the VPCs' accounts, whose own quota counts then, or have \
         the quota raised, or use `--scope region` where it is not", rules * vpcs
    )]
    Associations {
        /// Rules of both kinds.
        rules: usize,
        /// VPCs.
        vpcs: usize,
    },
    /// More than a template takes.
    #[error(
        "{rules} rules + {rules} x {vpcs} associations = {} resources, more than the \
         {RESOURCES_MAX} of a CloudFormation template; leave `--vpc` out and associate the VPCs by \
         stacks of their own, or use `--format terraform`", rules * (1 + vpcs)
    )]
    Resources {
        /// Rules of both kinds.
        rules: usize,
        /// VPCs.
        vpcs: usize,
    },
    /// The one VPC in which rules make a loop.
    #[error(
        "{vpc} is the hub's own VPC: a rule there would send our own questions back to us; leave it \
         out, and give its machines the hub by DHCP options; if the hub is in another, `--hub-vpc ID` \
         says so"
    )]
    Hub {
        /// It.
        vpc: String,
    },
}

/// Whether a text has the form of a VPC's id.
fn is_vpc_id(text: &str) -> bool {
    let is_of_id = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    text.strip_prefix("vpc-").is_some_and(|id| !id.is_empty() && id.bytes().all(is_of_id))
}

/// Whether the outbound endpoint, another host, can reach a server there.
fn is_reached(target: SocketAddr) -> bool {
    let ip = target.ip().to_canonical();
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    is_a_servers(target) && !ip.is_loopback() && !is_link_local
}

// === impl Rules ===

impl Rules {
    /// Whether these rules can be, and the arithmetic in one line. `hubs` are VPCs of our own.
    pub fn check(&self, hubs: &BTreeSet<VpcId>) -> Result<String, RulesError> {
        let (forward, system) = (self.forward.len(), self.system.len());
        let (rules, vpcs) = (forward + system, self.vpcs.len());
        let mut ids = self.vpcs.iter().map(String::as_str).chain(hubs.iter().map(VpcId::as_str));
        if let Some(vpc) = ids.find(|id| !is_vpc_id(id)) {
            return Err(RulesError::Vpc { vpc: vpc.to_owned() });
        }
        if let Some(target) = self.targets.iter().find(|target| !is_reached(**target)) {
            return Err(RulesError::Target { target: *target });
        }
        if let Some(vpc) = self.vpcs.iter().find(|vpc| hubs.contains(&VpcId::from(vpc.as_str()))) {
            return Err(RulesError::Hub { vpc: vpc.clone() });
        }
        spelled(self.forward.iter().chain(&self.system))?;
        let targets = self.targets.iter().map(ToString::to_string);
        let mut said = BTreeSet::new();
        if let Some(what) =
            targets.chain(self.vpcs.iter().cloned()).find(|it| !said.insert(it.clone()))
        {
            return Err(RulesError::Twice { what });
        }
        match () {
            () if forward == 0 => Err(RulesError::NoNames),
            () if self.targets.is_empty() => Err(RulesError::NoTargets),
            () if TARGETS_MAX < self.targets.len() => {
                Err(RulesError::Targets { targets: self.targets.len() })
            }
            () if RULES_MAX < rules => Err(RulesError::Rules { forward, system }),
            () if ASSOCIATIONS_MAX < rules * vpcs => Err(RulesError::Associations { rules, vpcs }),
            () => Ok(format!(
                "{} and {} of {RULES_MAX}; {rules} x {} = {} of {ASSOCIATIONS_MAX}; {} of {TARGETS_MAX}",
                count(forward, "rule", "rules"),
                count(system, "exception", "exceptions"),
                count(vpcs, "VPC", "VPCs"),
                count(rules * vpcs, "association", "associations"),
                count(self.targets.len(), "target", "targets")
            )),
        }
    }

    /// Whether a CloudFormation template can have them.
    pub(super) fn check_template(&self) -> Result<(), RulesError> {
        let (rules, vpcs) = (self.forward.len() + self.system.len(), self.vpcs.len());
        match RESOURCES_MAX < rules * (1 + vpcs) {
            true => Err(RulesError::Resources { rules, vpcs }),
            false => Ok(()),
        }
    }

    /// Every rule with its names, those that forward first. They are made of its domain alone, not of its
    /// place nor of other domains: Route 53 knows by the name that a rule was made already, and must not
    /// take one that comes for one that went.
    pub(super) fn named(&self) -> Vec<Rule<'_>> {
        let forward = self.forward.iter().map(|domain| (domain, true));
        let all = forward.chain(self.system.iter().map(|domain| (domain, false)));
        let rule = |(domain, forwards): (_, bool)| {
            let words = words(domain);
            let logical =
                format!("Rule{}{}", alphanumeric(&domain.to_string()), short_hash(domain));
            Rule {
                name: limited(format!("{}-{words}", self.prefix), domain),
                resource: format!("to_{words}"),
                logical,
                domain,
                forwards,
            }
        };
        all.map(rule).collect()
    }
}

/// One rule.
pub(super) struct Rule<'r> {
    /// As Route 53 has it.
    pub(super) name: String,
    /// As Terraform has it; it does not begin with a digit.
    pub(super) resource: String,
    /// As CloudFormation has it, which takes letters and digits alone: `RuleEuWest1AmazonawsCom` and a
    /// hash, since in that others have their place, too.
    pub(super) logical: String,
    pub(super) domain: &'r Name,
    /// Whether it forwards; else it is an exception.
    pub(super) forwards: bool,
}

/// A domain with `_` for its dots; one that has other octets than host names have, or `_`, has a hash at
/// its end. So no two are the same.
fn words(domain: &Name) -> String {
    let text = domain.to_string();
    let is_kept = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = text.replace(|c: char| !is_kept(c), "_");
    match text.chars().all(|c| is_kept(c) || c == '.') {
        true => words,
        false => format!("{words}_{}", short_hash(domain)),
    }
}

/// A name as long as Route 53 takes it; the hash tells one that is cut from others that begin alike.
fn limited(name: String, domain: &Name) -> String {
    if name.len() <= NAME_LEN_MAX {
        return name;
    }
    let hash = short_hash(domain);
    let end = name.floor_char_boundary(NAME_LEN_MAX - 1 - hash.len());
    format!("{}_{hash}", &name[..end])
}

/// Eight hexadecimal digits, which a thousand domains share once in ten thousand times.
fn short_hash(domain: &Name) -> String {
    let octets = digest(&SHA256, domain.to_string().as_bytes());
    octets.as_ref().iter().take(HASH_OCTETS).map(|it| format!("{it:02x}")).collect()
}

/// A text's words with a capital each, and nothing between.
pub(super) fn alphanumeric(text: &str) -> String {
    let mut id = String::with_capacity(text.len());
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            let _ = write!(id, "{}{}", first.to_ascii_uppercase(), letters.as_str());
        }
    }
    id
}
