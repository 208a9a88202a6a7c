//! `[server]`, `[admin]` and `[control]`: our own addresses, no two of which may clash.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    file::{Admin, Control, Https, Server, Tls},
    located::{Located, Text},
    problem::Findings,
    words::{self, Wrong, read, read_all, wrong},
};
use crate::{
    admin::AdminConfig,
    serve::{HttpsConfig, ListenAddress, ServeConfig, TlsConfig},
};

/// Octets of what we tell of ourselves: the string of a TXT record (RFC 1035 section 3.3.14). An
/// NSID could hold more, an answer hardly (RFC 5001).
const STRING_LEN_MAX: usize = 255;
/// Octets of a Unix socket's path without its final NUL (`sun_path` is 108 on Linux).
const SOCKET_PATH_LEN_MAX: usize = 107;

/// `[server]`. `folder` is where the configuration file lies.
pub(super) fn serve(found: &mut Findings, server: &Server, folder: &Path) -> ServeConfig {
    let mut taken = Taken::default();
    let help = "name at least one address, or leave the key out for all of them";
    let listen = listen(found, "server.listen", &server.listen, &mut taken, help);
    let mut text = |key: &str, text: &Option<Text>| {
        text.as_ref().and_then(|text| read(found, key, text, one_string))
    };
    let identity = text("server.identity", &server.identity);
    let version = text("server.version", &server.version);
    let tls = server.tls.as_ref().and_then(|tls| {
        let Tls { listen, certificate, key } = &tls.value;
        encrypted(found, "server.tls", (listen, certificate, key), &mut taken, folder)
    });
    let https = server.https.as_ref().and_then(|https| {
        let Https { listen, certificate, key, path } = &https.value;
        let files = (listen, certificate, key);
        let path = read(found, "server.https.path", path, url_path);
        let tls = encrypted(found, "server.https", files, &mut taken, folder);
        Some(HttpsConfig { tls: tls?, path: path? })
    });
    let secrets = server.cookie_secret_file.as_ref();
    let cookie_secret_file = secrets.and_then(|text| {
        read(found, "server.cookie_secret_file", text, |path| match path {
            "" => {
                Err(wrong("empty", "allowed: the path of a file; leave it out for a random secret"))
            }
            path => Ok(folder.join(path)),
        })
    });
    ServeConfig { listen, identity, version, cookie_secret_file, tls, https }
}

/// The entries of a `listen`. None may be there twice, nor have the TCP port of another list's.
fn listen<'f>(
    found: &mut Findings,
    key: &'static str,
    Located { value: texts, span }: &'f Located<Vec<Text>>,
    taken: &mut Taken<'f>,
    help: &str,
) -> Vec<ListenAddress> {
    let listen = read_all(found, key, texts, words::listen);
    if texts.is_empty() && !found.doubts(key) {
        found.problem(key, span, format!("`{key}` is empty")).label("nobody could ask").help(help);
    }
    for (at, (text, address)) in listen.iter().enumerate() {
        if let Some((first, _)) = listen[..at].iter().find(|(_, other)| same(other, address)) {
            found
                .problem(key, &text.span, format!("`{key}` has {:?} twice", text.value))
                .label("the second time")
                .also(&first.span, "the first time")
                .help("remove one of them");
        }
        if let Some((of, first, _)) = taken.0.iter().find(|(.., other)| meet(other, address)) {
            let what = format!("`{key}` has {:?}, whose TCP port `{of}` has", text.value);
            found
                .problem(key, &text.span, what)
                .label("only one of them can have it")
                .also(&first.span, "the other")
                .help("DNS over TLS is on port 853 and DNS over HTTPS on port 443 by custom");
        }
    }
    let here = listen.iter().map(|(text, address)| (key, *text, address.clone()));
    taken.0.extend(here);
    listen.into_iter().map(|(_, address)| address).collect()
}

/// The lists that were read, for those that come after: each entry with its key.
#[derive(Default)]
struct Taken<'f>(Vec<(&'static str, &'f Text, ListenAddress)>);

type TlsKeys<'f> = (&'f Option<Located<Vec<Text>>>, &'f Option<Text>, &'f Option<Text>);

