//! The resolvers that ask hubdns, configured by the blocks of `docs/RESOLVERS.md`.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use crate::support::{Resolver, daemon, venv};

const DOCUMENT: &str = include_str!("../../docs/RESOLVERS.md");
/// What stands for hubdns in the document, and for what is believed without a signature.
const DOCUMENTED_ADDRESS: &str = "10.0.0.10";
const DOCUMENTED_EXCEPTION: &str = "amazonaws.com";

/// A resolver, and where it is not like the others.
pub(crate) struct Software {
    /// As in the document's blocks.
    pub(crate) name: &'static str,
    /// Between address and port of a server to forward to.
    port_mark: &'static str,
    configure: fn(&Settings, &Path, u16) -> Command,
    /// A client's CD makes it pass on what it would refuse.
    pub(crate) obeys_cd: bool,
    /// It believes an unsigned name in a signed zone that does not have the name.
    pub(crate) believes_private_names: bool,
    /// It can tell that an alias is right by the signature over a DNAME. dnsmasq 2.90 cannot,
    /// whoever it asks.
    pub(crate) validates_dnames: bool,
    /// Without validation it passes signatures on to a client that sets DO.
    pub(crate) passes_signatures_on: bool,
}

struct Settings {
    forward: String,
    except: String,
    anchor: Option<String>,
}

pub(crate) const UNBOUND: Software = Software {
    name: "unbound",
    port_mark: "@",
    configure: unbound,
    obeys_cd: true,
    believes_private_names: false,
    validates_dnames: true,
    passes_signatures_on: true,
};

pub(crate) const BIND: Software =
    Software { name: "bind", port_mark: " port ", configure: bind, ..UNBOUND };

pub(crate) const KNOT_RESOLVER: Software =
    Software { name: "kresd", configure: kresd, passes_signatures_on: false, ..UNBOUND };

pub(crate) const POWERDNS_RECURSOR: Software =
    Software { name: "pdns", port_mark: ":", configure: pdns, ..UNBOUND };

pub(crate) const DNSMASQ: Software = Software {
    name: "dnsmasq",
    port_mark: "#",
    configure: dnsmasq,
    validates_dnames: false,
    ..UNBOUND
};

pub(crate) const SYSTEMD_RESOLVED: Software = Software {
    name: "resolved",
    port_mark: ":",
    configure: resolved,
    obeys_cd: false,
    believes_private_names: true,
    validates_dnames: true,
    passes_signatures_on: false,
};

/// All of them.
pub(crate) const EVERY: [&Software; 6] =
    [&UNBOUND, &BIND, &KNOT_RESOLVER, &POWERDNS_RECURSOR, &DNSMASQ, &SYSTEMD_RESOLVED];

/// Those that forward a region's names to another server than the rest, in a file of their own.
pub(crate) const BY_NAME: [&Software; 5] =
    [&UNBOUND, &BIND, &KNOT_RESOLVER, &POWERDNS_RECURSOR, &DNSMASQ];

/// The words behind the fences of the document's blocks.
pub(crate) fn fences() -> Vec<&'static str> {
    let fences = DOCUMENT.lines().filter_map(|line| line.strip_prefix("```"));
    fences.filter(|words| !words.is_empty()).collect()
}

/// A block of the document, by the two words behind its fence.
pub(crate) fn block(name: &str, what: &str) -> String {
    let fence = format!("```{name} {what}\n");
    let (_, rest) = DOCUMENT.split_once(&fence).unwrap_or_else(|| panic!("no block {fence}"));
    rest.split("```").next().unwrap_or("").to_owned()
}

// === impl Software ===

impl Software {
    /// Starts it in front of `hubdns`: with the root's key if it is to validate, and then with a
    /// name that it shall believe nevertheless.
    #[track_caller]
    pub(crate) fn start(
        &self,
        hubdns: SocketAddr,
        anchor: Option<&str>,
        except: Option<&str>,
    ) -> Resolver {
        let except =
            except.map(|name| self.block("except", hubdns).replace(DOCUMENTED_EXCEPTION, name));
        self.start_with(Settings {
            forward: self.block("forward", hubdns),
            except: except.unwrap_or_default(),
            anchor: anchor.map(str::to_owned),
        })
    }

