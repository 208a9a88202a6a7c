//! `[[view]]`: who is in it, and views that nobody can be in.

use std::{net::SocketAddr, ops::Range, slice};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    file::{File, Server, View},
    located::{Located, Text},
    problem::Findings,
    serve::{all_entries, can_be_asked},
    sources::Names,
    view_says,
    words::{self, read_all},
};
use crate::policy::{PolicyConfig, ServiceRule, ViewConfig};

/// Every view in the order of the file.
pub(super) fn views(
    found: &mut Findings,
    file: &File,
    allow: &[IpNet],
    deny: &[ServiceRule],
) -> Vec<ViewConfig> {
    let mut names = Names::new("view.name");
    let mut views: Vec<(ViewConfig, &Range<usize>)> = Vec::new();
    for view in &file.view {
        let name = names.take(found, view.value.name.as_ref());
        let rest = name.as_deref() == Some(PolicyConfig::REST_VIEW);
        if let Some(text) = view.value.name.as_ref().filter(|_| rest) {
            found
                .problem("view.name", &text.span, "no view can have the name \"default\"")
                .label("taken")
                .help("it is the view of whoever matches no [[view]]: take another name");
        }
        let name = name.as_deref().unwrap_or_default().into();
        let said = view_says::view(found, name, file, &view.value, deny);
        let view_config = ViewConfig {
            clients: clients(found, &view.value, allow),
            listeners: listeners(found, &view.value, file),
            ..said
        };
        views.push((view_config, &view.span));
    }
    // A view whose networks are wrong has none left and would look as if it matched everybody.
    if !found.doubts("view.clients") && !found.doubts("view.listeners") {
        warn_of_hidden_views(found, &file.server, &views);
    }
    views.into_iter().map(|(view, _)| view).collect()
}

/// What a view's clients are known by. None, where the key is there, would mean either nobody or
/// everybody.
fn who_is_in<'t>(
    found: &mut Findings,
    key: &str,
    written: Option<&'t Located<Vec<Text>>>,
) -> &'t [Text] {
    let Some(Located { value: texts, span }) = written else { return &[] };
    if texts.is_empty() && !found.doubts(key) {
        found
            .problem(key, span, format!("`{key}` is empty"))
            .label("would nobody be in the view, or everybody?")
            .help("leave the key out for everybody; remove the view for nobody");
    }
    texts
}

fn clients(found: &mut Findings, view: &View, allow: &[IpNet]) -> Vec<IpNet> {
    let texts = who_is_in(found, "view.clients", view.clients.as_ref());
    let networks = read_all(found, "view.clients", texts, words::network);
    let is_allowed = |network: &IpNet| {
        let meet = |allowed: &IpNet| allowed.contains(network) || network.contains(allowed);
        allow.iter().any(meet)
    };
    if !found.doubts("clients") {
        for (text, _) in networks.iter().filter(|(_, network)| !is_allowed(network)) {
            found
                .warning(
                    "view.clients",
                    &text.span,
                    format!("nobody in {} is answered at all", text.value),
                )
                .label("not in `clients.allow`")
                .help("add the network to `clients.allow`, or remove it here");
        }
    }
    networks.into_iter().map(|(_, network)| network).collect()
}

fn listeners(found: &mut Findings, view: &View, file: &File) -> Vec<SocketAddr> {
    let texts = who_is_in(found, "view.listeners", view.listeners.as_ref());
    let addresses = read_all(found, "view.listeners", texts, words::address);
    // With `server.listen` in doubt a listener may well be one of what was meant.
    if !found.doubts("server") {
        let entries: Vec<&str> = all_entries(&file.server).map(|(_, text)| &*text.value).collect();
        for (text, _) in
            addresses.iter().filter(|(_, address)| !can_be_asked(&file.server, *address))
        {
            found
                .problem("view.listeners", &text.span, format!("no one can ask {}", text.value))
                .label("not in `server.listen`")
                .help(format!(
                    "add it to `server.listen`, or take one that we listen on: {}",
                    entries.join(", ")
                ));
        }
    }
    addresses.into_iter().map(|(_, address)| address).collect()
}

fn warn_of_hidden_views(
    found: &mut Findings,
    server: &Server,
    views: &[(ViewConfig, &Range<usize>)],
) {
    for (at, (view, span)) in views.iter().enumerate() {
        let matches_all = |view: &ViewConfig| view.clients.is_empty() && view.listeners.is_empty();
        if matches_all(view) && at + 1 < views.len() {
            found
                .warning("view", span, format!("the view {} matches everybody", view.name))
                .label("no view after this one is ever used")
                .help("put it last, or give it `clients` or `listeners`");
        }
        // What comes after that one has been told.
        let earlier = &views[..at];
        if earlier.iter().any(|(view, _)| matches_all(view)) || !is_hidden(server, earlier, view) {
            continue;
        }
        let alone = earlier.iter().find(|one| is_hidden(server, slice::from_ref(*one), view));
        let what = format!("the view {} is never used", view.name);
        let warning = found.warning("view", span, what);
        match alone {
            Some((earlier, first)) => warning
                .label(format!("all it matches is in {} already", earlier.name))
                .also(first, "the first view that matches wins"),
            None => warning.label("the views before it match all that it does"),
        };
        warning.help("put the narrower view first");
    }
}

/// Whether whoever matches `view` matches one of `earlier` too, whichever of our addresses is asked.
fn is_hidden(server: &Server, earlier: &[(ViewConfig, &Range<usize>)], view: &ViewConfig) -> bool {
    let places: Vec<Option<SocketAddr>> = match view.listeners.as_slice() {
        [] => {
            let entries = all_entries(server).map(|(_, text)| words::listen(&text.value));
            entries.map(|entry| entry.ok()?.socket()).collect()
        }
        own => own.iter().copied().map(Some).collect(),
    };
    places.into_iter().all(|place| {
        let takes = |view: &ViewConfig| {
            view.listeners.is_empty()
                || place.is_some_and(|place| view.listeners.iter().any(|it| holds(it, &place)))
        };
        let takers = earlier.iter().filter(|(view, _)| takes(view));
        let networks = takers.flat_map(|(view, _)| networks(view)).collect();
        let networks: Vec<IpNet> = IpNet::aggregate(&networks);
        self::networks(view).iter().all(|own| networks.iter().any(|wider| wider.contains(own)))
    })
}

/// Whether who asks `asked` asks the listener `wider`.
fn holds(wider: &SocketAddr, asked: &SocketAddr) -> bool {
    wider.port() == asked.port() && (wider.ip() == asked.ip() || wider.ip().is_unspecified())
}

/// The networks of a view's clients; every one where it names none.
fn networks(view: &ViewConfig) -> Vec<IpNet> {
    let all = || vec![Ipv4Net::default().into(), Ipv6Net::default().into()];
    if view.clients.is_empty() { all() } else { view.clients.clone() }
}
