//! A preview as the document that a script reads.

use super::{Audience, Move, Preview};
use crate::{
    admin::json::{
        AnswerChangeDocument, MoveDocument, PlanDocument, ReloadDocument, SaidDocument,
        ViewChangesDocument,
    },
    table::{Change, ChangeKind, Said},
};

// === impl Preview ===

impl Preview {
    /// The document, with what it was compared with and what a reload would do besides.
    pub fn document(&self, against: &str, reload: Option<&ReloadDocument>) -> PlanDocument {
        let counts = self.counts();
        let acts = reload.is_some_and(ReloadDocument::acts);
        PlanDocument {
            against: against.to_owned(),
            changes: !self.is_empty() || acts,
            added: counts.added,
            removed: counts.removed,
            changed: counts.changed,
            views: self
                .views
                .iter()
                .map(|(view, changes)| ViewChangesDocument {
                    view: view.to_string(),
                    answers: changes.iter().map(answer).collect(),
                })
                .collect(),
            clients: self.moves.iter().map(moved).collect(),
            reload: reload.cloned(),
        }
    }
}

fn moved(it: &Move) -> MoveDocument {
    let view = |audience: &Audience| match audience {
        Audience::View(name) => Some(name.to_string()),
        Audience::Refused => None,
    };
    MoveDocument {
        networks: it.networks.iter().map(ToString::to_string).collect(),
        listener: it.listener,
        from: view(&it.from),
        to: view(&it.to),
        answers: it.changes.iter().map(answer).collect(),
    }
}

fn answer(change: &Change) -> AnswerChangeDocument {
    let (word, before, after) = match &change.kind {
        ChangeKind::Added(after) => ("added", None, Some(after)),
        ChangeKind::Removed(before) => ("removed", Some(before), None),
        ChangeKind::Changed { from, to } => ("changed", Some(from), Some(to)),
    };
    AnswerChangeDocument {
        name: change.pattern.to_string(),
        r#type: change.rtype.to_string(),
        change: word.to_owned(),
        before: before.map(said),
        after: after.map(said),
    }
}

fn said(said: &Said) -> SaidDocument {
    match said {
        Said::Addresses { addresses, ttl, negative_ttl, endpoint, service } => SaidDocument {
            addresses: addresses.clone(),
            cname: None,
            ttl_secs: ttl.as_secs(),
            negative_ttl_secs: Some(negative_ttl.as_secs()),
            endpoint: Some(endpoint.to_string()),
            service: Some(service.to_string()),
        },
        Said::Cname { target, ttl, lender: _ } => SaidDocument {
            addresses: Vec::new(),
            cname: Some(target.to_string()),
            ttl_secs: ttl.as_secs(),
            negative_ttl_secs: None,
            endpoint: said.endpoint().map(ToString::to_string),
            service: said.service().map(ToString::to_string),
        },
    }
}