    /// Starts it without validation, and with a text of its own words.
    #[track_caller]
    pub(crate) fn start_exported(&self, forward: String) -> Resolver {
        self.start_with(Settings { forward, except: String::new(), anchor: None })
    }

    /// Starts it, validating, with AWS's names of one region forwarded to `hubdns` and all others
    /// to `others`.
    #[track_caller]
    pub(crate) fn start_for_a_region(
        &self,
        hubdns: SocketAddr,
        others: SocketAddr,
        anchor: &str,
    ) -> Resolver {
        // PowerDNS adds to a list that is there, and Knot Resolver takes the first that fits.
        let mut blocks = [self.block("forward", others), self.block("region", hubdns)];
        if self.name == KNOT_RESOLVER.name {
            blocks.reverse();
        }
        self.start_with(Settings {
            forward: blocks.concat(),
            except: String::new(),
            anchor: Some(anchor.to_owned()),
        })
    }

    /// Starts it without validation and with TCP alone towards `hubdns`; `None` if it cannot.
    #[track_caller]
    pub(crate) fn start_over_tcp(&self, hubdns: SocketAddr) -> Option<Resolver> {
        let forward = self.block("forward", hubdns);
        let forward = match self.name {
            "unbound" => forward + "forward-tcp-upstream: yes\n",
            "bind" => format!("{forward}server {} {{ tcp-only yes; }};\n", hubdns.ip()),
            "kresd" => format!("policy.add(policy.all(policy.FLAGS('TCP')))\n{forward}"),
            _ => return None,
        };
        Some(self.start_with(Settings { forward, except: String::new(), anchor: None }))
    }

    /// A block of the document with another server's address.
    fn block(&self, what: &str, server: SocketAddr) -> String {
        let address = format!("{}{}{}", server.ip(), self.port_mark, server.port());
        block(self.name, what).replace(DOCUMENTED_ADDRESS, &address)
    }

    #[track_caller]
    fn start_with(&self, settings: Settings) -> Resolver {
        Resolver::start(self.name, |dir, port| (self.configure)(&settings, dir, port))
    }
}

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("a file");
}

fn unbound(settings: &Settings, dir: &Path, port: u16) -> Command {
    let Settings { forward, except, anchor } = settings;
    let validation = match anchor {
        Some(anchor) => {
            format!("module-config: \"validator iterator\"\ntrust-anchor: \". DS {anchor}\"\n")
        }
        None => "module-config: \"iterator\"\n".to_owned(),
    };
    // Its verbosity tells of spellings that did not come back.
    write(
        dir,
        "unbound.conf",
        &format!(
            "server:\ninterface: 127.0.0.1\nport: {port}\ndo-daemonize: no\nusername: \"\"\n\
             chroot: \"\"\npidfile: \"\"\ndirectory: \"{dir}\"\nuse-syslog: no\nverbosity: 2\n\
             do-not-query-localhost: no\nuse-caps-for-id: yes\n{validation}\
             remote-control:\ncontrol-enable: no\n{forward}{except}",
            dir = dir.display(),
        ),
    );
    let mut command = daemon("unbound");
    command.args(["-d", "-c"]).arg(dir.join("unbound.conf"));
    command
}

fn bind(settings: &Settings, dir: &Path, port: u16) -> Command {
    let Settings { forward, except, anchor } = settings;
    let (validation, anchors) = match anchor {
        Some(anchor) => {
            let (key, digest) = anchor.rsplit_once(' ').expect("four words");
            ("yes", format!("trust-anchors {{ \".\" static-ds {key} \"{digest}\"; }};\n"))
        }
        None => ("no", String::new()),
    };
    write(
        dir,
        "named.conf",
        &format!(
            "options {{ directory \"{dir}\"; listen-on port {port} {{ 127.0.0.1; }};\n\
             listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion yes;\n\
             allow-recursion {{ any; }}; dnssec-validation {validation};\n\
             empty-zones-enable no; {except} }};\ncontrols {{ }};\n{anchors}{forward}",
            dir = dir.display(),
        ),
    );
    let mut command = daemon("named");
    command.args(["-g", "-n", "1", "-c"]).arg(dir.join("named.conf"));
    command
}

