//! The commands. What they print goes to standard output, what they have to say beside it to
//! standard error.

mod addresses;
mod args;
mod ask;
mod check;
mod coverage;
mod demo;
mod discover;
mod doctor;
mod drain;
mod explain;
mod export;
mod flush;
mod fold;
mod held;
mod hubs;
mod manual;
mod migrate;
mod names;
mod peers;
mod plan;
mod progress;
mod query;
mod refresh;
mod reload;
mod run;
mod status;
mod top;
mod zones;

use std::{
    ffi::OsStr,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use crate::base::printable;
use args::{Args, Command};

/// Who reads standard output: a command that prints again and again ends with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Stays,
    Gone,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    match carry_out(args.command) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("hubdns: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells how a command is used. Where an exit status of 2 says that there are changes, a mistake is
/// an error like any other.
fn usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    // As the system has it: an argument may be no text at all.
    let command = std::env::args_os().nth(1);
    match (error.use_stderr(), command.as_deref().and_then(OsStr::to_str)) {
        (false, _) => ExitCode::SUCCESS,
        (true, Some("plan" | "migrate")) => ExitCode::FAILURE,
        (true, _) => ExitCode::from(2),
    }
}

fn carry_out(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Check(args) => check::check(&args),
        Command::Names(args) => query::names(&args),
        Command::Explain(args) => query::explain(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Flush(args) => flush::flush(&args),
        Command::Status(args) => status::status(&args),
        Command::Top(args) => top::top(&args),
        Command::Coverage(args) => coverage::coverage(&args),
        Command::Reload(args) => reload::reload(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Export(command) => export::export(&command.what),
        Command::Migrate(args) => migrate::migrate(&args),
        Command::Drain(args) => drain::drain(&args),
        Command::Refresh(args) => refresh::refresh(&args),
        Command::DrainAz(args) => zones::drain(&args),
        Command::UndrainAz(args) => zones::undrain(&args),
        Command::Discover(args) => discover::discover(&args),
        Command::Schema => {
            say(&crate::config::schema())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(args) => manual::man(&args),
        Command::Completions(args) => Ok(manual::completions(&args)?),
    }
}

/// Prints to standard output. A reader that has gone away (`hubdns names | head`) is no error.
fn say(text: &str) -> io::Result<()> {
    say_on(text).map(|_| ())
}

/// Prints what more is to follow; whether there is still a reader for it.
fn say_on(text: &str) -> io::Result<Reader> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Reader::Stays),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(error),
    }
}

/// Prints to a terminal in place of all that stands there.
fn repaint(text: &str) -> io::Result<Reader> {
    say_on(&format!("\x1b[H\x1b[2J{text}"))
}

/// Prints to standard error what may hold words of AWS, of a daemon or of a file: none of them moves
/// the cursor.
fn complain(text: &str) {
    show(&printable_lines(text));
}

/// Prints rendered problems to standard error, which may have colours of ours, and none but these.
/// There is nowhere to say that it cannot be written.
fn show(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

/// A text of several lines without characters that a terminal obeys.
fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join("\n")
}

/// Whether standard error is a person's and wants colour (<https://no-color.org>).
fn color() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

/// A runtime for a command that asks a few things and ends.
fn small_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
