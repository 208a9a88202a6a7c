//! Facts that EC2's lists have not caught up with, taken from what was known before.
//!
//! The lists agree with each other only in the end. An endpoint that carries traffic and names an
//! interface, or a service, which the other list lacks has not lost it: that list is late.

use super::{Endpoint, EndpointKind, EndpointState, Service, SourceFacts};
use crate::base::ServiceName;

// === impl SourceFacts ===

impl SourceFacts {
    /// These facts, with what their endpoints name and the other lists lack taken from `before`; and
    /// the services that were, so that somebody asks for them again.
    ///
    /// An interface's addresses never change in its life. Where none of an endpoint's interfaces
    /// is known at all, because they were replaced, it keeps those it had.
    pub fn mended(mut self, before: &SourceFacts) -> (SourceFacts, Vec<ServiceName>) {
        for endpoint in &mut self.endpoints {
            if let Some(old) = before.endpoint(endpoint) {
                endpoint.mend_state(old);
            }
        }
        let mut facts = self.with_associations(before);
        // No reason to look again either.
        facts.subnets = facts.subnets.or_else(|| before.subnets.clone());
        match facts.is_whole() {
            true => (facts, Vec::new()),
            false => facts.with_what_is_late(before),
        }
    }

    /// These facts, where the associations of endpoints could not be asked with those before. That is
    /// no reason to look again: an action that is denied stays so.
    fn with_associations(mut self, before: &SourceFacts) -> SourceFacts {
        for endpoint in self.endpoints.iter_mut().filter(|it| it.associations.is_none()) {
            endpoint.associations =
                before.endpoint(endpoint).and_then(|old| old.associations.clone());
        }
        self
    }

    fn with_what_is_late(self, before: &SourceFacts) -> (SourceFacts, Vec<ServiceName>) {
        let mut interfaces = self.interfaces.clone();
        let mut late: Vec<Service> = Vec::new();
        let mut endpoints = self.endpoints.clone();
        for endpoint in endpoints.iter_mut().filter(|it| it.carries_traffic()) {
            if endpoint.kind == EndpointKind::Interface && self.service(&endpoint.service).is_none()
            {
                late.extend(before.service(&endpoint.service).cloned());
            }
            let missing = endpoint.interfaces.iter().filter(|id| self.interface(id).is_none());
            interfaces.extend(missing.filter_map(|id| before.interface(id)).cloned());
            let has_none = endpoint
                .interfaces
                .iter()
                .all(|id| self.interface(id).is_none() && before.interface(id).is_none());
            if has_none
                && !endpoint.interfaces.is_empty()
                && let Some(old) = before.endpoint(endpoint)
            {
                let had = old.interfaces.iter().filter_map(|id| before.interface(id));
                interfaces.extend(had.cloned());
                endpoint.interfaces.clone_from(&old.interfaces);
            }
        }
        let mut names: Vec<ServiceName> = late.iter().map(|service| service.name.clone()).collect();
        names.sort();
        names.dedup();
        let Self { source, region, mut services, subnets, .. } = self;
        services.extend(late);
        let mended = SourceFacts::new(source, region, endpoints, services, interfaces);
        (mended.with_subnets(subnets), names)
    }

    /// Whether the lists have all that endpoints name, as most rounds do.
    fn is_whole(&self) -> bool {
        self.endpoints.iter().filter(|it| it.carries_traffic()).all(|endpoint| {
            let needs_no_service = endpoint.kind.has_associations();
            (needs_no_service || self.service(&endpoint.service).is_some())
                && endpoint.interfaces.iter().all(|id| self.interface(id).is_some())
        })
    }

