//! The clock of this machine.

use chrono::{DateTime, Utc};

use crate::ports::Clock;

/// What the operating system says.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
