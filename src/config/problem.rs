//! What is wrong in a configuration, where, and what would be right.

use std::{fmt, io, mem, ops::Range, path::PathBuf, sync::Arc};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet, normalize_untrusted_str};

use super::{Config, file::File, places::Places};

/// One thing that is wrong or doubtful in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    source: Arc<SourceText>,
    severity: Severity,
    key: String,
    span: Range<usize>,
    what: String,
    label: String,
    also: Vec<(Range<usize>, String)>,
    help: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigErrors {
    /// The file could not be read at all.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Every problem of the file, in the order of their places; never empty.
    #[error("{}", summary(problems))]
    Wrong {
        /// The problems.
        problems: Vec<Problem>,
        /// What the rest of the file would mean, for whoever looks for more problems; nothing
        /// when the file is not TOML.
        rest: Option<Box<Config>>,
    },
}

/// What to do where there is no such file.
const NO_FILE: &str = "give another file with --config; a commented example is \
                       config/hubdns.toml in the sources, and `hubdns demo` needs no file";
/// Where it may not be read.
const DENIED: &str = "run this as root, or as the user that hubdns runs as (`sudo -u hubdns`), or \
                      let yours read the file and pass through each folder above it";
/// Where it cannot be text.
const NO_TEXT: &str = "a configuration is TOML, in UTF-8";

/// The file's name as it is shown, and its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SourceText {
    pub(super) file: String,
    pub(super) text: String,
}

/// Collects problems and warnings while a file is checked.
pub(super) struct Findings {
    source: Arc<SourceText>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Problem,
    Warning,
}

// === impl Problem ===

impl Problem {
    /// The key it is about: `refresh.interval_secs`, `source.name`; empty for the file as a whole.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, in one line without its place.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What would be right, or what to do next.
    pub fn helps(&self) -> &[String] {
        &self.help
    }

    /// Its line, from 1.
    pub fn line(&self) -> usize {
        1 + self.before().matches('\n').count()
    }

    /// Its column in characters, from 1.
    pub fn column(&self) -> usize {
        1 + self.before().rsplit('\n').next().map_or(0, |line| line.chars().count())
    }

    /// The whole message: place, line with a caret, cause and next step. No line end behind it.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Problem => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let also = self
            .also
            .iter()
            .map(|(span, label)| AnnotationKind::Context.span(span.clone()).label(label));
        let snippet = Snippet::source(&self.source.text)
            .path(&self.source.file)
            .annotation(AnnotationKind::Primary.span(self.span.clone()).label(&self.label))
            .annotations(also);
        let help = self.help.iter().map(|text| Level::HELP.message(normalize_untrusted_str(text)));
        renderer(color).render(&[level.primary_title(&self.what).element(snippet).elements(help)])
    }

    /// A problem found after the file was read.
    pub(super) fn found_later(
        source: Arc<SourceText>,
        key: &str,
        span: Range<usize>,
        texts: [&str; 3],
    ) -> Problem {
        Problem::later(Severity::Problem, source, key, span, texts)
    }

    /// A warning found after the file was read.
    pub(super) fn doubted_later(
        source: Arc<SourceText>,
        key: &str,
        span: Range<usize>,
        texts: [&str; 3],
    ) -> Problem {
        Problem::later(Severity::Warning, source, key, span, texts)
    }

    fn later(
        severity: Severity,
        source: Arc<SourceText>,
        key: &str,
        span: Range<usize>,
        [what, label, help]: [&str; 3],
    ) -> Problem {
        Problem {
            source,
            severity,
            key: key.to_owned(),
            span,
            what: what.to_owned(),
            label: label.to_owned(),
            also: Vec::new(),
            help: vec![help.to_owned()],
        }
    }

    /// The words beside the caret.
    pub(super) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// A next step, or what is allowed.
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help.push(help.into());
        self
    }

    /// A second place that belongs to it. A default stands nowhere and is not shown.
    pub(super) fn also(&mut self, span: &Range<usize>, label: impl Into<String>) -> &mut Self {
        if !span.is_empty() {
            self.also.push((span.clone(), label.into()));
        }
        self
    }

    fn place(&self) -> (usize, usize) {
        (self.span.start, self.span.end)
    }

    fn before(&self) -> &str {
        self.source.text.get(..self.span.start).unwrap_or_default()
    }
}

/// One line: `FILE:LINE:COLUMN: what`. [`Problem::render`] tells all of it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, column) = (&self.source.file, self.line(), self.column());
        write!(f, "{file}:{line}:{column}: {}", self.what)
    }
}

// === impl ConfigErrors ===

impl ConfigErrors {
    /// The problems; none when the file could not be read.
    pub fn problems(&self) -> &[Problem] {
        match self {
            ConfigErrors::Unreadable { .. } => &[],
            ConfigErrors::Wrong { problems, .. } => problems,
        }
    }

