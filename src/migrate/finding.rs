//! One name of a zone beside ours.

use serde::Serialize;

/// What was found of one name and type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The name, or the wildcard.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub rtype: String,
    /// What was found.
    pub what: What,
    /// What clients of the zone get.
    pub now: String,
    /// What they get without it.
    pub then: String,
    /// What to know, or to do first, where that is not to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How a zone's answer and ours go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Both are the same.
    Same,
    /// The zone has an address that no endpoint of ours has.
    OldAddress,
    /// The zone leads to another endpoint of ours, or to another too.
    OtherEndpoint,
    /// The zone leads to what is no endpoint of ours.
    UnknownTarget,
    /// The zone has some of the endpoint's addresses.
    FewerAddresses,
    /// We answer all names below one, and the zone has no wildcard there.
    MissingWildcard,
    /// We answer the name, and the zone says that it does not exist.
    Hidden,
    /// We have records of this type, and the zone has only others.
    MissingType,
    /// The zone has records of this type, and we say that there are none.
    LostType,
    /// The zone has a name beside the right one, which no client asks for.
    WrongName,
    /// A name that clients do call leads to an endpoint of ours, whose service does not publish it.
    Unpublished,
    /// A name that hubdns declines to answer leads to an endpoint of ours.
    Declined,
    /// A name of your own leads to an endpoint of ours, which does not know it.
    OwnName,
    /// The name is none of ours: the upstream is asked.
    NotOurs,
}

// === impl Finding ===

impl Finding {
    /// `NAME TYPE: NOW -> THEN; ADVICE`.
    pub(super) fn change(&self) -> String {
        let Self { name, rtype, now, then, advice, .. } = self;
        let advice = advice.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
        format!("{name} {rtype}: {now} -> {then}{advice}")
    }
}

// === impl What ===

impl What {
    /// Whether clients lose an endpoint of ours unless somebody does what the advice says.
    pub(super) fn is_to_be_kept(self) -> bool {
        match self {
            What::Unpublished | What::Declined | What::OwnName => true,
            What::Same
            | What::OldAddress
            | What::OtherEndpoint
            | What::UnknownTarget
            | What::FewerAddresses
            | What::MissingWildcard
            | What::Hidden
            | What::MissingType
            | What::LostType
            | What::WrongName
            | What::NotOurs => false,
        }
    }

    /// As a person reads it.
    pub fn words(self) -> &'static str {
        match self {
            What::Same => "same",
            What::OldAddress => "old address",
            What::OtherEndpoint => "other endpoint",
            What::UnknownTarget => "unknown target",
            What::FewerAddresses => "fewer addresses",
            What::MissingWildcard => "missing wildcard",
            What::Hidden => "hidden by the zone",
            What::MissingType => "missing type",
            What::LostType => "type is lost",
            What::WrongName => "wrong name",
            What::Unpublished => "unpublished name",
            What::Declined => "declined by hubdns",
            What::OwnName => "name of your own",
            What::NotOurs => "not ours",
        }
    }
}
