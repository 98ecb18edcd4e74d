//! Waiting by looking again: the pauses grow with what has been waited.
//!
//! Whoever polls commits before each pause, so that no snapshot is held in it.

use std::time::{Duration, Instant};

use super::place;
use crate::error::Result;
use crate::pg::client;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A pause is at most this part of what has been waited: a wait ends late by no more.
const SHARE: u32 = 8;

/// One wait, from its first look on.
pub struct Polling {
    began: Instant,
    limit: Option<Duration>,
    pauses: bool,
}

impl Polling {
    /// Begins; `None` = without limit.
    pub fn begin(limit: Option<Duration>) -> Polling {
        Polling {
            began: Instant::now(),
            limit,
            pauses: false,
        }
    }

    /// Whether it has lasted as long as it may.
    pub fn is_over(&self) -> bool {
        self.limit
            .is_some_and(|limit| self.began.elapsed() >= limit)
    }

    /// Whether there was a pause yet.
    pub fn has_paused(&self) -> bool {
        self.pauses
    }

    /// How long it has lasted, in words.
    pub fn waited(&self) -> String {
        place::duration(self.began.elapsed())
    }

    /// Sleeps until the next look. A cancel is served, and a client that has gone ends the call.
    pub fn pause(&mut self) -> Result<()> {
        let waited = self.began.elapsed();
        let pause = (waited / SHARE).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        let left = self.limit.map(|limit| limit.saturating_sub(waited));
        client::sleep(left.map_or(pause, |left| pause.min(left.max(Duration::from_millis(1)))));
        self.pauses = true;
        client::boundary()
    }
}
