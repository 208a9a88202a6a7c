//! What is answered and what is not, as a whole or page by page: a hub with hundreds of views, each of
//! which leaves out thousands of endpoints, has millions of rows.

use std::{
    iter::{Skip, Take},
    str::FromStr,
};

use super::{CnameDocument, DeclinedDocument, NameDocument, NamesDocument, ViewDocument};
use crate::table::{AnswerTable, ViewTable};

/// Rows that one document has at most. A row is 1.2 kB of text at most hubs, so this is 24 MB.
pub const ROWS_MAX: usize = 20_000;

/// Which rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// What is answered: names and CNAMEs.
    Answered,
    /// What is not.
    Declined,
}

/// A part of a table: the rows of its views one view after the other, in each first the names, then
/// the CNAMEs, then what is declined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Of this view alone.
    pub view: Option<String>,
    /// Of this kind alone.
    pub only: Option<Only>,
}

/// How many rows are still to be passed over, and to be taken.
struct Cut {
    skip: usize,
    left: usize,
}

// === impl Only ===

impl Only {
    /// As a parameter has it.
    pub fn word(self) -> &'static str {
        match self {
            Only::Answered => "answered",
            Only::Declined => "declined",
        }
    }
}

impl FromStr for Only {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Only::Answered, Only::Declined]
            .into_iter()
            .find(|only| only.word() == text)
            .ok_or("no kind of row")
    }
}

// === impl Part ===

impl Part {
    /// How many rows of a table it is.
    pub fn rows(&self, table: &AnswerTable) -> usize {
        let rows = |view: &ViewTable| {
            let answered = if self.has(Only::Answered) { view.len() } else { 0 };
            let declined = if self.has(Only::Declined) { view.declined().len() } else { 0 };
            answered + declined
        };
        self.views(table).map(rows).sum()
    }

    fn views<'t>(&self, table: &'t AnswerTable) -> impl Iterator<Item = &'t ViewTable> {
        let is_wanted =
            |it: &&ViewTable| self.view.as_deref().is_none_or(|name| it.name().as_str() == name);
        table.views().filter(is_wanted)
    }

    fn has(&self, kind: Only) -> bool {
        self.only.is_none_or(|only| only == kind)
    }
}

// === impl NamesDocument ===

impl NamesDocument {
    /// What a table says, in one view or in all. A view that it does not have leaves `views` empty.
    pub fn new(table: &AnswerTable, generation: Option<u64>, view: Option<&str>) -> Self {
        let part = Part { view: view.map(str::to_owned), only: None };
        Self::page(table, generation, &part, 0, usize::MAX)
    }

    /// Of a part of it so many rows, from the one behind the `first`. Each of the part's views is
    /// there, though it be without rows.
    pub fn page(
        table: &AnswerTable,
        generation: Option<u64>,
        part: &Part,
        first: usize,
        most: usize,
    ) -> Self {
        let rows = part.rows(table);
        let mut cut = Cut { skip: first, left: most };
        let views = part.views(table).map(|view| ViewDocument::cut(view, part, &mut cut)).collect();
        let next = first.saturating_add(most);
        Self {
            generation,
            table_hash: table.hash().to_string(),
            allow: table.allowed().collect(),
            views,
            rows,
            next: (next < rows).then_some(next),
        }
    }

    /// Takes the rows of the page that follows; false where it is not of the same table.
    pub fn append(&mut self, page: NamesDocument) -> bool {
        let is_same = (self.generation, self.rows, self.views.len())
            == (page.generation, page.rows, page.views.len())
            && self.table_hash == page.table_hash;
        if is_same {
            for (view, more) in self.views.iter_mut().zip(page.views) {
                view.names.extend(more.names);
                view.cnames.extend(more.cnames);
                view.declined.extend(more.declined);
            }
            self.next = page.next;
        }
        is_same
    }
}

// === impl ViewDocument ===

impl ViewDocument {
    fn cut(view: &ViewTable, part: &Part, cut: &mut Cut) -> Self {
        let rule = view.rule();
        let (entries, aliases, refused) = (view.entries(), view.cnames(), view.declined());
        let (mut names, mut cnames, mut declined) = (Vec::new(), Vec::new(), Vec::new());
        if part.has(Only::Answered) {
            let rows = cut.of(entries.len(), entries.iter());
            names.extend(rows.map(|entry| NameDocument::from(entry.claim())));
            let rows = cut.of(aliases.len(), aliases.iter());
            cnames.extend(rows.map(CnameDocument::from));
        }
        if part.has(Only::Declined) {
            let rows = cut.of(refused.len(), refused.iter());
            declined.extend(rows.map(DeclinedDocument::from));
        }
        Self {
            name: view.name().to_string(),
            clients: rule.map(|rule| rule.clients.clone()).unwrap_or_default(),
            listeners: rule.map(|rule| rule.listeners.clone()).unwrap_or_default(),
            names,
            cnames,
            declined,
        }
    }
}

// === impl Cut ===

impl Cut {
    /// What it leaves of so many rows.
    fn of<I: Iterator>(&mut self, len: usize, rows: I) -> Take<Skip<I>> {
        let skip = self.skip.min(len);
        let take = (len - skip).min(self.left);
        self.skip -= skip;
        self.left -= take;
        rows.skip(skip).take(take)
    }
}
