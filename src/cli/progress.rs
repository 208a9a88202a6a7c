//! Tells a person at a terminal what is waited for, once that takes longer than a second.

use std::{
    io::{self, IsTerminal, Write},
    pin::pin,
    time::Duration,
};

use tokio::time::{Instant, interval_at};

/// What is done sooner needs no word.
const PATIENCE: Duration = Duration::from_secs(1);
/// Takes away what the line told.
const WIPE: &str = "\r\x1b[2K";

/// Does `work`. While it waits, one line of the terminal says what for and since when; it is gone when
/// the work is done. Where standard error is no terminal nothing is said.
pub(super) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = pin!(work);
    let began = Instant::now();
    let mut ticks = interval_at(began + PATIENCE, PATIENCE);
    let mut told = false;
    loop {
        tokio::select! {
            done = &mut work => {
                if told {
                    write(WIPE);
                }
                return done;
            }
            _ = ticks.tick() => {
                told = true;
                write(&format!("{WIPE}{what}: {} s", began.elapsed().as_secs()));
            }
        }
    }
}

/// There is nowhere to say that it cannot be written.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
