//! Why a client gets what it gets: the document of `/api/v1/explain` and of `hubdns explain`.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    answer::{Explanation, Vantage},
    base::printable,
};

/// Why a client gets what it gets: `/api/v1/explain`. Prints as
/// the command does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainDocument {
    /// The name asked for.
    pub name: String,
    /// The type asked for.
    pub r#type: String,
    /// Who asks.
    pub client: IpAddr,
    /// The address of ours that is asked.
    pub listener: SocketAddr,
    /// The client's view.
    pub view: String,
    /// `answer`, `nodata`, `cname`, `forward` or `refuse`.
    pub decision: String,
    /// The addresses given, those of the client's zone first.
    pub given: Vec<GivenDocument>,
    /// How it came to that, in order.
    pub steps: Vec<StepDocument>,
    /// What the command got when it asked the same by DNS; not in what a daemon sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveDocument>,
}

/// An address given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GivenDocument {
    /// The address.
    pub ip: IpAddr,
    /// Its availability zone.
    pub az: String,
    /// Its interface.
    pub eni: String,
}

/// One step of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepDocument {
    /// What it is about: `access`, `view`, `zone`, `match`, `caveat`, `declined`, `forward`, `cache` or
    /// `result`.
    pub about: String,
    /// What it says.
    pub text: String,
}

/// The answer of the live path, beside what was explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveDocument {
    /// Whether it is what was explained; nothing where it was not asked, or an upstream decides.
    pub agrees: Option<bool>,
    /// The response code; nothing where it was not asked or did not answer.
    pub rcode: Option<String>,
    /// The addresses of the answer.
    pub addresses: Vec<IpAddr>,
    /// Its extended errors (RFC 8914), which say why: `EDE 23: no upstream can be reached`.
    #[serde(default)]
    pub errors: Vec<String>,
    /// All of it in a sentence.
    pub what: String,
}

// === impl ExplainDocument ===

impl From<&Explanation> for ExplainDocument {
    fn from(explanation: &Explanation) -> Self {
        let Vantage { client, listener } = explanation.vantage;
        let given = explanation.given.iter().map(|given| GivenDocument {
            ip: given.ip,
            az: given.az.clone(),
            eni: given.eni.clone(),
        });
        let steps = explanation
            .lines
            .iter()
            .map(|(kind, text)| StepDocument { about: kind.word().to_owned(), text: text.clone() });
        Self {
            name: explanation.name.to_string(),
            r#type: explanation.rtype.to_string(),
            client,
            listener,
            view: explanation.view.clone(),
            decision: explanation.decision.to_owned(),
            given: given.collect(),
            steps: steps.collect(),
            live: None,
        }
    }
}

/// For people, as [`Explanation`] prints: the question, a line a step, the addresses.
impl fmt::Display for ExplainDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, r#type, client, listener, decision, .. } = self;
        writeln!(f, "{name} {type} from {client} to {listener}: {decision}")?;
        for step in &self.steps {
            writeln!(f, "  {:<9} {}", printable(&step.about), printable(&step.text))?;
        }
        for given in &self.given {
            let [az, eni] = [&given.az, &given.eni].map(|text| printable(text));
            writeln!(f, "            {:<15} {az} {eni}", given.ip)?;
        }
        match &self.live {
            Some(live) => writeln!(f, "  {:<9} {}", "live", printable(&live.what)),
            None => Ok(()),
        }
    }
}
