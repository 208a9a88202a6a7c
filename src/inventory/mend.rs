//! Facts that EC2's lists have not caught up with, taken from what was known before.
//!
//! The lists agree with each other only in the end. An endpoint that is available and names an
//! interface, or a service, which the other list lacks has not lost it: that list is late.

use super::{Endpoint, EndpointState, SourceFacts};

// === impl SourceFacts ===

impl SourceFacts {
    /// These facts, with what their available endpoints name and the other lists lack taken from
    /// `before`; and whether anything was taken, so that somebody looks again.
    ///
    /// An interface's addresses never change in its life. Where none of an endpoint's interfaces
    /// is known at all, because they were replaced, it keeps those it had.
    pub fn mended(self, before: &SourceFacts) -> (SourceFacts, bool) {
        let late = self.with_associations(before);
        if late.is_whole() {
            let subnets = late.subnets.clone().or_else(|| before.subnets.clone());
            return (late.with_subnets(subnets), false);
        }
        late.with_what_is_late(before)
    }

    /// The same, where the associations of endpoints could not be asked with those before. Like
    /// subnets they are no reason to look again: an action that is denied stays so.
    fn with_associations(mut self, before: &SourceFacts) -> SourceFacts {
        let known = |endpoint: &Endpoint| {
            before.endpoint(endpoint).and_then(|old| old.associations.clone())
        };
        for endpoint in self.endpoints.iter_mut().filter(|it| it.associations.is_none()) {
            endpoint.associations = known(endpoint);
        }
        self
    }

    fn with_what_is_late(self, before: &SourceFacts) -> (SourceFacts, bool) {
        let mut interfaces = self.interfaces.clone();
        let mut services = self.services.clone();
        let mut endpoints = self.endpoints.clone();
        for endpoint in endpoints.iter_mut().filter(|it| it.state == EndpointState::Available) {
            if self.service(&endpoint.service).is_none() {
                services.extend(before.service(&endpoint.service).cloned());
            }
            let late = endpoint.interfaces.iter().filter(|id| self.interface(id).is_none());
            interfaces.extend(late.filter_map(|id| before.interface(id)).cloned());
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
        let SourceFacts { source, region, .. } = self.clone();
        let mended = SourceFacts::new(source, region, endpoints, services, interfaces);
        let taken = mended != Self { subnets: None, ..self.clone() };
        // Nobody looks again for these: a source that may not be asked for them goes on as it is.
        let subnets = self.subnets.or_else(|| before.subnets.clone());
        (mended.with_subnets(subnets), taken)
    }

    /// Whether the lists have all that available endpoints name, as most rounds do.
    fn is_whole(&self) -> bool {
        let available = |it: &&Endpoint| it.state == EndpointState::Available;
        self.endpoints.iter().filter(available).all(|endpoint| {
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

#[cfg(test)]
mod tests {
    use crate::{
        base::Az,
        inventory::{EndpointState, SourceFacts, Subnet},
        policy::facts,
    };

    const SQS: &str =
        "vpce-1 com.amazonaws.eu-west-1.sqs eu-west-1a=10.0.1.5 eu-west-1b=10.0.2.5 names=sqs.x";

    fn hub() -> SourceFacts {
        SourceFacts::clone(&facts::inventory(SQS).sources[0])
    }

    #[test]
    fn complete_lists_are_taken_as_they_are() {
        let changed = SQS.replace("10.0.2.5", "10.0.2.9");
        let changed = SourceFacts::clone(&facts::inventory(&changed).sources[0]);
        assert_eq!(changed.clone().mended(&hub()), (changed, false));
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
        assert_eq!(hub().mended(&before), (before.clone(), false));
        let mut late = hub();
        late.services.clear();
        assert_eq!(late.mended(&before), (before.clone(), true));
        let without = hub().with_subnets(Some(vec![]));
        assert_eq!(without.clone().mended(&before), (without, false));
    }

    #[test]
    fn an_interface_that_its_list_lacks_keeps_its_addresses() {
        let mut late = hub();
        late.interfaces.remove(0);
        assert_eq!(late.mended(&hub()), (hub(), true));
        let mut none = hub();
        none.interfaces.clear();
        assert_eq!(none.mended(&hub()), (hub(), true));
    }

    #[test]
    fn an_endpoint_with_new_interfaces_that_nobody_knows_yet_keeps_its_old_ones() {
        let mut replaced = hub();
        replaced.interfaces.clear();
        replaced.endpoints[0].interfaces = vec!["eni-new".into()];
        assert_eq!(replaced.mended(&hub()), (hub(), true));
    }

    #[test]
    fn a_service_that_its_list_lacks_keeps_its_names() {
        let mut late = hub();
        late.services.clear();
        assert_eq!(late.mended(&hub()), (hub(), true));
    }

    #[test]
    fn an_endpoint_on_its_way_out_is_not_held_up() {
        let mut leaving = hub();
        leaving.endpoints[0].state = EndpointState::Deleting;
        leaving.interfaces.clear();
        assert_eq!(leaving.clone().mended(&hub()), (leaving, false));
    }
}
