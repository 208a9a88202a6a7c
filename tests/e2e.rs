//! A client in a spoke that knows nothing of hubdns, in network namespaces: `tests/e2e/spoke.sh`.

mod support;

use std::time::Duration;

use crate::support::{run_script, venv};

/// It takes a quarter of a minute on a quiet machine.
const SCRIPT_LIMIT: Duration = Duration::from_secs(150);

#[test]
fn an_unmodified_client_in_a_spoke_reaches_the_endpoint_before_and_after_a_change() {
    println!("{}", run_script("tests/e2e/spoke.sh", SCRIPT_LIMIT, &[("VENV", &venv())]));
}
