//! Says outcomes to people: one word for labels, one sentence for reading.

use std::fmt;

use crate::inventory::EndpointKind;

use super::{Address, CNAMES_MAX, Caveat, Origin, Precedence, Reason};

// === impl Reason ===

impl Reason {
    /// Whether a deny list has the service.
    pub fn is_denied(&self) -> bool {
        matches!(self, Reason::Denied(_) | Reason::DeniedByView(_))
    }

    /// One word, the same in metrics, log and `explain`.
    pub fn word(&self) -> &'static str {
        match self {
            Reason::OtherSource(_) => "other_source",
            Reason::State(_) => "state",
            Reason::Kind(_) => "kind",
            Reason::Denied(_) | Reason::DeniedByView(_) => "denied",
            Reason::ViewTags => "view_tags",
            Reason::ViewVpc => "view_vpc",
            Reason::ViewAccount => "view_account",
            Reason::ViewEndpoint => "view_endpoint",
            Reason::NeedsOverride => "needs_override",
            Reason::OnpremOnly => "onprem_only",
            Reason::Unverified(_) => "unverified",
            Reason::NotAName(_) => "not_a_name",
            Reason::NothingPublished => "nothing_published",
            Reason::NoAddress => "no_address",
            Reason::Conflict { .. } => "conflict",
            Reason::NothingAssociated => "nothing_associated",
            Reason::Inaccessible(_) => "inaccessible",
            Reason::NotAgreed => "not_agreed",
            Reason::AddressUntold(_) => "address_untold",
            Reason::AliasTargetMissing(_) => "alias_target_missing",
            Reason::Aliased(_) => "aliased",
            Reason::CnameEndless(_) => "cname_endless",
        }
    }
}

/// What `Kind` teaches: why such an endpoint has nothing to answer with.
fn lesson(kind: &EndpointKind) -> &'static str {
    match kind {
        EndpointKind::Interface | EndpointKind::Resource | EndpointKind::ServiceNetwork => {
            "it has interfaces and is answered"
        }
        EndpointKind::Gateway => {
            "it is a route of its VPC and has no address; only hosts of that VPC can use it, and an \
             interface endpoint of the same service is what others need"
        }
        EndpointKind::GatewayLoadBalancer => {
            "routes lead through it, for inspection, and no name leads to it"
        }
        EndpointKind::Tunnel => "AWS makes and manages it, and no name leads to it",
        EndpointKind::Other(_) => "nothing is known of this kind",
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::OtherSource(source) => {
                write!(f, "the source {source} tells of this endpoint too and answers for it")
            }
            Reason::State(state) => write!(f, "the endpoint is {state}, not available"),
            Reason::Kind(kind) => {
                let lesson = lesson(&EndpointKind::from(&**kind));
                write!(f, "the endpoint is of kind {kind}: {lesson}")
            }
            Reason::Denied(rule) => write!(f, "answers.deny has {rule}"),
            Reason::DeniedByView(rule) => write!(f, "the view's deny has {rule}"),
            Reason::ViewTags => f.write_str("the view takes only endpoints with other tags"),
            Reason::ViewVpc => f.write_str("the view takes only endpoints of other VPCs"),
            Reason::ViewAccount => f.write_str("the view takes only endpoints of other accounts"),
            Reason::ViewEndpoint => f.write_str("the view takes only other endpoints"),
            Reason::NeedsOverride => f.write_str(
                "AWS asks to leave this name to the gateway endpoints of VPCs: only with \
                 `override = true` it is answered",
            ),
            Reason::OnpremOnly => f.write_str(
                "its owner wants only on-premises clients to get this name from it: views of kind \
                 \"onprem\" do",
            ),
            Reason::Unverified(state) => {
                write!(
                    f,
                    "the service's owner has not proved that the name is its own ({state}); an alias to \
                     the endpoint answers it all the same"
                )
            }
            Reason::NotAName(why) => write!(f, "no DNS name: {why}"),
            Reason::NothingPublished => {
                f.write_str(
                    "the service publishes no private name, or was not found; an alias can give it one",
                )
            }
            Reason::NoAddress => f.write_str("none of its interfaces has an address for this name"),
            Reason::Conflict { winner, by } => write!(f, "{winner} has it: {by}"),
            Reason::NothingAssociated => f.write_str(
                "nothing is associated with it, or the source may not ask: that takes \
                 ec2:DescribeVpcEndpointAssociations",
            ),
            Reason::Inaccessible(word) => {
                write!(f, "what the endpoint leads to cannot be reached ({word})")
            }
            Reason::NotAgreed => f.write_str(
                "the resource's owner chose the name, and private DNS is off on the endpoint: an alias \
                 to the endpoint answers it all the same",
            ),
            Reason::AddressUntold(public) => {
                f.write_str(
                    "the endpoint leads to several things, and EC2 does not tell which of its \
                     addresses this one has",
                )?;
                match public {
                    Some(name) => write!(f, "; {name} is public and leads to them"),
                    None => Ok(()),
                }
            }
            Reason::AliasTargetMissing(target) => {
                write!(f, "no usable endpoint for the alias's target {target}")
            }
            Reason::Aliased(target) => write!(f, "an alias makes it stand for {target}"),
            Reason::CnameEndless(target) => write!(
                f,
                "its CNAME to {target} leads in a circle, or through more than {CNAMES_MAX} names"
            ),
        }
    }
}

