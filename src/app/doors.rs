//! Where people and Prometheus come in: the admin listener and the control socket.

use std::{
    io,
    net::SocketAddr,
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, PermissionsExt},
    },
    path::Path,
};

use tokio::net::{TcpListener, UnixListener};

use super::{
    daemon::{Daemon, StartError},
    handover::keep,
};
use crate::{admin, config::Place, serve::held_name};

// === impl Daemon ===

impl Daemon {
    /// Opens both, or takes what systemd has of them.
    pub(super) async fn start_admin(&mut self) -> Result<(), StartError> {
        if let Some(address) = self.config.admin.listen {
            let listener = self.admin_listener(address).await.map_err(|error| {
                let what = format!("`admin.listen` {address} cannot be opened");
                let help = "name another address, or \"\" for no admin listener";
                let place = Place::Admin;
                let problem = self.config.places.problem(place, &what, &error.to_string(), help);
                StartError::Problems(vec![problem])
            })?;
            let (admin, token) = (self.admin(), self.token.clone());
            self.start("the admin listener", admin::serve(admin, listener, token));
        }
        if let Some(path) = self.config.control_socket.clone() {
            let opened = match self.inheritance.take_unix(&path) {
                // Whoever made it removes it.
                Some(listener) => {
                    listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener))
                }
                None => {
                    control_listener(&path).inspect(|_| self.control_socket = Some(path.clone()))
                }
            };
            match opened {
                Ok(listener) => {
                    let (admin, token) = (self.admin(), self.token.clone());
                    self.start("the control socket", admin::serve_control(admin, listener, token));
                }
                // Commands then work offline. DNS matters more than they do.
                Err(error) => tracing::warn!(
                    path = %path.display(), %error,
                    "the control socket cannot be opened; commands will not reach this daemon"
                ),
            }
        }
        Ok(())
    }

    /// From systemd, or opened and given to it.
    async fn admin_listener(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        if let Some(listener) = self.inheritance.sockets.take_tcp(address) {
            listener.set_nonblocking(true)?;
            return TcpListener::from_std(listener);
        }
        let listener = TcpListener::bind(address).await?;
        if address.port() != 0 {
            keep(&held_name("tcp", address), listener.as_fd());
        }
        Ok(listener)
    }
}

/// A socket that root and our own user may talk to. One that a killed daemon left is replaced; one
/// that a living daemon answers on is not.
fn control_listener(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::other("another daemon answers on it"));
    }
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => std::fs::remove_file(path)?,
        // A slip of the hand in `control.socket` must not cost a file, least of all the configuration.
        Ok(_) => return Err(io::Error::other("something is there that is no socket; it stays")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (),
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::control_listener;

    #[tokio::test]
    async fn a_socket_that_nobody_answers_on_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(control_listener(&path).unwrap());
        assert!(path.exists());
        let living = control_listener(&path).unwrap();
        assert!(control_listener(&path).unwrap_err().to_string().contains("another daemon"));
        drop(living);

        let file = folder.path().join("hubdns.toml");
        std::fs::write(&file, "text").unwrap();
        let refused = control_listener(&file).unwrap_err().to_string();
        assert!(refused.contains("no socket"), "{refused}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");
    }
}
