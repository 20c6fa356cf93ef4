//! The log of a turn, for people: bounded, whatever the agent writes.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// A log that keeps its head and its tail, and says how much is missing in between.
pub struct BoundedLog {
    file: File,
    head: u64,
    head_limit: u64,
    tail: Vec<u8>,
    tail_limit: usize,
    dropped: u64,
    dirty: bool,
}

/// The most that is kept of the tail: it is written anew while it moves.
const TAIL_LIMIT: u64 = 512 * 1024;

impl BoundedLog {
    /// A log in an empty file, of at most about `limit` bytes.
    pub fn new(file: File, limit: u64) -> Self {
        let tail = (limit / 2).min(TAIL_LIMIT);
        let note = u64::try_from(note(0).len()).unwrap_or(0);
        Self {
            file,
            head: 0,
            head_limit: limit.saturating_sub(tail).saturating_sub(note),
            tail: Vec::new(),
            tail_limit: usize::try_from(tail).unwrap_or(0),
            dropped: 0,
            dirty: false,
        }
    }

    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = usize::try_from(self.head_limit.saturating_sub(self.head)).unwrap_or(usize::MAX);
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        if !head.is_empty() {
            if let Err(error) = self.file.write_all_at(head, self.head) {
                tracing::warn!("could not write down the agent's output: {error}");
            }
            self.head = self.head.saturating_add(u64::try_from(head.len()).unwrap_or(0));
        }
        if !rest.is_empty() {
            self.tail.extend_from_slice(rest);
            self.dirty = true;
            // Cut only now and then, so that a flood is not moved about for every piece of it.
            if self.tail.len() > self.tail_limit.saturating_mul(2).max(256 * 1024) {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        let excess = self.tail.len().saturating_sub(self.tail_limit);
        self.tail.drain(..excess);
        self.dropped = self.dropped.saturating_add(u64::try_from(excess).unwrap_or(0));
    }

    /// Writes down the tail as it is now.
    pub fn flush(&mut self) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        self.cut();
        let mut text = if self.dropped > 0 { note(self.dropped) } else { Vec::new() };
        text.extend_from_slice(&self.tail);
        if let Err(error) = self.file.write_all_at(&text, self.head) {
            tracing::warn!("could not write down the agent's output: {error}");
        }
    }
}

/// Always of the same length, so that the tail stays where it is.
fn note(dropped: u64) -> Vec<u8> {
    format!("\n[afk left out {dropped:>20} bytes here]\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_log_keeps_its_head_and_its_tail_and_says_what_is_missing() {
        let mut file = tempfile::tempfile().unwrap();
        let mut log = BoundedLog::new(file.try_clone().unwrap(), 200);
        for number in 0..100_000 {
            log.push(format!("line {number}\n").as_bytes());
            if number % 9_999 == 0 {
                log.flush();
            }
        }
        log.flush();
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert!(text.len() <= 200, "{} bytes", text.len());
        assert!(text.starts_with("line 0\nline 1\n"), "{text}");
        assert!(text.ends_with("line 99998\nline 99999\n"), "{text}");
        assert!(text.contains("[afk left out"), "{text}");
    }

    #[test]
    fn a_log_below_the_limit_is_kept_whole() {
        let mut file = tempfile::tempfile().unwrap();
        let mut log = BoundedLog::new(file.try_clone().unwrap(), 1_000);
        let mut all = String::new();
        for number in 0..100 {
            let line = format!("line {number}\n");
            log.push(line.as_bytes());
            all.push_str(&line);
            log.flush();
        }
        let mut text = String::new();
        io::Seek::rewind(&mut file).unwrap();
        io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert_eq!(text, all);
    }
}
