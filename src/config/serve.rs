//! `[server]`, `[admin]` and `[control]`: our own addresses, no two of which may clash.

use std::{net::SocketAddr, path::PathBuf};

use super::{
    file::{Admin, Control, Https, Server, Tls},
    located::{Located, Text},
    problem::Findings,
    words::{self, Wrong, read, read_all, wrong},
};
use crate::{
    admin::AdminConfig,
    serve::{ListenAddress, ServeConfig},
};

/// Octets of an NSID that we send. The option could hold more, an answer hardly (RFC 5001).
const IDENTITY_LEN_MAX: usize = 255;
/// Octets of a Unix socket's path without its final NUL (`sun_path` is 108 on Linux).
const SOCKET_PATH_LEN_MAX: usize = 107;

/// `[server]`.
pub(super) fn serve(found: &mut Findings, server: &Server) -> ServeConfig {
    let Located { value: texts, span } = &server.listen;
    let listen = read_all(found, "server.listen", texts, words::listen);
    if texts.is_empty() && !found.doubts("server.listen") {
        found
            .problem("server.listen", span, "`server.listen` is empty")
            .label("nobody could ask")
            .help("name at least one address, or leave the key out for all of them");
    }
    for (at, (text, address)) in listen.iter().enumerate() {
        if let Some((first, _)) = listen[..at].iter().find(|(_, other)| same(other, address)) {
            found
                .problem(
                    "server.listen",
                    &text.span,
                    format!("`server.listen` has {:?} twice", text.value),
                )
                .label("the second time")
                .also(&first.span, "the first time")
                .help("remove one of them");
        }
    }
    if let Some(tls) = &server.tls {
        refuse_tls(found, tls);
    }
    if let Some(https) = &server.https {
        refuse_https(found, https);
    }
    let identity =
        server.identity.as_ref().and_then(|text| read(found, "server.identity", text, identity));
    ServeConfig { listen: listen.into_iter().map(|(_, address)| address).collect(), identity }
}

/// `[admin]`.
pub(super) fn admin(found: &mut Findings, admin: &Admin, server: &Server) -> AdminConfig {
    let text = &admin.listen;
    if text.value.is_empty() {
        return AdminConfig { listen: None };
    }
    let listen = read(found, "admin.listen", text, words::address);
    let clash = listen.and_then(|address| {
        let clashes =
            |entry: &&Text| words::listen(&entry.value).is_ok_and(|other| clash(&other, address));
        server.listen.value.iter().find(clashes)
    });
    if let Some(entry) = clash {
        // Whichever of the two is written can be put right.
        let span = if text.is_written() { &text.span } else { &entry.span };
        let what = format!(
            "`admin.listen` {:?} and `server.listen` {:?} are the same TCP port",
            text.value, entry.value
        );
        found
            .problem("admin.listen", span, what)
            .label("only one of them can have it")
            .also(if text.is_written() { &entry.span } else { &(0..0) }, "the other")
            .help("give the admin listener another port; its default is \"127.0.0.1:9153\"");
    }
    AdminConfig { listen }
}

/// `control.socket`.
pub(super) fn control_socket(found: &mut Findings, control: &Control) -> Option<PathBuf> {
    let path = read(found, "control.socket", &control.socket, |text| {
        match text.len() <= SOCKET_PATH_LEN_MAX {
            true => words::absolute_path(text),
            false => Err(wrong(
                format!("longer than {SOCKET_PATH_LEN_MAX} octets"),
                "the path of a Unix socket is short on Linux: take a shorter one",
            )),
        }
    });
    path.flatten()
}

/// The first of our own addresses that a client reaches at `address`, if that is certain: a
/// concrete one, or a wildcard when `address` is the host itself.
pub(super) fn reached_at(server: &Server, address: SocketAddr) -> Option<&Text> {
    server.listen.value.iter().find(|entry| match words::listen(&entry.value) {
        Ok(ListenAddress::Socket(own)) => {
            own == address
                || (own.port() == address.port()
                    && own.ip().is_unspecified()
                    && own.is_ipv4() == address.is_ipv4()
                    && address.ip().is_loopback())
        }
        Ok(ListenAddress::Interface { .. }) | Err(_) => false,
    })
}

