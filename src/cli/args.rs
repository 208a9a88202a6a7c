//! The command line.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Parser, Subcommand};

use super::{addresses, export, hubs::HubArgs, migrate, names, plan};
use crate::base::{Name, RecordType};

/// Where the configuration is unless told otherwise.
pub(super) const DEFAULT_CONFIG: &str = "/etc/hubdns/hubdns.toml";

/// Answers the names of AWS interface endpoints with their private addresses, by discovery, and
/// forwards everything else.
#[derive(Parser)]
#[command(name = "hubdns", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the daemon; exit status 0 it was asked to end, 78 the configuration is wrong, 1 an error
    /// that another start may be without
    Run(ConfigArgs),
    /// Run a recorded hub from inside the binary: no AWS, no root, no file, no network
    Demo(DemoArgs),
    /// Check a configuration: every problem at once; exit status 0 good, 1 problems
    Check(CheckArgs),
    /// List what is answered and from what, and what is not and why
    Names(NamesArgs),
    /// Explain what a client that asks for a name gets, step by step; exit status 0 it is ours, 3 it
    /// is forwarded, 4 it is refused, 5 the running daemon answers something else
    Explain(ExplainArgs),
    /// Go through a check-list and say what to do next; exit status 1 when something failed
    Doctor(DoctorArgs),
    /// Make a running daemon forget what upstreams said: of a name and all below it, or everything
    Flush(FlushArgs),
    /// Tell how a running daemon stands; exit status 1 when it is not ready
    Status(StatusArgs),
    /// Tell what a running daemon is asked, a second, by service, code, source, view and type; on a
    /// terminal again and again
    Top(TopArgs),
    /// Tell which names of AWS a running daemon's upstreams answered with public addresses, how often,
    /// and which endpoint would cover each or why the one that is there does not
    Coverage(DaemonArgs),
    /// Make a running daemon read its configuration again: all of it is put in force, or nothing;
    /// exit status 1 when it was refused
    Reload(DaemonArgs),
    /// Tell what a configuration would change before it does: which answers, for whom, and what a
    /// reload would do besides; exit status 0 nothing, 2 changes, 1 an error
    Plan(PlanArgs),
    /// Print what others need to send names to us
    Export(ExportArgs),
    /// Compare private hosted zones with our answers, and tell in which order to do without them;
    /// exit status 0 clients notice nothing, 2 they do or not all was read, 1 an error
    Migrate(MigrateArgs),
    /// Make a running daemon not ready at once, and end after a time in which it goes on answering
    Drain(DrainArgs),
    /// Make a running daemon ask its sources now, and tell what came of it; exit status 1 when
    /// something was kept as it was
    Refresh(RefreshArgs),
    /// Take a zone's addresses out of a running daemon's answers, where names have others
    DrainAz(ZoneArgs),
    /// Put a drained zone's addresses back
    UndrainAz(ZoneArgs),
    /// Ask AWS what there is and print it; changes nothing
    Discover(DiscoverArgs),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print the manual page
    Man(ManArgs),
    /// Print what a shell needs to complete commands and options
    Completions(CompletionsArgs),
}

#[derive(clap::Args)]
pub(super) struct ConfigArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(super) config: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct DemoArgs {
    /// Answer DNS here, UDP and TCP
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5300", value_parser = addresses::socket)]
    pub(super) listen: SocketAddr,
    /// Serve metrics and the JSON API here
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8053", value_parser = addresses::socket)]
    pub(super) admin: SocketAddr,
    /// Forward names that are not ours to this resolver; without it they get SERVFAIL
    #[arg(long, value_name = "IP[:PORT]", value_parser = addresses::dns)]
    pub(super) upstream: Option<SocketAddr>,
}

#[derive(clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Also ask every source and every upstream once
    #[arg(long)]
    pub(super) online: bool,
    /// It is for another machine: leave out what only that one can tell (addresses, certificates and
    /// other files)
    #[arg(long, conflicts_with = "online")]
    pub(super) elsewhere: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(clap::Args)]
pub(super) struct NamesArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = names::Format::Table)]
    pub(super) format: names::Format,
}

#[derive(clap::Args)]
pub(super) struct ExplainArgs {
    /// The name asked for
    pub(super) name: Name,
    /// The type asked for
    #[arg(value_name = "TYPE", default_value = "A")]
    pub(super) rtype: RecordType,
    /// The client's address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", value_parser = addresses::ip)]
    pub(super) from: IpAddr,
    /// The address of ours that the client asks; the first of server.listen unless told
    #[arg(long, value_name = "IP[:PORT]", value_parser = addresses::dns)]
    pub(super) listener: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(clap::Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Also ask these other hubs whether they answer from the same table
    #[arg(long, value_name = "IP[:PORT],...", value_delimiter = ',', value_parser = addresses::dns)]
    pub(super) peers: Vec<SocketAddr>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For scripts
    Json,
}

#[derive(clap::Args)]
pub(super) struct FlushArgs {
    /// The name; without one everything is forgotten
    pub(super) name: Option<Name>,
    #[command(flatten)]
    pub(super) daemon: DaemonArgs,
}

#[derive(clap::Args)]
pub(super) struct StatusArgs {
    /// Tell it again and again, every 2 seconds unless told, until it is interrupted
    #[arg(
        long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u32).range(1..=3_600)
    )]
    pub(super) watch: Option<u32>,
    #[command(flatten)]
    pub(super) daemon: DaemonArgs,
}

#[derive(clap::Args)]
pub(super) struct TopArgs {
    /// Seconds between two looks
    #[arg(
        long, value_name = "SECONDS", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=3_600)
    )]
    pub(super) interval: u32,
    #[command(flatten)]
    pub(super) daemon: DaemonArgs,
}

