//! Which addresses hubdns itself has already, so that they are in nobody's way.

use std::{net::SocketAddr, time::Duration};

use tokio::{process::Command, time::timeout};

use super::ask;
use crate::{app::Held, config::Config};

/// For a local program to answer.
const TELLS_WITHIN: Duration = Duration::from_secs(5);

/// What the daemon of this configuration has; without one, what systemd has opened for the next. And
/// why that is not known, if it is not.
pub(super) async fn held(config: &Config) -> (Held, Option<String>) {
    match ask::listeners(config).await {
        Ok(None) => (Held { unit: of_unit().await, ..Held::default() }, None),
        Ok(Some(daemon)) => (Held { daemon, ..Held::default() }, None),
        Err(why) => (Held { untold: true, ..Held::default() }, Some(format!("{why:#}"))),
    }
}

/// The addresses of `hubdns.socket`, while it is active.
async fn of_unit() -> Vec<SocketAddr> {
    let asked = Command::new("systemctl")
        .args(["show", "hubdns.socket", "--property=ActiveState,Listen"])
        .kill_on_drop(true)
        .output();
    let told = timeout(TELLS_WITHIN, asked).await.ok().and_then(Result::ok);
    told.map(|output| listens(&String::from_utf8_lossy(&output.stdout))).unwrap_or_default()
}

/// The addresses of an active socket unit, as `systemctl show` tells them.
fn listens(shown: &str) -> Vec<SocketAddr> {
    if !shown.lines().any(|line| line == "ActiveState=active") {
        return Vec::new();
    }
    let lines = shown.lines().filter_map(|line| line.strip_prefix("Listen="));
    lines.filter_map(|listen| listen.split(' ').next()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::listens;

    #[test]
    fn a_socket_unit_has_its_addresses_while_it_is_active() {
        let shown = "ActiveState=active\nListen=0.0.0.0:53 (Datagram)\nListen=[::]:53 (Stream)\n\
                     Listen=/run/other.sock (Stream)\n";
        let addresses = ["0.0.0.0:53".parse().unwrap(), "[::]:53".parse().unwrap()];
        assert_eq!(listens(shown), addresses);
        assert_eq!(listens(&shown.replace("=active", "=inactive")), []);
        assert_eq!(listens(""), []);
    }
}
