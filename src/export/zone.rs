//! What a view answers as a zone file (RFC 1035 section 5), for those who compare or keep it.
//!
//! It is not the same to serve it: in one zone a name hides a wildcard from what is below it
//! (RFC 4592), while each of our names stands for itself, and addresses go stale.

use std::fmt::Write;

use crate::{
    base::{Name, count},
    table::ViewTable,
};

/// A zone file with every name of the view that is in `origin`, in the order of names.
pub fn zone_file(view: &ViewTable, origin: &Name) -> String {
    let claims = view.entries().iter().map(|entry| entry.claim());
    let within: Vec<_> = claims.filter(|it| it.pattern.name().is_within(origin)).collect();
    let cnames = view.cnames().iter().filter(|it| it.pattern.name().is_within(origin));
    let negative_ttl = within.first().map_or(0, |claim| claim.negative_ttl.as_secs());
    let mut text = format!(
        "; hubdns: what view {} answers, {}. Not kept up to date by anybody.\n\
         $ORIGIN {}\n\
         @ {negative_ttl} IN SOA hubdns.invalid. hostmaster.invalid. 1 3600 600 86400 {negative_ttl}\n\
         @ {negative_ttl} IN NS hubdns.invalid.\n",
        view.name(),
        count(within.len() + cnames.clone().count(), "name", "names"),
        absolute(&origin.to_string()),
    );
    if origin.is_root() {
        // Of all zones the root alone holds that name, and then has to know its address.
        text.push_str("hubdns.invalid. 60 IN A 127.0.0.1\n");
    }
    for claim in within {
        let name = absolute(&claim.pattern.to_string());
        let ttl = claim.ttl.as_secs();
        for address in claim.addresses.iter() {
            let rtype = if address.ip.is_ipv4() { "A" } else { "AAAA" };
            let _ = writeln!(
                text,
                "{name} {ttl} IN {rtype} {} ; {} {} {}",
                address.ip, address.az, address.eni, claim.endpoint
            );
        }
    }
    for cname in cnames {
        let (name, target) = (cname.pattern.to_string(), cname.target.to_string());
        let (name, target, ttl) = (absolute(&name), absolute(&target), cname.ttl.as_secs());
        let _ = writeln!(text, "{name} {ttl} IN CNAME {target}");
    }
    text
}

/// With its final dot, and with those characters escaped that mean something in a zone file.
fn absolute(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 1);
    for c in name.trim_end_matches('.').chars() {
        if matches!(c, '"' | ';' | '@' | '$' | '(' | ')') {
            text.push('\\');
        }
        text.push(c);
    }
    text + "."
}
