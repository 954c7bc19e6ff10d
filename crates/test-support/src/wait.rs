//! Waiting for something that another thread or process does.

use std::time::{Duration, Instant};

/// The maximum time to wait: far more than a busy machine needs.
const DEADLINE: Duration = Duration::from_secs(60);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the condition holds. If it doesn't within a minute, the test fails and names what it
/// waited for.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}
