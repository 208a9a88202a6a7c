//! Asks EC2, or reads files, for the inventory; keeps the last good one on disk.
//!
//! Both kinds of source give a [`Recorded`], and one pure function makes facts of it. Nothing
//! here decides what is answered, and no query waits for anything here.

mod config;
mod error;
mod recorded;
mod normalise;
mod disk;
mod files;
mod save;
mod demo;
mod state;
mod drains;
mod lack;
mod lookup;
#[cfg(feature = "ec2")]
mod hosts;
#[cfg(feature = "ec2")]
mod certificates;
#[cfg(feature = "ec2")]
mod ec2;
mod source;
mod subnets;
mod trial;
mod pace;

pub use config::{Role, RoleName, SourceConfig, SourceKind};
pub use demo::demo;
pub use drains::{Drains, drains_path, read_drains, write_drains};
pub use error::{ACTIONS, Action, CODES, Cause, DiscoverError};
pub use files::FILE_BYTES_MAX;
pub use lack::{Dispensable, Lack};
pub use lookup::HostLookup;
pub use normalise::normalise;
pub use pace::CallPace;
pub use recorded::{
    Recorded, RecordedAssociation, RecordedDnsEntry, RecordedDnsOptions, RecordedEndpoint,
    RecordedInterface, RecordedIpv6Address, RecordedIpv6Network, RecordedIpv6State,
    RecordedPrivateAddress, RecordedPrivateName, RecordedService, RecordedServiceType,
    RecordedSubnet, RecordedTag,
};
pub use save::save;
pub use source::Source;
pub use state::{LastGood, STATE_BYTES_MAX, StateError, read_state, write_state};
pub use trial::{AwsTime, ForwardingRule, Place, Trial};
