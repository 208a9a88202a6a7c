//! Reads `docs/BEHAVIOUR.md` into what there is to do, in its order.
//!
//! Whatever is not understood is a panic with its line: a page that the test passes over in part
//! would promise what nobody has checked.

/// What a daemon that was started is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// It is ready: ```` ```toml ````.
    Ready,
    /// It says that it is not: ```` ```toml not ready ````.
    NotReady,
    /// It has its sockets open, whatever it says of itself: ```` ```toml listening ````.
    Listening,
}

/// One thing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A ```` ```toml ```` block: start a daemon with this configuration and wait.
    Config { text: String, until: Until },
    /// A line of a ```` ```sh ```` block.
    Order(String),
    /// A row of a table.
    Row(Row),
}

/// A row: what is sent, and what has to come back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Arguments of dig, a packet, or a request.
    pub(crate) question: Question,
    /// The code spans of the second cell.
    pub(crate) answered: Vec<String>,
    /// Where it stands, for people.
    pub(crate) line: usize,
}

/// What the first column holds, by its heading.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// `asked`.
    Dig(String),
    /// `sent`.
    Packet(String),
    /// `requested`.
    Http(String),
}

/// Records of a zone that a server of the test knows: a ```` ```zone SERVER ORIGIN ```` block, with
/// `not followed` behind it for a server that does not recurse.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) server: String,
    pub(crate) origin: String,
    pub(crate) records: String,
    /// Whether the server follows its aliases out of the zone, as a resolver does and a server that
    /// has only its zones does not.
    pub(crate) followed: bool,
}

/// A whole document.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) zones: Vec<Zone>,
    pub(crate) steps: Vec<Step>,
}

// === impl Document ===

impl Document {
    pub(crate) fn read(text: &str) -> Self {
        let mut document = Self::default();
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        while let Some((at, line)) = lines.next() {
            if let Some(info) = line.strip_prefix("```") {
                let inside: Vec<&str> = lines
                    .by_ref()
                    .map(|(_, line)| line)
                    .take_while(|line| *line != "```")
                    .collect();
                document.block(info, &inside, at);
            } else if line.starts_with('|') {
                let table = lines.by_ref().take_while(|(_, line)| line.starts_with('|'));
                document.table(line, table, at);
            }
        }
        document
    }

    fn block(&mut self, info: &str, inside: &[&str], at: usize) {
        let text = || inside.iter().map(|line| format!("{line}\n")).collect::<String>();
        match info.split(' ').collect::<Vec<_>>()[..] {
            ["toml"] => self.steps.push(Step::Config { text: text(), until: Until::Ready }),
            ["toml", "not", "ready"] => {
                self.steps.push(Step::Config { text: text(), until: Until::NotReady });
            }
            ["toml", "listening"] => {
                self.steps.push(Step::Config { text: text(), until: Until::Listening });
            }
            ["sh"] => self.steps.extend(inside.iter().map(|line| Step::Order((*line).to_owned()))),
            ["zone", server, origin, ref rest @ ..]
                if rest.is_empty() || rest == ["not", "followed"] =>
            {
                self.zones.push(Zone {
                    server: server.to_owned(),
                    origin: origin.to_owned(),
                    records: with_letters(&text()),
                    followed: rest.is_empty(),
                });
            }
            _ => panic!("line {at}: a block of {info:?} is not known"),
        }
    }

    fn table<'t>(&mut self, head: &str, rows: impl Iterator<Item = (usize, &'t str)>, at: usize) {
        let question = match cells(head, at) {
            ["asked", "answered", "because"] => Question::Dig,
            ["sent", "answered", "because"] => Question::Packet,
            ["requested", "answered", "because"] => Question::Http,
            other => panic!("line {at}: a table of {other:?} is not known"),
        };
        let mut rows = rows.peekable();
        let rule = rows.next_if(|(_, line)| *line == "|---|---|---|");
        assert!(rule.is_some() && rows.peek().is_some(), "line {at}: a table without rows");
        for (line, row) in rows {
            let [asked, answered, _because] = cells(row, line);
            let mut asked = spans(asked, line);
            assert_eq!(asked.len(), 1, "line {line}: one thing is asked");
            let asked = asked.remove(0);
            let answered = spans(answered, line);
            assert!(!answered.is_empty(), "line {line}: nothing is expected");
            self.steps.push(Step::Row(Row { question: question(asked), answered, line }));
        }
    }
}

/// The three cells of a line.
fn cells(line: &str, at: usize) -> [&str; 3] {
    let inside = line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|'));
    let cells: Vec<&str> = inside.unwrap_or_default().split('|').map(str::trim).collect();
    cells.try_into().unwrap_or_else(|cells| panic!("line {at}: {cells:?} are not three cells"))
}

/// The code spans of a cell that has nothing else.
fn spans(cell: &str, at: usize) -> Vec<String> {
    let parts: Vec<&str> = cell.split('`').collect();
    assert!(parts.len() % 2 == 1, "line {at}: a span does not end");
    let (between, spans): (Vec<_>, Vec<_>) =
        parts.iter().enumerate().partition(|(i, _)| i % 2 == 0);
    assert!(between.iter().all(|(_, text)| text.trim().is_empty()), "line {at}: prose in {cell:?}");
    spans.into_iter().map(|(_, span)| with_letters(span)).collect()
}

/// The text with each `{N letters}` as N letters.
pub(crate) fn with_letters(text: &str) -> String {
    let mut out = text.to_owned();
    while let Some((before, rest)) = out.split_once(" letters}") {
        let (before, count) = before.rsplit_once('{').expect("{N letters}");
        let letters = "x".repeat(count.parse().expect("a number of letters"));
        out = format!("{before}{letters}{rest}");
    }
    out
}
