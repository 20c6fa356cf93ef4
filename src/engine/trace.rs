//! The verdicts of all gates on one issue.

use super::evaluate::Verdict;

/// The verdicts of up to [`GateTrace::CAPACITY`] gates on one issue, packed, so that a full trace costs nothing. Gates
/// are named by their index in the file. As made, every gate is [`Verdict::NotRead`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct GateTrace {
    /// One bit a gate: it holds or fails.
    established: u64,
    /// One bit a gate: it fails or is unknown.
    adverse: u64,
}

impl GateTrace {
    /// How many gates fit; a policy with more is refused as too large.
    pub const CAPACITY: usize = 64;

    /// The verdict on a gate.
    pub fn verdict(&self, gate: usize) -> Verdict {
        let bit = Self::bit(gate);
        match (self.established & bit != 0, self.adverse & bit != 0) {
            (true, false) => Verdict::Holds,
            (true, true) => Verdict::Fails,
            (false, true) => Verdict::Unknown,
            (false, false) => Verdict::NotRead,
        }
    }

    /// Writes down the verdict on a gate. Past the capacity nothing is written.
    pub fn set(&mut self, gate: usize, verdict: Verdict) {
        let bit = Self::bit(gate);
        self.established &= !bit;
        self.adverse &= !bit;
        self.add(bit, verdict);
    }

    /// The gate that fired: the first that fails, or the first that is unknown where none fails.
    pub fn fired(&self) -> Option<usize> {
        let (fails, unknown) = (self.adverse & self.established, self.adverse & !self.established);
        let first = if fails == 0 { unknown } else { fails }.trailing_zeros();
        if self.adverse == 0 { None } else { usize::try_from(first).ok() }
    }

    /// The bit of a gate; no bit past the capacity.
    pub(super) fn bit(gate: usize) -> u64 {
        u32::try_from(gate).ok().and_then(|gate| 1_u64.checked_shl(gate)).unwrap_or(0)
    }

    /// Writes down the verdict on gates, by their bits, that nothing was written on yet.
    #[inline]
    pub(super) fn add(&mut self, bits: u64, verdict: Verdict) {
        // Without a branch, because verdicts vary from issue to issue.
        let when = |yes: bool| if yes { bits } else { 0 };
        self.established |= when(matches!(verdict, Verdict::Holds | Verdict::Fails));
        self.adverse |= when(matches!(verdict, Verdict::Fails | Verdict::Unknown));
    }

    /// Writes down the verdicts of another trace on gates that nothing was written on yet.
    #[inline(always)]
    pub(super) fn join(&mut self, other: Self) {
        self.established |= other.established;
        self.adverse |= other.adverse;
    }

    /// Whether one of the gates of these bits was not read.
    pub(super) fn lacks(&self, bits: u64) -> bool {
        bits & !(self.established | self.adverse) != 0
    }
}

impl std::fmt::Debug for GateTrace {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut list = out.debug_map();
        for gate in 0..Self::CAPACITY {
            let verdict = self.verdict(gate);
            if verdict != Verdict::NotRead {
                list.entry(&gate, &verdict);
            }
        }
        list.finish()
    }
}
