//! The end of what was in force.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

/// Between two looks whether somebody has it still.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A thread that answers has what it answers from for one batch, or until it finds that nothing
/// comes: a quarter of a second. Whoever reads all names keeps it longer, and may drop it.
const LOOKS_MAX: u32 = 200;

/// Drops what was in force here and not on a thread that answers: 50,000 names or a full cache
/// take milliseconds to free.
pub async fn retire<T>(replaced: Arc<T>) {
    for _ in 0..LOOKS_MAX {
        if Arc::strong_count(&replaced) == 1 {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, mpsc},
        thread::{self, ThreadId},
        time::Duration,
    };

    use super::retire;

    /// Tells which thread freed it.
    struct Told(mpsc::Sender<ThreadId>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
        }
    }

    #[tokio::test]
    async fn what_a_thread_still_answers_from_is_not_freed_by_it() {
        let (freed, by) = mpsc::channel();
        let replaced = Arc::new(Told(freed));
        let in_hand = Arc::clone(&replaced);
        let answering = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(in_hand);
        });
        retire(replaced).await;
        answering.join().unwrap();
        assert_eq!(by.try_recv(), Ok(thread::current().id()));
    }
}