fn kresd(settings: &Settings, dir: &Path, port: u16) -> Command {
    let Settings { forward, except, anchor } = settings;
    let (anchors, forward) = match anchor {
        Some(anchor) => (format!("trust_anchors.add('. IN DS {anchor}')\n"), forward.clone()),
        None => (String::new(), forward.replace("policy.FORWARD", "policy.STUB")),
    };
    // The modules watch for a new key of the real root, and for its servers.
    write(
        dir,
        "kresd.conf",
        &format!(
            "net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})\ntrust_anchors.remove('.')\n\
             modules.unload('ta_update')\nmodules.unload('ta_signal_query')\n\
             modules.unload('priming')\ncache.size = 10 * MB\n{anchors}{except}{forward}"
        ),
    );
    let mut command = daemon("kresd");
    command.args(["-n", "-c"]).arg(dir.join("kresd.conf")).arg(dir).current_dir(dir);
    command
}

fn pdns(settings: &Settings, dir: &Path, port: u16) -> Command {
    let Settings { forward, except, anchor } = settings;
    let (validation, anchors) = match anchor {
        Some(anchor) => ("validate", format!("clearTA('.')\naddTA('.', '{anchor}')\n")),
        None => ("process-no-validate", String::new()),
    };
    write(dir, "anchors.lua", &format!("{anchors}{except}"));
    write(
        dir,
        "recursor.conf",
        &format!(
            "local-address=127.0.0.1\nlocal-port={port}\nsocket-dir={dir}\ndont-query=\n\
             dnssec={validation}\nlua-config-file={dir}/anchors.lua\nthreads=1\n\
             security-poll-suffix=\nwrite-pid=no\nhint-file=no\nexport-etc-hosts=no\n{forward}",
            dir = dir.display(),
        ),
    );
    let mut command = daemon("pdns_recursor");
    command.arg(format!("--config-dir={}", dir.display())).arg("--daemon=no");
    command
}

fn dnsmasq(settings: &Settings, dir: &Path, port: u16) -> Command {
    let Settings { forward, except, anchor } = settings;
    let anchor = anchor.as_ref().map(|anchor| {
        format!("dnssec\ndnssec-check-unsigned\ntrust-anchor=.,{}\n", anchor.replace(' ', ","))
    });
    write(
        dir,
        "dnsmasq.conf",
        &format!(
            "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\n\
             user=\npid-file=\nlog-facility=-\n{}{forward}{except}",
            anchor.unwrap_or_default()
        ),
    );
    let mut command = daemon("dnsmasq");
    let file = dir.join("dnsmasq.conf");
    command.arg("--keep-in-foreground").arg(format!("--conf-file={}", file.display()));
    command
}

fn resolved(settings: &Settings, dir: &Path, port: u16) -> Command {
    let Settings { forward, except, anchor } = settings;
    let validation = if anchor.is_some() { "yes" } else { "no" };
    write(
        dir,
        "resolved.conf",
        &format!(
            "{forward}FallbackDNS=\nDNSSEC={validation}\nDNSOverTLS=no\nMulticastDNS=no\n\
             LLMNR=no\nDNSStubListener=no\nDNSStubListenerExtra=127.0.0.1:{port}\n\
             ReadEtcHosts=no\n"
        ),
    );
    if let Some(anchor) = anchor {
        write(dir, "root.positive", &format!(". IN DS {anchor}\n"));
    }
    if !except.is_empty() {
        write(dir, "hubdns.negative", except);
    }
    let unpacked = venv().with_file_name("systemd-resolved");
    assert!(unpacked.exists(), "no systemd-resolved in {}: run tests/setup.sh", unpacked.display());
    let mut command = daemon("unshare");
    command
        .args(["--mount", "--propagation", "private"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/front/resolved.sh"))
        .args([dir, &unpacked]);
    command
}
