//! What somebody may have meant.

use std::mem;

use super::{located::Text, problem::Findings};
use crate::coverage::{Host, Known};

/// How many letters make the difference between a service that is known and a slip of the hand.
const SLIPS_MAX: usize = 2;

/// Of these names the nearest to what was written, and how many letters are between them. None that
/// has less than half of its letters right.
pub(super) fn nearest<'n>(
    written: &str,
    names: impl Iterator<Item = &'n str>,
) -> Option<(usize, &'n str)> {
    names
        .map(|name| (distance(name, written), name))
        .filter(|(distance, name)| distance * 2 < name.len().max(2))
        .min()
}

/// Warns of a service that is nearly one that is known: who misspells what to deny learns it from
/// clients otherwise. One that is like none is AWS's newest, or somebody's own.
pub(super) fn doubt_service(found: &mut Findings, key: &str, text: &Text, service: &str) {
    let known = Known::table();
    let is_known = |host: &Host| host.service().eq_ignore_ascii_case(service);
    if known.hosts().iter().any(is_known) {
        return;
    }
    let services = known.hosts().iter().filter(|host| host.has_endpoint_service());
    let nearest = nearest(&service.to_ascii_lowercase(), services.map(Host::service));
    if let Some((1..=SLIPS_MAX, meant)) = nearest {
        found
            .warning(key, &text.span, format!("no service {service:?} is known"))
            .label(format!("did you mean `{meant}`?"))
            .help("without an endpoint service of that name it does nothing");
    }
}

/// Levenshtein's: insertions, deletions and replacements that make one text of the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut corner = mem::replace(&mut row[0], i + 1);
        for (j, right) in b.chars().enumerate() {
            let replaced = corner + usize::from(left != right);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.chars().count()]
}
