//! `hubdns check`: every problem at once.

use std::{cell::RefCell, process::ExitCode};

use super::{
    args::{CheckArgs, Format},
    color, complain, held,
    progress::waiting,
    run, say, show, small_runtime,
};
use crate::{
    admin::json::{AskedOnceDocument, CheckedDocument, ProblemDocument, to_text},
    app::{
        ask_sources, ask_upstreams, host_lookup, state_file_doubt, try_places, unread_recordings,
    },
    base::{Chain, count},
    config::{self, Config, ConfigErrors, Problem},
};

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let runtime = small_runtime()?;
    let path = &args.config.config;
    let file = path.display().to_string();
    let json = args.format == Format::Json;
    let untried: RefCell<Option<String>> = RefCell::default();
    // What hubdns itself has it may keep.
    let look = |config: &Config| {
        let (held, why) = runtime.block_on(held::held(config));
        *untried.borrow_mut() = why.map(|why| format!("no address in use was looked at: {why}"));
        let mut problems = try_places(config, &held);
        problems.extend(runtime.block_on(unread_recordings(config)));
        problems
    };
    let loaded = match args.elsewhere {
        true => config::load(path),
        false => run::load_and_try(path, &look),
    };
    let untried = untried.into_inner();
    let known = loaded.as_ref().map_or_else(ConfigErrors::rest, Some);
    let doubt = known
        .filter(|_| !args.elsewhere)
        .and_then(|config| runtime.block_on(state_file_doubt(config)));
    let warnings: Vec<Problem> =
        known.into_iter().flat_map(|config| config.warnings.clone()).chain(doubt).collect();
    if !json {
        if let Err(errors) = &loaded {
            show(&errors.render(color()));
            if !warnings.is_empty() {
                show("\n");
            }
        }
        run::warn(&warnings);
        untried.iter().for_each(|why| complain(why));
    }
    let untried = untried.map(|what| ProblemDocument { what, ..ProblemDocument::default() });
    let warnings = warnings.iter().map(problem).chain(untried).collect();
    let config = match loaded {
        Ok(config) => config,
        Err(errors) => {
            if json {
                let problems = problems(&errors);
                let checked =
                    CheckedDocument { file, problems, warnings, ..CheckedDocument::default() };
                say(&to_text(&checked))?;
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    let asked = match args.online {
        true => runtime.block_on(ask_once(&config, json)),
        false => Vec::new(),
    };
    let good = asked.iter().all(|asked| asked.answered);
    let (sources, views) = (config.sources.len(), config.policy.views.len());
    if json {
        say(&to_text(&CheckedDocument {
            file,
            good,
            sources: Some(sources),
            views: Some(views),
            problems: Vec::new(),
            warnings,
            asked,
        }))?;
    } else if good {
        let (sources, views) = (count(sources, "source", "sources"), count(views, "view", "views"));
        say(&format!("{file}: good ({sources}, {views})\n"))?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks every source and upstream once, and tells of each unless a document will.
async fn ask_once(config: &Config, quiet: bool) -> Vec<AskedOnceDocument> {
    let tell = |text: &str| {
        if !quiet {
            complain(text);
        }
    };
    let upstreams: Vec<String> = config.lookup.upstreams.iter().map(ToString::to_string).collect();
    tell(&format!(
        "AWS's hosts: looked up at {} by {}, {}",
        if upstreams.is_empty() { "nobody".to_owned() } else { upstreams.join(", ") },
        config.lookup.from.key(),
        count(config.lookup.zones.len(), "zone", "zones")
    ));
    let lookup = host_lookup(config);
    let sources = waiting("asking the sources", ask_sources(config, &lookup)).await;
    let sources = sources.into_iter().map(|asked| match asked.facts {
        Ok(facts) => {
            let what = [
                count(facts.endpoints.len(), "endpoint", "endpoints"),
                count(facts.services.len(), "service", "services"),
                count(facts.interfaces.len(), "interface", "interfaces"),
            ];
            once("source", asked.source.to_string(), Ok(what.join(", ")))
        }
        Err(error) => once("source", asked.source.to_string(), Err(Chain(&error).to_string())),
    });
    let upstreams = waiting("asking the upstreams", ask_upstreams(config)).await;
    let upstreams = upstreams.into_iter().map(|(upstream, answered)| {
        let what = answered.map(|rcode| format!("answers ({rcode})"));
        once("upstream", upstream.to_string(), what.map_err(|error| error.to_string()))
    });
    let asked: Vec<AskedOnceDocument> = sources.chain(upstreams).collect();
    asked.iter().for_each(|it| tell(&format!("{} {}: {}", it.kind, it.name, it.what)));
    asked
}

fn once(kind: &str, name: String, told: Result<String, String>) -> AskedOnceDocument {
    let answered = told.is_ok();
    let what = told.unwrap_or_else(|why| why);
    AskedOnceDocument { kind: kind.to_owned(), name, answered, what }
}

fn problems(errors: &ConfigErrors) -> Vec<ProblemDocument> {
    match errors {
        ConfigErrors::Unreadable { .. } => vec![ProblemDocument {
            what: Chain(errors).to_string(),
            help: errors.help().into_iter().collect(),
            ..ProblemDocument::default()
        }],
        ConfigErrors::Wrong { problems, .. } => problems.iter().map(problem).collect(),
    }
}

fn problem(problem: &Problem) -> ProblemDocument {
    ProblemDocument {
        key: problem.key().to_owned(),
        line: Some(problem.line()),
        column: Some(problem.column()),
        what: problem.what().to_owned(),
        help: problem.helps().to_vec(),
    }
}