#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder, in place of printing the program's
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}

#[derive(clap::Args)]
pub(super) struct PlanArgs {
    /// The configuration as it would be
    #[arg(long, value_name = "NEW", default_value = DEFAULT_CONFIG)]
    pub(super) config: PathBuf,
    /// Compare with this configuration, in place of what is in force in the running daemon
    #[arg(long, value_name = "FILE", conflicts_with = "socket")]
    pub(super) against: Option<PathBuf>,
    /// The daemon's control socket, in place of the one that the configuration names
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = plan::Format::Text)]
    pub(super) format: plan::Format,
}

#[derive(clap::Args)]
pub(super) struct ExportArgs {
    #[command(subcommand)]
    pub(super) what: ExportCommand,
}

#[derive(Subcommand)]
pub(super) enum ExportCommand {
    /// Route 53 Resolver rules for the VPCs, the fewest that hold what is answered
    Rules(ExportRules),
    /// Conditional forwarding to us, for the resolvers of a site
    Forwarders(ExportForwarders),
    /// What a view answers, as a zone file
    Zone(ExportZone),
    /// The permissions that the configured sources need, and no others
    IamPolicy(ExportIamPolicy),
}

/// Which names are meant, and where they are answered.
#[derive(clap::Args)]
pub(super) struct ExportNames {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// The names of this view alone
    #[arg(long, value_name = "NAME")]
    pub(super) view: Option<String>,
    /// The hubs; unless told the addresses of server.listen, of which those that lead to the view
    #[arg(long, value_name = "IP[:PORT],...", value_delimiter = ',', value_parser = addresses::dns)]
    pub(super) targets: Vec<SocketAddr>,
}

#[derive(clap::Args)]
pub(super) struct ExportRules {
    #[command(flatten)]
    pub(super) names: ExportNames,
    /// How much is sent to us
    #[arg(long, value_enum, default_value_t = export::Wide::Region)]
    pub(super) scope: export::Wide,
    /// The VPCs to associate the rules with; never the hubs' own
    #[arg(long = "vpc", value_name = "ID,...", value_delimiter = ',')]
    pub(super) vpcs: Vec<String>,
    #[command(flatten)]
    pub(super) hub: HubArgs,
    /// The Resolver outbound endpoint; where it is left out, the one who applies the rules is asked
    #[arg(long, value_name = "ID")]
    pub(super) endpoint: Option<String>,
    /// What the rules' names begin with
    #[arg(long, value_name = "WORD", default_value = "hubdns")]
    pub(super) name_prefix: String,
    /// How to print
    #[arg(long, value_enum, default_value_t = export::RulesFormat::Cloudformation)]
    pub(super) format: export::RulesFormat,
}

#[derive(clap::Args)]
pub(super) struct ExportForwarders {
    #[command(flatten)]
    pub(super) names: ExportNames,
    /// Whose words
    #[arg(long, value_enum)]
    pub(super) format: export::ForwardersFormat,
    /// How much is sent to us
    #[arg(long, value_enum, default_value_t = export::Wide::Region)]
    pub(super) scope: export::Wide,
}

#[derive(clap::Args)]
pub(super) struct ExportZone {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// The view; everybody else's unless told
    #[arg(long, value_name = "NAME")]
    pub(super) view: Option<String>,
    /// Only what is in this domain, which the zone is then of
    #[arg(long, value_name = "DOMAIN", default_value = ".")]
    pub(super) origin: Name,
}

#[derive(clap::Args)]
pub(super) struct ExportIamPolicy {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// The policy of each role that a source assumes, in place of that of what hubdns runs as
    #[arg(long)]
    pub(super) assumed: bool,
}

#[derive(clap::Args)]
pub(super) struct MigrateArgs {
    /// The folder with what `aws route53 list-hosted-zones-by-vpc`, `get-hosted-zone` and
    /// `list-resource-record-sets` printed as JSON, in files of any name
    #[arg(long, value_name = "DIR")]
    pub(super) zones: PathBuf,
    /// The view that the zones' clients will be in; everybody else's unless told
    #[arg(long, value_name = "NAME")]
    pub(super) view: Option<String>,
    #[command(flatten)]
    pub(super) hub: HubArgs,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = migrate::Format::Text)]
    pub(super) format: migrate::Format,
}

#[derive(clap::Args)]
pub(super) struct DrainArgs {
    /// How long answers go on
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 60, conflicts_with = "cancel")]
    pub(super) lasts_secs: u32,
    /// Be ready again, and do not end
    #[arg(long)]
    pub(super) cancel: bool,
    #[command(flatten)]
    pub(super) daemon: DaemonArgs,
}

#[derive(clap::Args)]
pub(super) struct RefreshArgs {
    /// Believe what is found this time, however many names go by it
    #[arg(long)]
    pub(super) accept: bool,
    /// Ask this source alone
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    #[command(flatten)]
    pub(super) daemon: DaemonArgs,
}

#[derive(clap::Args)]
pub(super) struct ZoneArgs {
    /// The availability zone, by its name (eu-west-1a) or its id (euw1-az1)
    pub(super) zone: String,
    #[command(flatten)]
    pub(super) daemon: DaemonArgs,
}

/// Which daemon is meant.
#[derive(clap::Args)]
pub(super) struct DaemonArgs {
    /// The configuration file that it runs on
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(super) config: PathBuf,
    /// Its control socket, in place of the one that the configuration names
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    pub(super) socket: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(clap::Args)]
pub(super) struct DiscoverArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Write the files that a `files` source reads; with several sources, a folder for each
    #[arg(long, value_name = "DIR")]
    pub(super) save: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}
