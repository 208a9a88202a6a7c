//! The ports that an upstream is asked from by UDP: one after the other, each for a few queries.
//!
//! It knows no question: what is written and what is heard is a transmission's.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, MutexGuard},
};

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::port::{Current, Port};
use crate::{telemetry::UpstreamMetrics, wire::Sent};

/// The way to one upstream by UDP.
pub(super) struct Ports {
    upstream: SocketAddr,
    metrics: UpstreamMetrics,
    current: Arc<Current>,
    tasks: TaskTracker,
    /// Queries wait for no others: they are counted by the second in which they leave.
    at_once: bool,
}

/// Where a query was sent from.
pub(super) struct Place {
    pub(super) port: Arc<Port>,
    /// Its place among those of the port.
    pub(super) at: usize,
}

// === impl Ports ===

impl Ports {
    /// No port is opened before somebody asks.
    pub(super) fn new(upstream: SocketAddr, metrics: &UpstreamMetrics) -> Ports {
        let metrics = metrics.clone();
        let tasks = TaskTracker::new();
        Ports { upstream, metrics, current: Arc::default(), tasks, at_once: false }
    }

    /// The same, with every query sent as soon as it is counted if they are.
    pub(super) fn counted(self, at_once: bool) -> Ports {
        Ports { at_once, ..self }
    }

    /// Sends what `write` makes with the id that it is given: a random one, and no other's at its
    /// port. A question that is asked once more leaves from a port that was `opened_after` it was
    /// asked before.
    pub(super) fn send(
        &self,
        now: Instant,
        opened_after: Option<Instant>,
        write: impl Fn(u16) -> Sent,
    ) -> io::Result<(Place, Sent)> {
        let mut current = self.current();
        if let Some(port) = &*current
            && opened_after.is_none_or(|at| at < port.opened())
            && let Some((at, sent)) = port.send(now, self.at_once, &write)
        {
            return Ok((Place { port: Arc::clone(port), at }, sent));
        }
        let port = Port::open(self.upstream, now, &self.current, &self.metrics, &self.tasks)?;
        let (at, sent) = port.send(now, self.at_once, write).ok_or(io::ErrorKind::TimedOut)?;
        *current = Some(Arc::clone(&port));
        Ok((Place { port, at }, sent))
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Port>>> {
        self.current.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        self.port.leave(self.at);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, future::poll_fn, time::Duration};

    use tokio::net::UdpSocket;

    use super::*;
    use crate::{
        base::RecordType,
        forward::port::{Packet, QUERIES_MAX},
        telemetry::Metrics,
        wire::{Form, Question},
    };

    /// Who is asked, and the ports to ask from.
    async fn ports() -> (UdpSocket, Ports) {
        let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = upstream.local_addr().unwrap();
        let metrics = Metrics::new().unwrap().forward.upstream(&address);
        (upstream, Ports::new(address, &metrics))
    }

    fn query(id: u16) -> Sent {
        let question = Question {
            name: "a.example".parse().unwrap(),
            rtype: RecordType::A,
            dnssec_ok: false,
            checking_disabled: false,
        };
        Sent::new(&question, id, Form::EDNS, None)
    }

    fn send(ports: &Ports, opened_after: Option<Instant>) -> Place {
        ports.send(Instant::now(), opened_after, query).unwrap().0
    }

    /// The id of what the upstream was asked, and from which port.
    async fn asked(upstream: &UdpSocket) -> (u16, SocketAddr) {
        let mut packet = [0; 512];
        let (_, from) = upstream.recv_from(&mut packet).await.unwrap();
        (u16::from_be_bytes([packet[0], packet[1]]), from)
    }

    /// Tells a port a response to the query with this id.
    async fn respond(upstream: &UdpSocket, id: u16, port: SocketAddr) {
        let mut response = query(id).bytes().to_vec();
        response[2] |= 0x80;
        upstream.send_to(&response, port).await.unwrap();
    }

    async fn heard(place: &Place) -> Packet {
        let packet = poll_fn(|context| place.port.poll_packet(place.at, context));
        tokio::time::timeout(Duration::from_secs(5), packet).await.unwrap()
    }

    #[tokio::test]
    async fn so_many_queries_leave_from_a_port_each_with_its_own_id() {
        let (upstream, ports) = ports().await;
        let _places: Vec<_> = (0..=QUERIES_MAX).map(|_| send(&ports, None)).collect();
        let mut all = Vec::new();
        for _ in 0..=QUERIES_MAX {
            all.push(asked(&upstream).await);
        }
        let (last, first) = all.split_last().unwrap();
        assert!(first.iter().all(|(_, port)| *port == first[0].1));
        assert_ne!(first[0].1, last.1);
        let ids: HashSet<u16> = first.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.len(), QUERIES_MAX);
    }

    #[tokio::test]
    async fn what_is_asked_once_more_leaves_from_a_port_opened_since() {
        let (upstream, ports) = ports().await;
        let _first = send(&ports, None);
        let _second = send(&ports, Some(Instant::now()));
        assert_ne!(asked(&upstream).await.1, asked(&upstream).await.1);
    }

    #[tokio::test]
    async fn an_answer_is_told_to_whom_it_is_for_and_once() {
        let (upstream, ports) = ports().await;
        let places = [send(&ports, None), send(&ports, None)];
        let [first, second] = [asked(&upstream).await, asked(&upstream).await];
        let [one, other] = places;
        respond(&upstream, first.0, first.1).await;
        assert!(matches!(heard(&one).await, Packet::Datagram(_)));
        drop(one);
        // What comes late, or twice, is nobody's guess.
        respond(&upstream, first.0, first.1).await;
        respond(&upstream, second.0, second.1).await;
        let Packet::Datagram(response) = heard(&other).await else { panic!("no answer") };
        assert_eq!(response[..2], second.0.to_be_bytes());
    }

    #[tokio::test]
    async fn what_is_for_nobody_is_told_to_all_and_ends_the_port() {
        let (upstream, ports) = ports().await;
        let places = [send(&ports, None), send(&ports, None)];
        let (first, port) = asked(&upstream).await;
        let second = asked(&upstream).await.0;
        let strange = (0..).find(|id| ![first, second].contains(id)).unwrap();
        respond(&upstream, strange, port).await;
        for place in &places {
            assert!(matches!(heard(place).await, Packet::Stray));
        }
        let _third = send(&ports, None);
        assert_ne!(asked(&upstream).await.1, port);
        respond(&upstream, second, port).await;
        assert!(matches!(heard(&places[1]).await, Packet::Datagram(_)), "it is heard on");
    }

    #[tokio::test]
    async fn a_refusal_is_told_to_all_who_wait() {
        let (upstream, ports) = ports().await;
        let places = [send(&ports, None), send(&ports, None)];
        drop(upstream);
        for place in &places {
            assert!(matches!(heard(place).await, Packet::Refused(_)));
        }
    }

    #[tokio::test]
    async fn a_port_that_nobody_uses_is_closed() {
        let (upstream, ports) = ports().await;
        let place = send(&ports, None);
        let (_, port) = asked(&upstream).await;
        drop(place);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert!(ports.current().is_none());
        assert!(UdpSocket::bind(("0.0.0.0", port.port())).await.is_ok());
    }
}
