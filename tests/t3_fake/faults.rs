//! What goes wrong between afk and T3.

use std::time::Duration;

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends without an answer, and nothing took effect.
    LostBefore,
    /// The connection ends without an answer, and all took effect.
    LostAfter,
    /// It takes effect, and the answer comes this late.
    Slow(Duration),
    /// No answer ever, as of a server that is just starting; nothing took effect.
    Silent,
    /// 502 with a page of HTML, as of a proxy; nothing took effect.
    BadGateway,
    /// It takes effect, and half of the answer comes.
    Truncated,
    /// 500 `orchestration_dispatch_failed`, as of any refusal of business, and the command's id stays refused.
    Refused,
}

/// A fault and which requests it befalls.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub fault: Fault,
    /// The type of a command, or a part of the path of another request; an empty one is every request.
    pub what: String,
    /// How many it befalls.
    pub times: usize,
}

impl Trouble {
    /// The next request of this kind.
    pub fn next(fault: Fault, what: &str) -> Self {
        Self { fault, what: what.to_owned(), times: 1 }
    }

    /// Every request of this kind, until [`super::State::troubles`] is cleared.
    pub fn always(fault: Fault, what: &str) -> Self {
        Self { fault, what: what.to_owned(), times: usize::MAX }
    }

    fn fits(&self, path: &str, command: Option<&str>) -> bool {
        self.what.is_empty() || command == Some(self.what.as_str()) || path.contains(&self.what)
    }
}

/// The fault that befalls a request, if any; it is used up by that.
pub fn befalls(troubles: &mut Vec<Trouble>, path: &str, command: Option<&str>) -> Option<Fault> {
    let hit = troubles.iter_mut().find(|trouble| trouble.fits(path, command))?;
    hit.times -= 1;
    let fault = hit.fault.clone();
    troubles.retain(|trouble| trouble.times > 0);
    Some(fault)
}