    fn endpoint(&self, like: &Endpoint) -> Option<&Endpoint> {
        let at = self.endpoints.binary_search_by(|known| known.id.cmp(&like.id)).ok()?;
        self.endpoints.get(at)
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Whether its addresses lead anywhere, and so are asked for.
    fn carries_traffic(&self) -> bool {
        let state = matches!(self.state, EndpointState::Available | EndpointState::Partial);
        state && self.kind.has_names()
    }

    /// Gives it the state it had, where it is pending since somebody changes it: a subnet, a policy,
    /// a security group. Its interfaces serve all the while, and AWS's own names lead to them.
    fn mend_state(&mut self, old: &Endpoint) {
        if self.state == EndpointState::Pending
            && old.carries_traffic()
            && !self.interfaces.is_empty()
        {
            self.state.clone_from(&old.state);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        base::{Az, ServiceName},
        inventory::{EndpointState, SourceFacts, Subnet},
        policy::facts,
    };

    const SQS: &str =
        "vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 eu-west-1b=10.0.2.5 names=sqs.x";

    fn hub() -> SourceFacts {
        told(SQS)
    }

    fn told(lines: &str) -> SourceFacts {
        SourceFacts::clone(&facts::inventory(lines).sources[0])
    }

    /// The services that have to be asked for again.
    const NONE: Vec<ServiceName> = Vec::new();

    fn sqs() -> Vec<ServiceName> {
        vec!["com.amazonaws.eu-west-1.sqs".into()]
    }

    #[test]
    fn complete_lists_are_taken_as_they_are() {
        let changed = told(&SQS.replace("10.0.2.5", "10.0.2.9"));
        assert_eq!(changed.clone().mended(&hub()), (changed, NONE));
    }

    #[test]
    fn subnets_that_could_not_be_had_are_those_before() {
        let subnet = Subnet {
            id: "subnet-1".into(),
            vpc: "vpc-1".into(),
            az: Az { name: "eu-west-1a".into(), id: None },
            networks: vec!["10.0.1.0/24".parse().unwrap()],
        };
        let before = hub().with_subnets(Some(vec![subnet]));
        assert_eq!(hub().mended(&before), (before.clone(), NONE));
        let mut late = hub();
        late.services.clear();
        assert_eq!(late.mended(&before), (before.clone(), sqs()));
        let without = hub().with_subnets(Some(vec![]));
        assert_eq!(without.clone().mended(&before), (without, NONE));
    }

    #[test]
    fn an_interface_that_its_list_lacks_keeps_its_addresses() {
        let mut late = hub();
        late.interfaces.remove(0);
        assert_eq!(late.mended(&hub()), (hub(), NONE));
        let mut none = hub();
        none.interfaces.clear();
        assert_eq!(none.mended(&hub()), (hub(), NONE));
    }

    #[test]
    fn an_endpoint_with_new_interfaces_that_nobody_knows_yet_keeps_its_old_ones() {
        let mut replaced = hub();
        replaced.interfaces.clear();
        replaced.endpoints[0].interfaces = vec!["eni-new".into()];
        assert_eq!(replaced.mended(&hub()), (hub(), NONE));
    }

    #[test]
    fn a_service_that_its_list_lacks_keeps_its_names() {
        let mut late = hub();
        late.services.clear();
        assert_eq!(late.mended(&hub()), (hub(), sqs()));
    }

    #[test]
    fn an_endpoint_on_its_way_out_is_not_held_up() {
        let mut leaving = hub();
        leaving.endpoints[0].state = EndpointState::Deleting;
        leaving.interfaces.clear();
        assert_eq!(leaving.clone().mended(&hub()), (leaving, NONE));
    }

    #[test]
    fn an_endpoint_that_somebody_changes_carries_traffic_all_the_while() {
        let mut pending = hub();
        pending.endpoints[0].state = EndpointState::Pending;
        assert_eq!(pending.clone().mended(&hub()), (hub(), NONE));
        // With its lists late besides.
        let mut late = pending.clone();
        late.interfaces.clear();
        assert_eq!(late.mended(&hub()), (hub(), NONE));
        // Where a part of it carried traffic, that part does.
        let mut partial = hub();
        partial.endpoints[0].state = EndpointState::Partial;
        assert_eq!(pending.clone().mended(&partial), (partial, NONE));

        let mut gone = pending.clone();
        gone.endpoints[0].interfaces.clear();
        assert_eq!(gone.clone().mended(&hub()), (gone, NONE), "nothing is left that could carry");
        assert_eq!(pending.clone().mended(&pending), (pending.clone(), NONE), "a new one");
        let mut rejected = hub();
        rejected.endpoints[0].state = EndpointState::Rejected;
        assert_eq!(rejected.clone().mended(&hub()), (rejected, NONE));
    }

    #[test]
    fn an_endpoint_of_which_a_part_carries_traffic_keeps_its_addresses() {
        let mut partial = hub();
        partial.endpoints[0].state = EndpointState::Partial;
        let mut late = partial.clone();
        late.interfaces.clear();
        assert_eq!(late.mended(&partial), (partial, NONE));
    }

    #[test]
    fn what_is_never_asked_for_is_not_late() {
        // A gateway endpoint names a service that is asked for where another endpoint has it.
        let s3 = "vpce-2 com.amazonaws.eu-west-1.s3 kind=Gateway\n\
                  vpce-3 com.amazonaws.eu-west-1.gwlb kind=GatewayLoadBalancer a=10.0.3.5\n";
        let with =
            told(&format!("{SQS}\n{s3}vpce-4 com.amazonaws.eu-west-1.s3 a=10.0.1.6 names=*.s3.x"));
        let mut without = told(&format!("{SQS}\n{s3}"));
        without.interfaces.retain(|it| !it.id.as_str().starts_with("eni-3"));
        assert_eq!(without.clone().mended(&with), (without, NONE));
    }
}
