//! One probe: a TCP connection that is closed as soon as it stands.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

use crate::telemetry::ProbeResult;

/// Connects once. Ends within `timeout`, whatever the network does.
pub(super) async fn connect(address: SocketAddr, timeout: Duration) -> ProbeResult {
    match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
        Ok(Ok(_stream)) => ProbeResult::Answered,
        Ok(Err(error)) => {
            let result = judge(&error);
            if result == ProbeResult::NotAsked {
                tracing::debug!(ip = %address.ip(), %error, "a probe could not be sent");
            }
            result
        }
        Err(_) => ProbeResult::Unanswered,
    }
}

/// What a failed connect says of the other side. Only what came from there, or should have,
/// counts: a host without descriptors, without a route or with a firewall of its own learns
/// nothing of the interface and must not take it out of the answers.
fn judge(error: &io::Error) -> ProbeResult {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::TimedOut => ProbeResult::Unanswered,
        _ => ProbeResult::NotAsked,
    }
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use nix::errno::Errno;
    use socket2::{Domain, SockAddr, Socket, Type};
    use tokio::net::{TcpListener, TcpStream};

    use super::{connect, judge};
    use crate::telemetry::ProbeResult;

    const SOON: Duration = Duration::from_millis(150);

    #[tokio::test]
    async fn a_listener_answers_and_a_closed_port_does_not() {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(connect(address, Duration::from_secs(2)).await, ProbeResult::Answered);
        drop(listener);
        assert_eq!(connect(address, Duration::from_secs(2)).await, ProbeResult::Unanswered);
    }

    #[tokio::test]
    async fn the_connection_is_closed_as_soon_as_it_stands() {
        let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
        connect(listener.local_addr().unwrap(), Duration::from_secs(2)).await;
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        assert_eq!(stream.try_read(&mut [0; 1]).unwrap(), 0, "end of stream, no data before it");
    }

    #[tokio::test]
    async fn silence_ends_at_the_timeout() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&SockAddr::from("127.0.0.2:0".parse::<std::net::SocketAddr>().unwrap()))
            .unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        // Nobody accepts: once the queue is full, the kernel drops what comes.
        let mut queued = Vec::new();
        while let Ok(stream) = tokio::time::timeout(SOON, TcpStream::connect(address)).await {
            queued.push(stream.unwrap());
        }
        let started = tokio::time::Instant::now();
        assert_eq!(connect(address, SOON).await, ProbeResult::Unanswered);
        assert!(started.elapsed() >= SOON);
    }

    #[test]
    fn only_the_other_side_can_fail() {
        for (errno, expected) in [
            (Errno::ECONNREFUSED, ProbeResult::Unanswered),
            (Errno::ECONNRESET, ProbeResult::Unanswered),
            (Errno::EHOSTUNREACH, ProbeResult::Unanswered),
            (Errno::ETIMEDOUT, ProbeResult::Unanswered),
            (Errno::ENETUNREACH, ProbeResult::NotAsked),
            (Errno::EADDRNOTAVAIL, ProbeResult::NotAsked),
            (Errno::EMFILE, ProbeResult::NotAsked),
            (Errno::ENOBUFS, ProbeResult::NotAsked),
            (Errno::EPERM, ProbeResult::NotAsked),
        ] {
            assert_eq!(judge(&io::Error::from_raw_os_error(errno as i32)), expected, "{errno}");
        }
    }
}