    /// What to do where the file could not be read; nothing where its problems say it.
    pub fn help(&self) -> Option<String> {
        let ConfigErrors::Unreadable { path, source } = self else { return None };
        Some(match source.kind() {
            io::ErrorKind::PermissionDenied => DENIED.to_owned(),
            io::ErrorKind::InvalidData => NO_TEXT.to_owned(),
            io::ErrorKind::IsADirectory => {
                let file = path.join("hubdns.toml");
                format!("give a file with --config, such as {}", file.display())
            }
            _ => NO_FILE.to_owned(),
        })
    }

    /// What the rest of the file would mean, where that is known.
    pub fn rest(&self) -> Option<&Config> {
        match self {
            ConfigErrors::Wrong { rest, .. } => rest.as_deref(),
            ConfigErrors::Unreadable { .. } => None,
        }
    }

    /// The same with what `look` finds in the rest of the file, so that a person is told of
    /// everything at once.
    pub fn and(self, look: impl FnOnce(&Config) -> Vec<Problem>) -> ConfigErrors {
        match self {
            ConfigErrors::Wrong { mut problems, rest: Some(rest) } => {
                problems.extend(look(&rest));
                problems.sort_by_key(Problem::place);
                ConfigErrors::Wrong { problems, rest: Some(rest) }
            }
            ConfigErrors::Wrong { .. } | ConfigErrors::Unreadable { .. } => self,
        }
    }

    /// Everything for a person, ended by a line end. The one-line form is the `Display`.
    pub fn render(&self, color: bool) -> String {
        match self {
            ConfigErrors::Unreadable { source, .. } => {
                let title = Level::ERROR.primary_title(format!("{self}: {source}"));
                let help = Level::HELP.message(self.help().unwrap_or_default());
                format!("{}\n", renderer(color).render(&[title.element(help)]))
            }
            ConfigErrors::Wrong { problems, .. } => render_all(problems, color),
        }
    }
}

/// Problems or warnings one after the other with an empty line between them, ended by a line end;
/// nothing for none.
pub fn render_all(problems: &[Problem], color: bool) -> String {
    let rendered: Vec<String> =
        problems.iter().map(|problem| format!("{}\n", problem.render(color))).collect();
    rendered.join("\n")
}

fn summary(problems: &[Problem]) -> String {
    match problems {
        [] => "no problem".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

fn renderer(color: bool) -> Renderer {
    match color {
        true => Renderer::styled(),
        false => Renderer::plain(),
    }
}

// === impl Findings ===

impl Findings {
    pub(super) fn new(file: &str, text: &str) -> Self {
        let (file, text) = (file.to_owned(), text.to_owned());
        Self {
            source: Arc::new(SourceText { file, text }),
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Records something that must be put right.
    pub(super) fn problem(
        &mut self,
        key: impl Into<String>,
        span: &Range<usize>,
        what: impl Into<String>,
    ) -> &mut Problem {
        let problem = self.make(Severity::Problem, key.into(), span, what.into());
        self.problems.push_mut(problem)
    }

    /// Records something that works and is hardly meant.
    pub(super) fn warning(
        &mut self,
        key: impl Into<String>,
        span: &Range<usize>,
        what: impl Into<String>,
    ) -> &mut Problem {
        let warning = self.make(Severity::Warning, key.into(), span, what.into());
        self.warnings.push_mut(warning)
    }

    /// Whether a problem is known for `key` or anything below it. A check that compares several
    /// values asks first, so that one mistake is told once.
    pub(super) fn doubts(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| {
            let tail = problem.key.strip_prefix(key);
            tail.is_some_and(|tail| tail.is_empty() || tail.starts_with('.'))
        })
    }

    /// Where in the file stands what only a start can try.
    pub(super) fn places(&self, file: &File) -> Places {
        Places::new(Arc::clone(&self.source), file)
    }

    /// Whether there is no configuration.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// The problems in the order of the file, and what the rest of it means, with its own warnings: what
    /// is doubtful only since a value is wrong is not among them.
    pub(super) fn into_errors(mut self, mut rest: Option<Config>) -> ConfigErrors {
        self.problems.sort_by_key(Problem::place);
        if let Some(rest) = &mut rest {
            let warnings = mem::take(&mut self.warnings).into_iter();
            rest.warnings = warnings.filter(|warning| !self.doubts(&warning.key)).collect();
            rest.warnings.sort_by_key(Problem::place);
        }
        ConfigErrors::Wrong { problems: self.problems, rest: rest.map(Box::new) }
    }

    /// The warnings in the order of the file.
    pub(super) fn into_warnings(mut self) -> Vec<Problem> {
        self.warnings.sort_by_key(Problem::place);
        self.warnings
    }

    fn make(&self, severity: Severity, key: String, span: &Range<usize>, what: String) -> Problem {
        let end = self.source.text.len();
        Problem {
            source: Arc::clone(&self.source),
            severity,
            key,
            span: span.start.min(end)..span.end.min(end),
            what,
            label: String::new(),
            also: Vec::new(),
            help: Vec::new(),
        }
    }
}
