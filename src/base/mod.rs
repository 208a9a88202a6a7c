//! The words every room shares: names, types, ids, TTLs, response codes.
//!
//! No I/O, no clock, no handle. A value here was checked when it was made and is not checked again.

mod chain;
mod codes;
mod ids;
mod name;
mod networks;
mod paces;
mod secret;
mod text;
mod ttl;

pub use chain::Chain;
pub use codes::{Ede, ExtendedError, Rcode, RecordType, UnknownRecordType};
pub use ids::{
    AccountId, Az, EndpointId, EniId, Region, ServiceName, SourceName, SubnetId, ViewName, VpcId,
};
pub use name::{LABEL_LEN_MAX, NAME_LEN_MAX, Name, NameError, Pattern, Spelled};
pub use networks::is_private;
pub use paces::{Pace, Paces};
pub use secret::{CookieSecret, CookieSecrets, NotASecret};
pub use text::{age, count, printable, shell_word};
pub use ttl::{Ttl, TtlBounds, TtlError};
