//! Whom no limit is for: neither that of questions nor that of octets.

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixSet;

use super::decide::Vantage;
use crate::base::is_private;

/// `clients.rate.exempt`, and we ourselves.
#[derive(Clone, Debug, Default)]
pub struct Exempt(JointPrefixSet<IpNet>);

// === impl Exempt ===

impl Exempt {
    /// Networks are taken without their host bits.
    pub fn new(networks: &[IpNet]) -> Self {
        let mut exempt = JointPrefixSet::default();
        for network in networks {
            exempt.insert(network.trunc());
        }
        Self(exempt)
    }

    /// Whether no limit is for this client.
    pub(super) fn holds(&self, Vantage { client, listener }: &Vantage) -> bool {
        // From the address that was asked: ourselves, as the watchdog is. The network brings
        // nothing that claims to be from there.
        *client == listener.ip() || self.0.get_lpm(&IpNet::from(*client)).is_some()
    }

    /// Whether somebody outside of the operator's networks may have put this client's address on a
    /// datagram: it is public, and not exempt.
    pub(super) fn may_be_forged(&self, vantage: &Vantage) -> bool {
        !is_private(vantage.client) && !self.holds(vantage)
    }
}

#[cfg(test)]
mod tests {
    use super::Exempt;
    use crate::answer::Vantage;

    #[test]
    fn who_is_named_and_we_ourselves_are_exempt_and_no_public_address_else_is_believed() {
        let exempt = Exempt::new(
            &["10.9.0.7/24", "fd00:9::/64", "198.51.100.0/24"].map(|it| it.parse().unwrap()),
        );
        for (client, holds, may_be_forged) in [
            ("10.9.0.77", true, false),
            ("10.8.0.77", false, false),
            ("fd00:9::7", true, false),
            ("fd00:8::7", false, false),
            ("198.51.100.5", true, false),
            ("203.0.113.5", false, true),
            ("203.0.113.10", true, false),
            ("::ffff:203.0.113.10", true, false),
        ] {
            let vantage = Vantage::new(client.parse().unwrap(), "203.0.113.10:53".parse().unwrap());
            let told = (exempt.holds(&vantage), exempt.may_be_forged(&vantage));
            assert_eq!(told, (holds, may_be_forged), "{client}");
        }
    }
}
