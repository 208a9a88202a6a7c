//! Requests of the document, by the real curl on both versions of HTTP.

use std::{net::SocketAddr, process::Command};

use crate::packet;

/// Every way in which the answer to `request` is another than `expected`: `METHOD PATH`, and what
/// is posted as `TYPE BODY`, with the body as packets are written.
pub(crate) fn differences(server: SocketAddr, request: &str, expected: &[String]) -> Vec<String> {
    let versions = [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")];
    let each = versions.iter().flat_map(|(option, version)| match ask(server, request, option) {
        Ok(answer) => missing(&answer, version, expected),
        Err(why) => vec![format!("{option}: {why}")],
    });
    each.collect()
}

/// Status line and headers, in lower case.
fn ask(server: SocketAddr, request: &str, version: &str) -> Result<Vec<String>, String> {
    let mut words = request.splitn(4, ' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(format!("{request:?} is no request"));
    };
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--max-time", "10", "--include"]);
    curl.args([version, "--request", method, "--output", "-"]);
    // Only the head is looked at, and a body may be of any octets.
    if method == "HEAD" {
        curl.arg("--head");
    }
    let body = match (words.next(), words.next()) {
        (Some(content_type), body) => {
            curl.args(["--header", &format!("Content-Type: {content_type}")]);
            curl.args(["--data-binary", "@-"]);
            Some(packet::octets(body.unwrap_or_default())?)
        }
        (None, _) => None,
    };
    curl.arg(format!("https://{server}{path}"));
    let said = crate::support::run_with_input(&mut curl, body.as_deref().unwrap_or_default());
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    match head.is_empty() {
        true => Err(String::from_utf8_lossy(&said.stderr).into_owned()),
        false => Ok(head.lines().map(|line| line.trim_end().to_lowercase()).collect()),
    }
}

/// What is expected and not there: the first span is the status, the others are headers.
fn missing(answer: &[String], version: &str, expected: &[String]) -> Vec<String> {
    let Some((status, headers)) = expected.split_first() else { return vec![] };
    let mut found = Vec::new();
    let line = format!("{version} {status}").to_lowercase();
    if !answer.first().is_some_and(|first| first.trim_end().starts_with(&line)) {
        found.push(format!("not {line:?} but {answer:?}"));
    }
    for header in headers {
        if !answer.contains(&header.to_lowercase()) {
            found.push(format!("no {header:?} in {answer:?}"));
        }
    }
    found
}
