//! What goes wrong between afk and GitHub.

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
    /// It takes effect, and half of the answer comes.
    Truncated,
    /// 502 with a page of HTML; nothing took effect.
    BadGateway,
    /// 502 with a page of HTML; all took effect.
    BadGatewayAfter,
    /// It takes effect twice, and is answered once.
    Duplicated,
    /// The primary limit is used up.
    PrimaryLimit,
    /// A secondary limit is hit; wait this many seconds.
    SecondaryLimit(u64),
    /// A 404 that passes.
    NotFound,
    /// It takes effect, and something else is answered, with success.
    Nonsense(String),
}

/// A fault and which requests it befalls.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub fault: Fault,
    /// An empty one is every method.
    pub method: &'static str,
    /// Part of the path; an empty one is in every path.
    pub path: &'static str,
    /// Of the requests that fit, how many are let pass first.
    pub after: usize,
    /// How many it befalls then.
    pub times: usize,
}

impl Trouble {
    /// The next request of this kind.
    pub fn next(fault: Fault, method: &'static str, path: &'static str) -> Self {
        Self { fault, method, path, after: 0, times: 1 }
    }

    /// The request of this number from now on, the first being 1.
    pub fn at(fault: Fault, call: usize) -> Self {
        Self { fault, method: "", path: "", after: call - 1, times: 1 }
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        (self.method.is_empty() || self.method == method) && path.contains(self.path)
    }
}

/// The fault that befalls a request, if any; it is used up by that.
pub fn befalls(troubles: &mut Vec<Trouble>, method: &str, path: &str) -> Option<Fault> {
    let mut hit = None;
    for trouble in troubles.iter_mut().filter(|trouble| trouble.fits(method, path)) {
        if trouble.after > 0 {
            trouble.after -= 1;
        } else if hit.is_none() {
            trouble.times -= 1;
            hit = Some(trouble.fault.clone());
        }
    }
    troubles.retain(|trouble| trouble.times > 0);
    hit
}
