//! Load by UDP: as much as is answered, with so many questions under way, or at a fixed rate.

use std::{
    net::UdpSocket,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use nix::sys::socket::MsgFlags;

use crate::{
    Target,
    batch::{BATCH, Batches},
    told::{Told, Waiting},
};

/// How long the answers behind the last question of a fixed rate are waited for.
const LAST: Duration = Duration::from_millis(300);
/// Between looks, with `rest`: some microseconds by what a timer can do.
const REST: Duration = Duration::from_micros(1);
/// Without an answer for so long, what is under way counts as lost.
const LOST: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(crate) struct Load {
    #[command(flatten)]
    target: Target,
    /// Questions under way of each socket: enough that the server never waits for us, few enough for
    /// the receive buffer of any server
    #[arg(long, default_value_t = 256)]
    window: usize,
    /// Each a client, with a thread
    #[arg(long, default_value_t = 1)]
    sockets: u64,
    /// Questions a second, in place of as many as are answered
    #[arg(long)]
    rate: Option<f64>,
    /// Sleep between looks at a fixed rate: for real time, where who never sleeps is put off the core
    #[arg(long)]
    rest: bool,
    /// End after so many, if the time is not over before
    #[arg(long, default_value_t = u64::MAX)]
    questions: u64,
}

// === impl Load ===

impl Load {
    pub(crate) fn run(&self) -> Told {
        match self.rate {
            Some(rate) => self.at(rate),
            None => thread::scope(|scope| {
                let parts: Vec<_> = (0..self.sockets)
                    .map(|part| scope.spawn(move || self.as_fast_as_answered(part)))
                    .collect();
                let mut told = Told::default();
                parts.into_iter().for_each(|part| told.add(&part.join().unwrap()));
                told
            }),
        }
    }

    fn socket(&self) -> Batches {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.target.server).unwrap();
        socket.set_read_timeout(Some(LOST)).unwrap();
        Batches::new(socket)
    }

    fn as_fast_as_answered(&self, part: u64) -> Told {
        let mut questions = self.target.mix.questions(part);
        let (mut batches, mut waiting) = (self.socket(), Waiting::new());
        let (mut told, mut under_way) = (Told::default(), 0);
        let (began, turn) = (Instant::now(), Duration::from_secs_f64(self.target.seconds));
        while began.elapsed() < turn && told.answers < self.questions {
            while under_way + BATCH <= self.window {
                for _ in 0..BATCH {
                    let id = waiting.id();
                    batches.out.add(|out| {
                        let (len, expected) = questions.write(id, out);
                        waiting.wait(id, began, expected);
                        len
                    });
                }
                let sent = batches.send();
                told.sent += sent as u64;
                under_way += sent;
            }
            match batches.receive(MsgFlags::empty()) {
                Ok(count) => {
                    for response in batches.received(count) {
                        if let Some((_, expected)) = waiting.take(response) {
                            told.count(expected, response);
                        }
                    }
                    under_way = under_way.saturating_sub(count);
                }
                // Lost on the way; the window is opened again.
                Err(_) => under_way = 0,
            }
        }
        told.elapsed = began.elapsed();
        told
    }

    /// Waits are counted from when a question was due, not from when we came to send it.
    fn at(&self, rate: f64) -> Told {
        let mut questions = self.target.mix.questions(0);
        let (mut batches, mut waiting, mut told) = (self.socket(), Waiting::new(), Told::default());
        let total = (rate * self.target.seconds) as u64;
        told.waits.reserve(total as usize);
        let began = Instant::now();
        let due = |number: u64| began + Duration::from_secs_f64(number as f64 / rate);
        let (mut last_answer, end) = (None, due(total) + LAST);
        while told.answers < total && Instant::now() < end {
            let now = Instant::now();
            let mut batch = 0;
            while batch < BATCH && told.sent < total && due(told.sent) <= now {
                let (id, due) = (waiting.id(), due(told.sent));
                batches.out.add(|out| {
                    let (len, expected) = questions.write(id, out);
                    waiting.wait(id, due, expected);
                    len
                });
                told.sent += 1;
                batch += 1;
            }
            if 0 < batch {
                batches.send();
            }
            let Ok(count) = batches.receive(MsgFlags::MSG_DONTWAIT) else {
                if self.rest {
                    thread::sleep(REST);
                }
                continue;
            };
            let now = Instant::now();
            for response in batches.received(count) {
                let Some((due, expected)) = waiting.take(response) else { continue };
                told.count(expected, response);
                told.waits.push(now - due);
            }
            let before = last_answer.replace(now).unwrap_or(now);
            told.silence = told.silence.max(now - before);
        }
        told.elapsed = began.elapsed();
        told
    }
}
