//! A list of which so many rows are shown at once as a person reads, and the links to the others.

use maud::{Markup, html};

use super::{
    Visit,
    parts::{count, grouped},
};

/// Rows of a list at once.
const ROWS_MAX: usize = 25;

/// Which rows of a list are shown.
pub(super) struct Slice {
    first: usize,
    all: usize,
    page: usize,
}

// === impl Slice ===

impl Slice {
    /// Of a list of `all` rows this page, from 1; the last where there are not so many.
    pub(super) fn new(all: usize, page: usize) -> Self {
        let page = page.min(all.div_ceil(ROWS_MAX).max(1));
        Self { first: (page - 1) * ROWS_MAX, all, page }
    }

    fn pages(&self) -> usize {
        self.all.div_ceil(ROWS_MAX)
    }

    /// The rows that are shown.
    pub(super) fn of<'l, T>(&self, list: &'l [T]) -> &'l [T] {
        let end = (self.first + ROWS_MAX).min(list.len());
        list.get(self.first..end).unwrap_or_default()
    }

    /// `27 names`, `101 to 200 of 5,000 names`.
    pub(super) fn told(&self, one: &str, many: &str) -> String {
        let all = count(self.all, one, many);
        match self.pages() {
            0 | 1 => all,
            _ => {
                let end = (self.first + ROWS_MAX).min(self.all);
                format!("{} to {} of {all}", grouped(self.first + 1), grouped(end))
            }
        }
    }
}

// === impl Visit ===

impl Visit {
    /// The links from one page of a list to the others.
    pub(super) fn pager(&self, list: &'static str, part: &str, slice: &Slice) -> Markup {
        let (page, last) = (slice.page, slice.pages());
        let link = |to: usize, text: &str| {
            html! { a href=(self.asked.link(list, &to.to_string(), part)) { (text) } }
        };
        html! {
            @if 1 < last {
                nav.pager aria-label={ "Pages of " (list) } {
                    @if 2 < page { (link(1, "First")) }
                    @if 1 < page { (link(page - 1, "Before")) }
                    span { "Page " (page) " of " (last) }
                    @if page < last { (link(page + 1, "Next")) }
                    @if page + 1 < last { (link(last, "Last")) }
                }
            }
        }
    }
}

/// What is said in place of a list that has nothing to show.
pub(super) fn nothing(all: usize, one: &str) -> String {
    match all {
        0 => "None.".to_owned(),
        _ => format!("No {one} has that in it."),
    }
}
