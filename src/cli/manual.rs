//! `hubdns man` and `hubdns completions`: what packages install beside the program.

use std::{io, process::ExitCode};

use anyhow::Context;
use clap::CommandFactory;

use super::{
    args::{Args, CompletionsArgs, ManArgs},
    say,
};

/// The section of the manual for programs that users and operators call.
const SECTION: &str = "1";

/// Prints the page of the program, or writes one for each command into a folder.
pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    // `help` needs no page: each has its own.
    let command = Args::command().disable_help_subcommand(true);
    match &args.dir {
        Some(folder) => clap_mangen::generate_to(command, folder)
            .with_context(|| format!("pages cannot be written into {}", folder.display()))?,
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command).section(SECTION).render(&mut page)?;
            say(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the completions of a shell.
pub(super) fn completions(args: &CompletionsArgs) -> io::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "hubdns", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
