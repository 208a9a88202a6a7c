//! `hubdns export`: what others need to send names to us.

use std::{net::SocketAddr, process::ExitCode};

use super::{
    args::{
        ConfigArgs, ExportCommand, ExportForwarders, ExportIamPolicy, ExportNames, ExportRules,
        ExportZone,
    },
    ask, complain,
    hubs::{Hubs, listens},
    progress::waiting,
    run, say, small_runtime,
};
use crate::{
    admin::json::{Only, to_text},
    app::{host_lookup, offline_inventory, offline_table},
    config::Config,
    export::{self, Routes, Rules, Scope, Software},
    preview::table_told,
    table::AnswerTable,
};

/// `--scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Wide {
    /// All names of the regions that are answered for, such as eu-west-1.amazonaws.com: a VPC's own
    /// endpoints and zones go on
    Region,
    /// All of AWS's names, such as amazonaws.com, with exceptions for names that belong to a VPC
    Partition,
    /// Each name that is answered: a VPC's own endpoint of that name is passed over
    Names,
}

/// `--format` of `hubdns export rules`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RulesFormat {
    /// A CloudFormation template
    Cloudformation,
    /// A Terraform module
    Terraform,
    /// What `aws route53resolver create-resolver-rule --cli-input-json` takes, rule by rule
    Json,
}

/// `--format` of `hubdns export forwarders`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ForwardersFormat {
    /// BIND 9's named.conf
    Bind,
    /// unbound.conf
    Unbound,
    /// PowerShell, for a Windows DNS server
    Windows,
    /// dnsmasq.conf
    Dnsmasq,
    /// A Corefile
    Coredns,
    /// JSON for Infoblox NIOS' API, an object for each POST to zone_forward
    Infoblox,
}

pub(super) fn export(command: &ExportCommand) -> anyhow::Result<ExitCode> {
    match command {
        ExportCommand::Rules(args) => rules(args),
        ExportCommand::Forwarders(args) => forwarders(args),
        ExportCommand::Zone(args) => zone(args),
        ExportCommand::IamPolicy(args) => iam_policy(args),
    }
}

