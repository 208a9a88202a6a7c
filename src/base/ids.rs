//! Ids and labels as AWS or the configuration spell them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A new type over shared text: cheap to clone, compared as text.
macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

text_ids! {
    /// An account's twelve digits.
    AccountId;
    /// `vpce-0123456789abcdef0`.
    EndpointId;
    /// `eni-0123456789abcdef0`.
    EniId;
    /// `eu-west-1`.
    Region;
    /// `com.amazonaws.eu-west-1.sqs`, `com.amazonaws.vpce.eu-west-1.vpce-svc-0123`.
    ServiceName;
    /// A `[[source]]`'s name.
    SourceName;
    /// `subnet-0123456789abcdef0`.
    SubnetId;
    /// A `[[view]]`'s name.
    ViewName;
    /// `vpc-0123456789abcdef0`.
    VpcId;
}

/// An availability zone. Its name (`eu-west-1a`) is an account's own; its id (`euw1-az2`) is the
/// same in all accounts, and older recordings lack it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Az {
    /// `eu-west-1a`.
    pub name: Arc<str>,
    /// `euw1-az2`.
    pub id: Option<Arc<str>>,
}

// === impl Az ===

impl Az {
    /// Whether `text` is this zone's name or id.
    pub fn is_called(&self, text: &str) -> bool {
        *self.name == *text || self.id.as_deref() == Some(text)
    }
}

impl fmt::Display for Az {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}
