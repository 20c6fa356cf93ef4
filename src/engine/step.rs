//! The next row of a run: pure, total, first match wins.
