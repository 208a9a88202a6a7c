//! Three hubs behind a real unbound, one of which is killed, cut off, and drained: `hubs.sh`.

use std::time::Duration;

use crate::{
    book,
    support::{Figures, run_script},
};

/// It takes half a minute on a quiet machine.
const SCRIPT_LIMIT: Duration = Duration::from_secs(120);
/// Of so many questions one may be lost: a resolver that waits for a hub that is silent may come to
/// ask the next one when its own client has given up. Which it asks first is chance.
const LOST_OF: usize = 100;
/// Lines that it prints.
const FAULTS: usize = 6;

#[test]
fn of_three_hubs_one_may_be_killed_cut_off_or_drained() {
    let said = run_script("tests/faults/hubs.sh", SCRIPT_LIMIT, &[]);
    let mut faults = 0;
    for line in said.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [fault, sent, wrong, failed, lost, recovered, worst] = cells[..] else {
            panic!("{line}")
        };
        let [sent, wrong, failed, lost] = [sent, wrong, failed, lost].map(|it| it.parse().unwrap());
        let [recovered, worst] =
            [recovered, worst].map(|it| Duration::from_secs_f64(it.parse().unwrap()));
        let figures = Figures { sent, wrong, failed, lost, worst, ..Figures::default() };
        book(fault, &figures, recovered);
        assert!(300 < sent, "{line}");
        assert_eq!((wrong, failed), (0, 0), "{line}");
        assert!(lost * LOST_OF <= sent, "{line}");
        faults += 1;
    }
    assert_eq!(faults, FAULTS, "{said}");
}