fn rules(args: &ExportRules) -> anyhow::Result<ExitCode> {
    let (config, table) = match in_force(&args.names.config, args.names.view.as_deref())? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    let scope = Scope::from(args.scope);
    let Routes { forward, system } = export::routes(&table, args.names.view.as_deref(), scope);
    let rules = Rules {
        prefix: args.name_prefix.clone(),
        forward,
        system,
        targets: targets(&args.names, &config, &table),
        endpoint: args.endpoint.clone(),
        vpcs: args.vpcs.clone(),
    };
    let hubs = hubs(args, &config, &rules, &table)?;
    hubs.warn();
    complain(&rules.check(&hubs.vpcs)?);
    if args.format == RulesFormat::Json && args.endpoint.is_none() {
        complain("add \"ResolverEndpointId\" to each rule that forwards, or say `--endpoint ID`");
    }
    say(&match args.format {
        RulesFormat::Cloudformation => export::cloudformation(&rules)?,
        RulesFormat::Terraform => export::terraform(&rules),
        RulesFormat::Json => to_text(&export::json(&rules)),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn forwarders(args: &ExportForwarders) -> anyhow::Result<ExitCode> {
    let view = args.names.view.as_deref();
    let (config, table) = match in_force(&args.names.config, view)? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    let domains = export::domains(&table, view, args.scope.into());
    let targets = targets(&args.names, &config, &table);
    say(&export::forwarders(args.format.into(), &domains, &targets)?)?;
    Ok(ExitCode::SUCCESS)
}

fn zone(args: &ExportZone) -> anyhow::Result<ExitCode> {
    let (_, table) = match in_force(&args.config, args.view.as_deref())? {
        Ok(found) => found,
        Err(code) => return Ok(code),
    };
    let view = match &args.view {
        Some(name) => table.view(name),
        None => table.views().last(),
    };
    // A table has a view for everybody else, and the one that was asked for was looked up.
    say(&view.map(|view| export::zone_file(view, &args.origin)).unwrap_or_default())?;
    Ok(ExitCode::SUCCESS)
}

fn iam_policy(args: &ExportIamPolicy) -> anyhow::Result<ExitCode> {
    let config = match run::load(&args.config.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text),
    };
    let policy = export::iam_policy(&config.sources, args.assumed)?;
    if let Some(source) = export::guessed(&config.sources).filter(|_| !args.assumed) {
        complain(&format!(
            "source {}: `region` is not said, so its role is written for the partition aws; in China, \
             GovCloud and the like say `region`, or replace \"arn:aws:\"",
            source.name
        ));
    }
    say(&to_text(&policy))?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration and the table in force: the daemon's, or without one what the sources tell
/// now. What is wrong has been told where there is a status instead.
fn in_force(
    config: &ConfigArgs,
    view: Option<&str>,
) -> anyhow::Result<Result<(Config, AnswerTable), ExitCode>> {
    let config = match run::load(&config.config) {
        Ok(config) => config,
        Err(text) => return run::refuse(&text).map(Err),
    };
    let table = small_runtime()?.block_on(async {
        match ask::names(&config, Some(Only::Answered)).await? {
            Some(names) => Ok(table_told(&names)?),
            None => {
                complain("no daemon runs on this configuration; its sources are asked instead");
                let lookup = host_lookup(&config);
                let asked = offline_table(&config, &lookup);
                let (table, notes) = waiting("asking the sources", asked).await?;
                notes.iter().for_each(|note| complain(note));
                anyhow::Ok(table)
            }
        }
    })?;
    if let Some(view) = view
        && table.view(view).is_none()
    {
        let known: Vec<&str> = table.views().map(|it| it.name().as_str()).collect();
        anyhow::bail!("--view: there is no view {view:?}; there are: {}", known.join(", "));
    }
    Ok(Ok((config, table)))
}

/// The hubs as they were named, else where this one listens, as far as others could ask there: of a
/// view those where whoever asks can come to it.
fn targets(names: &ExportNames, config: &Config, table: &AnswerTable) -> Vec<SocketAddr> {
    if !names.targets.is_empty() {
        return names.targets.clone();
    }
    let leads =
        |it: &SocketAddr| names.view.as_deref().is_none_or(|name| leads_to(table, name, *it));
    listens(config).filter(leads).collect()
}

/// Whether some client that asks there is in the view: it takes that listener, and none before it
/// takes all clients of it.
fn leads_to(table: &AnswerTable, name: &str, listener: SocketAddr) -> bool {
    let takes = |listeners: &[SocketAddr]| {
        let same = |it: &SocketAddr| {
            it.port() == listener.port() && (it.ip() == listener.ip() || it.ip().is_unspecified())
        };
        listeners.is_empty() || listeners.iter().any(same)
    };
    for view in table.views() {
        let all_clients = view.rule().is_none_or(|rule| rule.clients.is_empty());
        let taken = view.rule().is_none_or(|rule| takes(&rule.listeners));
        if view.name().as_str() == name {
            return taken;
        }
        if taken && all_clients {
            return false;
        }
    }
    false
}

/// The hubs' own VPCs. Asked for only where a rule could come to be in one.
fn hubs(
    args: &ExportRules,
    config: &Config,
    rules: &Rules,
    table: &AnswerTable,
) -> anyhow::Result<Hubs> {
    if args.vpcs.is_empty() || !args.hub.hub_vpcs.is_empty() {
        return Ok(Hubs::named(&args.hub.hub_vpcs));
    }
    let lookup = host_lookup(config);
    let asked = waiting("asking the sources", offline_inventory(config, &lookup));
    match small_runtime()?.block_on(asked) {
        Ok((inventory, _)) => Ok(Hubs::found(&rules.targets, &inventory, table)),
        Err(error) => {
            complain(&format!(
                "whether one of the VPCs is the hub's own, where a rule would make a loop, cannot be \
                 told: {error}; `--hub-vpc ID` says which it is"
            ));
            Ok(Hubs::named(&[]))
        }
    }
}

impl From<ForwardersFormat> for Software {
    fn from(format: ForwardersFormat) -> Self {
        match format {
            ForwardersFormat::Bind => Software::Bind,
            ForwardersFormat::Unbound => Software::Unbound,
            ForwardersFormat::Windows => Software::Windows,
            ForwardersFormat::Dnsmasq => Software::Dnsmasq,
            ForwardersFormat::Coredns => Software::Coredns,
            ForwardersFormat::Infoblox => Software::Infoblox,
        }
    }
}

impl From<Wide> for Scope {
    fn from(wide: Wide) -> Self {
        match wide {
            Wide::Region => Scope::Region,
            Wide::Partition => Scope::Partition,
            Wide::Names => Scope::Names,
        }
    }
}
