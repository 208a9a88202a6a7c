//! How `hubdns explain` tells an explanation.
//!
//! Takes the document, from a running daemon or made from a configuration: both read the same.

use super::{args::Format, fold::folded};
use crate::admin::json::{ExplainDocument, to_text};

/// The explanation, whole, with its last line ended.
pub(super) fn render(document: &ExplainDocument, format: Format) -> String {
    match format {
        Format::Text => folded(&document.to_string()),
        Format::Json => to_text(document),
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, render};
    use crate::{
        admin::json::{ExplainDocument, from_text},
        answer::{Exempt, Explanation, Vantage, explain},
        forward::{BudgetConfig, CacheConfig, CaseRandomization, ForwardConfig},
        policy::{self, PolicyConfig, facts},
        table::compile,
    };

    const HUB: &str = "
        vpce-1 com.amazonaws.eu-west-1.transfer.server eu-west-1a=10.0.1.5 eu-west-1b=10.0.2.5 \
            names=*.server.transfer.eu-west-1.amazonaws.com
        vpce-2 com.amazonaws.eu-west-1.execute-api eu-west-1a=10.0.1.7 \
            names=*.execute-api.eu-west-1.amazonaws.com
    ";

    fn explained(name: &str, client: &str) -> Explanation {
        let config = PolicyConfig {
            deny: vec![policy::ServiceRule::new("execute-api")],
            zones: vec![("10.1.2.0/24".parse().unwrap(), "eu-west-1b".into())],
            ..facts::config()
        };
        let forward = ForwardConfig {
            upstreams: vec!["169.254.169.253:53".parse().unwrap()],
            trusted: vec![],
            ca_file: None,
            case_randomization: CaseRandomization::Auto,
            budget: BudgetConfig::DEFAULT,
            zones: vec![],
            views: vec![],
            cache: CacheConfig::NONE,
        };
        let table = compile(policy::plan(&facts::inventory(HUB), &config), &config);
        let vantage =
            Vantage { client: client.parse().unwrap(), listener: "10.0.0.10:53".parse().unwrap() };
        explain(
            &table,
            &forward,
            &Exempt::default(),
            &name.parse().unwrap(),
            "A".parse().unwrap(),
            vantage,
        )
    }

    #[test]
    fn a_daemons_document_reads_as_the_explanation_itself() {
        for (name, client) in [
            ("u.server.transfer.eu-west-1.amazonaws.com", "10.1.2.3"),
            ("x.execute-api.eu-west-1.amazonaws.com", "10.9.9.9"),
            ("example.com", "192.0.2.1"),
            ("example.com", "2001:db8::1"),
        ] {
            let explanation = explained(name, client);
            let sent = render(&ExplainDocument::from(&explanation), Format::Json);
            let read: ExplainDocument = from_text(&sent).unwrap();
            assert_eq!(render(&read, Format::Text), explanation.to_string());
        }
    }

    #[test]
    fn an_explanation_as_text_and_as_json() {
        let explanation = explained("u.server.transfer.eu-west-1.amazonaws.com", "10.1.2.3");
        let document = ExplainDocument::from(&explanation);
        insta::assert_snapshot!(render(&document, Format::Text));
        insta::assert_snapshot!(render(&document, Format::Json));
    }
}
