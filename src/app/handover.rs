//! Sockets from the process before us and for the one after: systemd keeps them in between.
//!
//! By a socket unit it makes them; without one we make them, and it keeps them in its descriptor
//! store (sd_notify(3), FDSTORE=1). At a start both come in the same way (sd_listen_fds(3)).

use std::{
    net::SocketAddr,
    os::{fd::BorrowedFd, unix::net::UnixListener},
    path::Path,
};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::systemd::{is_below_systemd, notify};
use crate::{
    base::Chain,
    config::Config,
    serve::{Inherited, Opened, held_name, overlapping, sockets},
};

/// What systemd passed to us.
#[derive(Default)]
pub struct Inheritance {
    pub(super) sockets: Inherited,
    unix: Vec<UnixListener>,
    /// What cannot be used, for the log.
    unfit: Vec<String>,
}

// === impl Inheritance ===

impl Inheritance {
    /// Takes what was passed. To be called before there is a second thread, since it takes the
    /// variables that tell of it out of the environment.
    pub fn take() -> Self {
        let mut passed = ListenFd::from_env();
        let mut taken = Self::default();
        for at in 0..passed.len() {
            let unfit = if let Ok(Some(socket)) = passed.take_udp_socket(at) {
                taken.sockets.add_udp(socket).err().map(|error| Chain(&error).to_string())
            } else if let Ok(Some(listener)) = passed.take_tcp_listener(at) {
                taken.sockets.add_tcp(listener).err().map(|error| Chain(&error).to_string())
            } else if let Ok(Some(listener)) = passed.take_unix_listener(at) {
                taken.unix.push(listener);
                None
            } else {
                // Whatever it is, it would stay open for nothing.
                if let Ok(Some(fd)) = passed.take_raw_fd(at) {
                    let _ = nix::unistd::close(fd);
                }
                Some("it is no UDP socket, TCP listener or Unix listener".to_owned())
            };
            taken.unfit.extend(unfit.map(|why| format!("descriptor {at}: {why}")));
        }
        taken
    }

    /// The addresses that came with it, which nobody else can open.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.addresses().map(|(_, address)| address).collect()
    }

    /// The listener at this path.
    pub(super) fn take_unix(&mut self, path: &Path) -> Option<UnixListener> {
        let at = self.unix.iter().position(|listener| is_at(listener, path))?;
        Some(self.unix.swap_remove(at))
    }

    /// Closes what no key of the configuration names, here and with systemd. To be done before
    /// anything is opened: a wildcard of the configuration before us would be in the way of an
    /// address of this one, also in our own hands. The addresses that are, until systemd, which does
    /// it in its own time, has closed them as well; for good those of a socket unit.
    pub(super) fn close_unnamed(&mut self, config: &Config) -> Vec<SocketAddr> {
        for unfit in self.unfit.drain(..) {
            tracing::warn!(%unfit, "systemd passed what cannot be served; it is closed");
        }
        let control = config.control_socket.as_deref();
        self.unix.retain(|listener| {
            let is_named = control.is_some_and(|path| is_at(listener, path));
            if !is_named {
                tracing::warn!(
                    socket = ?listener,
                    "systemd passed a socket that no key names; it is closed"
                );
            }
            is_named
        });
        // An interface that cannot be told now stops the start. The next one may find it, and what
        // has come to its sockets in the meantime.
        let Ok(mut named) = sockets(&config.serve) else { return Vec::new() };
        named.extend(config.admin.listen.map(|address| ("tcp", address)));
        let mut closed = self.sockets.close_others(&named);
        for (protocol, address) in &closed {
            tracing::warn!(
                protocol, %address,
                "systemd passed a socket that no key names; it is closed"
            );
            release(&held_name(protocol, *address));
        }
        closed.retain(|(protocol, address)| {
            let alike = named.iter().filter(|(named, _)| named == protocol);
            let alike: Vec<_> = alike.map(|(_, address)| *address).collect();
            overlapping(&alike, *address).is_some()
        });
        closed.into_iter().map(|(_, address)| address).collect()
    }
}

fn is_at(listener: &UnixListener, path: &Path) -> bool {
    listener.local_addr().is_ok_and(|address| address.as_pathname() == Some(path))
}

/// Has systemd keep what was opened, so that the next process finds it again. Whether it will find
/// all.
pub(super) fn hand_over(opened: &Opened) -> bool {
    let count = opened.to_hand_over().count();
    let room = room().unwrap_or(usize::MAX);
    if room < count {
        tracing::warn!(
            room,
            sockets = count,
            "systemd keeps fewer sockets than there are: a restart loses what comes to the others; \
             the unit needs a larger FileDescriptorStoreMax="
        );
    }
    let mut kept = opened.can_last() && count <= room;
    for (name, fd) in opened.to_hand_over() {
        kept &= keep(&name, fd);
    }
    kept
}

/// Has systemd keep one socket.
pub(super) fn keep(name: &str, fd: BorrowedFd<'_>) -> bool {
    // It is ours to say when one is given up: systemd would drop one that has an error to tell.
    let states = [NotifyState::FdStore, NotifyState::FdName(name), NotifyState::Custom("FDPOLL=0")];
    match sd_notify::notify_with_fds(&states, &[fd]) {
        Ok(()) => has_keeper(),
        Err(error) => {
            tracing::warn!(
                name, error = %Chain(&error),
                "systemd cannot be given a socket; a restart loses what comes to it meanwhile"
            );
            false
        }
    }
}

/// Has systemd give up the sockets of an address.
pub(super) fn release_address(address: SocketAddr) {
    for protocol in ["udp", "tcp"] {
        release(&held_name(protocol, address));
    }
}

fn release(name: &str) {
    notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}

/// How many descriptors systemd keeps for us, where it tells (254 and later, if it keeps any).
fn room() -> Option<usize> {
    std::env::var_os("FDSTORE")?.to_str()?.parse().ok()
}

/// A systemd before 254 does not say that it keeps nothing, so that the unit has the directive is asked
/// of whoever writes it.
fn has_keeper() -> bool {
    is_below_systemd()
}
