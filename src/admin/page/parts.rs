//! What several parts of the page are made of: shapes, lengths of time, tables that scroll.

use maud::{Markup, PreEscaped, html};

/// A shape for each state, so that no state is told by its colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A disc.
    Good,
    /// A ring: nothing is known against it.
    Open,
    /// A triangle.
    Doubtful,
    /// A cross.
    Bad,
    /// A square with a bar: taken out by hand.
    Out,
}

// === impl Shape ===

impl Shape {
    const ALL: [(Shape, &'static str); 5] = [
        (Shape::Good, r#"<circle cx="6" cy="6" r="5"/>"#),
        (
            Shape::Open,
            r#"<path d="M6 1a5 5 0 1 0 0 10A5 5 0 0 0 6 1m0 2a3 3 0 1 1 0 6 3 3 0 0 1 0-6"/>"#,
        ),
        (Shape::Doubtful, r#"<path d="M6 1l6 10H0z"/>"#),
        (
            Shape::Bad,
            r#"<path d="M2.5 1L6 4.500 9.500 1 11 2.500 7.500 6 11 9.500 9.500 11 6 7.500 2.500 11 1 9.500 4.500 6 1 2.500z"/>"#,
        ),
        (Shape::Out, r#"<path d="M1 1h10v10H1zm2 4v2h6V5z" fill-rule="evenodd"/>"#),
    ];

    fn id(self) -> &'static str {
        match self {
            Shape::Good => "s-good",
            Shape::Open => "s-open",
            Shape::Doubtful => "s-doubt",
            Shape::Bad => "s-bad",
            Shape::Out => "s-out",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Shape::Good => "up",
            Shape::Open | Shape::Out => "off",
            Shape::Doubtful => "warn",
            Shape::Bad => "bad",
        }
    }

    /// The shape and a word.
    pub(super) fn with(self, word: &str) -> Markup {
        html! {
            span class=(self.class()) {
                svg.sh viewBox="0 0 12 12" aria-hidden="true" { use href={ "#" (self.id()) } {} }
                (word)
            }
        }
    }
}

/// The shapes, once for the whole page.
pub(super) fn shapes() -> Markup {
    html! {
        svg width="0" height="0" aria-hidden="true" {
            @for (shape, drawn) in Shape::ALL {
                symbol id=(shape.id()) viewBox="0 0 12 12" { (PreEscaped(drawn)) }
            }
        }
    }
}

/// A column of a table.
pub(super) struct Column {
    name: String,
    /// What is told beside its name.
    aside: Option<String>,
    is_number: bool,
}

// === impl Column ===

impl Column {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), aside: None, is_number: false }
    }

    /// With numbers, which stand below each other.
    pub(super) fn number(name: &str) -> Self {
        Self { is_number: true, ..Self::new(name) }
    }

    pub(super) fn with(name: &str, aside: Option<&str>) -> Self {
        Self { aside: aside.map(str::to_owned), ..Self::new(name) }
    }

    fn class(&self) -> Option<&'static str> {
        self.is_number.then_some("n")
    }
}

/// Columns of text.
pub(super) fn columns(names: &[&str]) -> Vec<Column> {
    names.iter().map(|name| Column::new(name)).collect()
}

/// A table that scrolls by itself where it is wider than the screen, by keys as well. On a telephone each
/// row stands by itself, its cells below each other: they bring the names of their columns, and the roles
/// that they would lose by that. The first cell of a row names it.
pub(super) fn table(
    name: &str,
    caption: &Markup,
    columns: &[Column],
    rows: impl Iterator<Item = Vec<Markup>>,
) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(name) {
            table role="table" {
                caption { (caption) }
                thead role="rowgroup" {
                    tr role="row" {
                        @for column in columns {
                            th scope="col" role="columnheader" class=[column.class()] {
                                (column.name)
                                @if let Some(aside) = &column.aside { " " span.mono { (aside) } }
                            }
                        }
                    }
                }
                tbody role="rowgroup" { @for cells in rows { (row(columns, &cells)) } }
            }
        }
    }
}

fn row(columns: &[Column], cells: &[Markup]) -> Markup {
    html! {
        tr role="row" {
            @for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
                @match at {
                    0 => th scope="row" role="rowheader" { (cell) },
                    _ => td role="cell" data-of=(column.name) class=[column.class()] { (cell) },
                }
            }
        }
    }
}

/// One fact of a list of them.
pub(super) fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// `1 name`, `2 names`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// `12,345`.
pub(super) fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if 0 < at && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
