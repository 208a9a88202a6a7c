//! `[[view]]`: who is in it, and views that nobody can be in.

use std::ops::Range;

use ipnet::IpNet;

use super::{
    file::{File, View},
    located::Text,
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
        warn_of_hidden_views(found, &views);
    }
    views.into_iter().map(|(view, _)| view).collect()
}

fn clients(found: &mut Findings, view: &View, allow: &[IpNet]) -> Vec<IpNet> {
    let texts = view.clients.as_deref().unwrap_or_default();
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

fn listeners(found: &mut Findings, view: &View, file: &File) -> Vec<std::net::SocketAddr> {
    let texts: &[Text] = view.listeners.as_deref().unwrap_or_default();
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

fn warn_of_hidden_views(found: &mut Findings, views: &[(ViewConfig, &Range<usize>)]) {
    for (at, (view, span)) in views.iter().enumerate() {
        let matches_all = |view: &ViewConfig| view.clients.is_empty() && view.listeners.is_empty();
        if matches_all(view) && at + 1 < views.len() {
            found
                .warning("view", span, format!("the view {} matches everybody", view.name))
                .label("no view after this one is ever used")
                .help("put it last, or give it `clients` or `listeners`");
        }
        let cover =
            views[..at].iter().find(|(earlier, _)| !matches_all(earlier) && covers(earlier, view));
        if let Some((earlier, first)) = cover {
            let what = format!("the view {} is never used", view.name);
            found
                .warning("view", span, what)
                .label(format!("all it matches is in {} already", earlier.name))
                .also(first, "the first view that matches wins")
                .help("put the narrower view first");
        }
    }
}

/// Whether whoever matches `view` matches `earlier` too.
fn covers(earlier: &ViewConfig, view: &ViewConfig) -> bool {
    let holds = |network: &IpNet| earlier.clients.iter().any(|wider| wider.contains(network));
    let clients =
        earlier.clients.is_empty() || (!view.clients.is_empty() && view.clients.iter().all(holds));
    let listens = |asked: &std::net::SocketAddr| {
        earlier.listeners.iter().any(|wider| {
            wider.port() == asked.port()
                && (wider.ip() == asked.ip() || wider.ip().is_unspecified())
        })
    };
    let listeners = earlier.listeners.is_empty()
        || (!view.listeners.is_empty() && view.listeners.iter().all(listens));
    clients && listeners
}