/// Whether a query can arrive at `asked`, an address that a view names. An interface's addresses
/// are not known here, so only its port counts.
pub(super) fn can_be_asked(server: &Server, asked: SocketAddr) -> bool {
    server.listen.value.iter().any(|entry| match words::listen(&entry.value) {
        Ok(ListenAddress::Socket(own)) => {
            let any = own.ip().is_unspecified() || asked.ip().is_unspecified();
            own.port() == asked.port() && (any || own.ip() == asked.ip())
        }
        Ok(ListenAddress::Interface { port, .. }) => port == asked.port(),
        Err(_) => false,
    })
}

fn identity(text: &str) -> Result<String, Wrong> {
    let right = (1..=IDENTITY_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    match right {
        true => Ok(text.to_owned()),
        false => Err(wrong(
            "not a text for NSID",
            format!(
                "allowed: 1 to {IDENTITY_LEN_MAX} printable ASCII characters; without the key it \
                 is the host's name"
            ),
        )),
    }
}

/// Whether two entries would bind the same. Port 0 is another port each time.
fn same(one: &ListenAddress, other: &ListenAddress) -> bool {
    let port = match one {
        ListenAddress::Socket(address) => address.port(),
        ListenAddress::Interface { port, .. } => *port,
    };
    port != 0 && one == other
}

/// Whether the admin listener cannot be opened beside this entry.
fn clash(entry: &ListenAddress, admin: SocketAddr) -> bool {
    match entry {
        ListenAddress::Socket(own) => {
            let any = own.ip().is_unspecified() || admin.ip().is_unspecified();
            let meet = own.ip() == admin.ip() || (any && own.is_ipv4() == admin.is_ipv4());
            admin.port() != 0 && own.port() == admin.port() && meet
        }
        ListenAddress::Interface { .. } => false,
    }
}

fn refuse_tls(found: &mut Findings, tls: &Located<Tls>) {
    let Tls { listen, certificate, key } = &tls.value;
    check_tls_keys(found, "server.tls", (listen, certificate, key));
    refuse(found, "server.tls", "TLS", tls);
}

fn refuse_https(found: &mut Findings, https: &Located<Https>) {
    let Https { listen, certificate, key, path } = &https.value;
    check_tls_keys(found, "server.https", (listen, certificate, key));
    read(found, "server.https.path", path, |text| match text.starts_with('/') {
        true => Ok(()),
        false => Err(wrong("not a URL's path", "allowed: a text that begins with `/`")),
    });
    refuse(found, "server.https", "HTTPS", https);
}

type TlsKeys<'f> = (&'f Option<Vec<Text>>, &'f Option<Text>, &'f Option<Text>);

fn check_tls_keys(found: &mut Findings, table: &str, (listen, certificate, key): TlsKeys<'_>) {
    let listen = listen.as_deref().unwrap_or_default();
    read_all(found, &format!("{table}.listen"), listen, words::listen);
    for (name, file) in [("certificate", certificate), ("key", key)] {
        if let Some(text) = file {
            read(found, &format!("{table}.{name}"), text, |text| match text {
                "" => Err(wrong("empty", "allowed: the path of a PEM file")),
                _ => Ok(()),
            });
        }
    }
}

/// Better no start than clients that ask an address where nobody listens.
fn refuse<T>(found: &mut Findings, key: &str, protocol: &str, table: &Located<T>) {
    let what = format!("DNS over {protocol} is not served by this version");
    found
        .problem(key, &table.span, what)
        .label("this table asks for it")
        .help(format!("remove [{key}]; UDP and TCP are served on `server.listen`"));
}