// === impl Precedence ===

impl fmt::Display for Precedence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precedence::Alias => "the operator named it by an alias",
            Precedence::Given => {
                "it has the name, or a wildcard over it, from AWS or the operator, and the other from the \
                 owner of a resource"
            }
            Precedence::Source => "its source stands first in the configuration",
            Precedence::Age => "it is the older one",
            Precedence::Id => "equal in age, it has the lower id",
        })
    }
}

// === impl Origin ===

impl Origin {
    /// One word, the same in every listing.
    pub fn word(&self) -> &'static str {
        match self {
            Origin::Published => "published",
            Origin::S3Apex => "s3_apex",
            Origin::Regional => "regional",
            Origin::Zonal(_) => "zonal",
            Origin::DnsEntry => "dns_entry",
            Origin::Association => "association",
            Origin::AssociationPrivate => "association_private",
            Origin::Alias => "alias",
            Origin::Allowed => "allowed",
            Origin::AliasSet(_) => "alias_set",
        }
    }

    /// Whether a name is one that clients call a service by, and that elsewhere has other
    /// addresses. The endpoint's own names are not: public DNS gives the same.
    pub fn is_lent(&self) -> bool {
        match self {
            Origin::Published
            | Origin::S3Apex
            | Origin::DnsEntry
            | Origin::AssociationPrivate
            | Origin::Alias
            | Origin::Allowed
            | Origin::AliasSet(_) => true,
            Origin::Regional | Origin::Zonal(_) | Origin::Association => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Published => f.write_str("a published name"),
            Origin::S3Apex => f.write_str("the apex of a published S3 wildcard"),
            Origin::Regional => f.write_str("the regional name"),
            Origin::Zonal(az) => write!(f, "the {az} name"),
            Origin::DnsEntry => f.write_str("a private name in the DnsEntries"),
            Origin::Association => f.write_str("the own name of an association"),
            Origin::AssociationPrivate => f.write_str("the private name of an association"),
            Origin::Alias => f.write_str("an alias to an endpoint"),
            Origin::Allowed => f.write_str("a resource that `allow` names"),
            Origin::AliasSet(set) => write!(f, "a name of the alias set {set}"),
        }
    }
}

// === impl Caveat ===

impl Caveat {
    /// One word, the same in every listing.
    pub fn word(&self) -> &'static str {
        match self {
            Caveat::SharedWildcard => "shared_wildcard",
            Caveat::MadePerVpc => "made_per_vpc",
            Caveat::LeftOut(_) => "left_out",
            Caveat::FailingOpen(_) => "failing_open",
            Caveat::Unheard => "unheard",
            Caveat::Drained(_) => "drained",
            Caveat::DrainOverruled(_) => "drain_overruled",
        }
    }

    /// The addresses that it is about; empty where it is about the name.
    pub fn addresses(&self) -> &[Address] {
        match self {
            Caveat::LeftOut(addresses) | Caveat::Drained(addresses) => addresses,
            Caveat::SharedWildcard
            | Caveat::MadePerVpc
            | Caveat::FailingOpen(_)
            | Caveat::Unheard
            | Caveat::DrainOverruled(_) => &[],
        }
    }
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caveat::SharedWildcard => {
                f.write_str("the wildcard also covers resources that others may expose elsewhere")
            }
            Caveat::MadePerVpc => f.write_str(
                "GuardDuty makes such an endpoint in each VPC, free of charge: nothing is gained",
            ),
            Caveat::LeftOut(addresses) => {
                let rest = match addresses.len() {
                    1 => "is left out: it does not answer probes",
                    _ => "are left out: they do not answer probes",
                };
                write!(f, "{} {rest}", listed(addresses))
            }
            Caveat::Drained(addresses) => {
                let are = if addresses.len() == 1 { "is" } else { "are" };
                write!(f, "{} {are} left out: `hubdns drain-az` ordered it", listed(addresses))
            }
            Caveat::DrainOverruled(rtype) => write!(
                f,
                "its {rtype} addresses are given out though their zone is drained: it has no others \
                 that answer"
            ),
            Caveat::Unheard => f.write_str(
                "no address of the endpoint has ever answered a probe: it may listen on other ports \
                 than that of health.probe",
            ),
            Caveat::FailingOpen(rtype) => {
                write!(f, "none of its {rtype} addresses answers probes: all are given out")
            }
        }
    }
}

/// `ADDRESS (ZONE), ...`
fn listed(addresses: &[Address]) -> String {
    let list: Vec<String> = addresses.iter().map(|it| format!("{} ({})", it.ip, it.az)).collect();
    list.join(", ")
}