/// `[server.tls]`, and what `[server.https]` has of it. None if something of it is wrong or
/// lacks, which is then told.
fn encrypted<'f>(
    found: &mut Findings,
    table: &str,
    (written, certificate, key): TlsKeys<'f>,
    taken: &mut Taken<'f>,
    folder: &Path,
) -> Option<TlsConfig> {
    let listen_key =
        if table == "server.tls" { "server.tls.listen" } else { "server.https.listen" };
    let help = "name at least one address, or remove the table";
    let listen = written.as_ref().map(|it| listen(found, listen_key, it, taken, help));
    let mut file = |name: &str, text: &Option<Text>| {
        let text = text.as_ref()?;
        read(found, &format!("{table}.{name}"), text, |text| match text {
            "" => Err(wrong("empty", "allowed: the path of a PEM file")),
            path => Ok(folder.join(path)),
        })
    };
    let (certificate, key) = (file("certificate", certificate), file("key", key));
    Some(TlsConfig { listen: listen?, certificate: certificate?, key: key? })
}

fn url_path(text: &str) -> Result<String, Wrong> {
    let right = text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#{}".contains(&byte));
    match right {
        true => Ok(text.to_owned()),
        false => Err(wrong(
            "not a URL's path",
            "allowed: a text that begins with `/`, without spaces, `?`, `#` and braces",
        )),
    }
}

/// `[admin]`.
pub(super) fn admin(found: &mut Findings, admin: &Admin, server: &Server) -> AdminConfig {
    let text = &admin.listen;
    if text.value.is_empty() {
        return AdminConfig { listen: None };
    }
    let listen = read(found, "admin.listen", text, words::address);
    let clash = listen.and_then(|address| {
        let address = ListenAddress::Socket(address);
        let clashes =
            |entry: &Text| words::listen(&entry.value).is_ok_and(|other| meet(&other, &address));
        all_entries(server).find(|(_, entry)| clashes(entry))
    });
    if let Some((key, entry)) = clash {
        // Whichever of the two is written can be put right.
        let span = if text.is_written() { &text.span } else { &entry.span };
        let what = format!(
            "`admin.listen` {:?} and `{key}` {:?} are the same TCP port",
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
    all_entries(server).any(|(_, entry)| match words::listen(&entry.value) {
        Ok(ListenAddress::Socket(own)) => {
            let any = own.ip().is_unspecified() || asked.ip().is_unspecified();
            own.port() == asked.port() && (any || own.ip() == asked.ip())
        }
        Ok(ListenAddress::Interface { port, .. }) => port == asked.port(),
        Err(_) => false,
    })
}

fn one_string(text: &str) -> Result<String, Wrong> {
    let right = (1..=STRING_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    match right {
        true => Ok(text.to_owned()),
        false => Err(wrong(
            "not a text to tell clients",
            format!(
                "allowed: 1 to {STRING_LEN_MAX} printable ASCII characters; without the key NSID \
                 tells the host's name, and nothing tells a version"
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

/// Whether two entries cannot both have their TCP port. Port 0 is another port each time, and
/// which addresses an interface has is not known here.
fn meet(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Socket(one), ListenAddress::Socket(other)) => {
            let any = one.ip().is_unspecified() || other.ip().is_unspecified();
            let meet = one.ip() == other.ip() || (any && one.is_ipv4() == other.is_ipv4());
            one.port() != 0 && one.port() == other.port() && meet
        }
        (ListenAddress::Interface { .. }, ListenAddress::Interface { .. }) => same(one, other),
        (ListenAddress::Socket(_), ListenAddress::Interface { .. })
        | (ListenAddress::Interface { .. }, ListenAddress::Socket(_)) => false,
    }
}

/// Every entry of every list, with the list's key.
pub(super) fn all_entries(server: &Server) -> impl Iterator<Item = (&'static str, &Text)> {
    let tls = server.tls.as_ref().and_then(|tls| tls.value.listen.as_ref());
    let https = server.https.as_ref().and_then(|https| https.value.listen.as_ref());
    let lists = [
        ("server.listen", Some(&server.listen)),
        ("server.tls.listen", tls),
        ("server.https.listen", https),
    ];
    lists.into_iter().flat_map(|(key, listen)| {
        listen.into_iter().flat_map(move |listen| listen.value.iter().map(move |it| (key, it)))
    })
}
