//! Which verb a job's state allows, and what it makes of it. The catalog's table of transitions says the same, and a test
//! that both agree.

use std::fmt;
use std::str::FromStr;

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Registered.
    NotStarted,
    /// A worker will take it up, or is looking whether it may run.
    Starting,
    /// Going forward.
    Running,
    /// To be stopped.
    Stopping,
    /// Resting.
    Paused,
    /// Done.
    Completed,
    /// An operation has failed, or was stopped.
    Errored,
    /// Going back.
    RollingBack,
    /// Back at the beginning.
    RolledBack,
    /// It may not run.
    FailedAtStartup,
}

/// Every state with its word.
const WORDS: [(State, &str); 10] = [
    (State::NotStarted, "not_started"),
    (State::Starting, "starting"),
    (State::Running, "running"),
    (State::Stopping, "stopping"),
    (State::Paused, "paused"),
    (State::Completed, "completed"),
    (State::Errored, "errored"),
    (State::RollingBack, "rolling_back"),
    (State::RolledBack, "rolled_back"),
    (State::FailedAtStartup, "failed_at_startup"),
];

impl State {
    /// As the catalog has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        WORDS
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("", |(_, word)| word)
    }

    /// Whether nothing of it is done, so that its definition may change.
    #[must_use]
    pub fn is_at_rest(self) -> bool {
        matches!(
            self,
            State::NotStarted | State::FailedAtStartup | State::RolledBack
        )
    }

    /// Whether a worker has something to do.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(
            self,
            State::Starting | State::Running | State::Stopping | State::RollingBack
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for State {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let found = WORDS.iter().find(|(_, one)| *one == word);
        found.map(|(state, _)| *state).ok_or(())
    }
}

/// What somebody asks of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// From the beginning.
    Start,
    /// And take back what is done.
    Stop,
    /// And leave what is done.
    StopHere,
    /// Rest.
    Pause,
    /// Go on.
    Resume,
    /// Once more.
    Retry,
    /// Take back what is done.
    Rollback,
    /// Take back what is completed.
    ForceRollback,
    /// It counts as completed.
    Skip,
    /// Run what is left, in this session.
    Finalize,
}

/// In the order in which they are offered.
const VERBS: [(Verb, &str); 10] = [
    (Verb::Start, "job_start"),
    (Verb::Stop, "job_stop"),
    (Verb::StopHere, "job_stop(rollback => false)"),
    (Verb::Pause, "job_pause"),
    (Verb::Resume, "job_resume"),
    (Verb::Retry, "job_retry"),
    (Verb::Rollback, "job_rollback"),
    (Verb::ForceRollback, "job_rollback(force => true)"),
    (Verb::Skip, "job_skip"),
    (Verb::Finalize, "job_finalize"),
];

impl Verb {
    /// The name of its routine, with what tells it from another one.
    #[must_use]
    pub fn word(self) -> &'static str {
        VERBS
            .iter()
            .find(|(verb, _)| *verb == self)
            .map_or("", |(_, word)| word)
    }

    /// The state it makes of another one; `None`: refused.
    #[must_use]
    pub fn after(self, state: State) -> Option<State> {
        use State::{
            Completed, Errored, FailedAtStartup, Paused, RolledBack, RollingBack, Running,
            Starting, Stopping,
        };
        let rests = state.is_at_rest();
        match (self, state) {
            (Verb::Start, _) if rests => Some(Starting),
            (Verb::Stop | Verb::StopHere, Starting) => Some(RolledBack),
            (Verb::Stop | Verb::StopHere, Running | Stopping) => Some(Stopping),
            (Verb::Stop, Paused) => Some(RollingBack),
            (Verb::StopHere, Paused) => Some(Errored),
            (Verb::Pause, Running) => Some(Paused),
            (Verb::Resume, Paused | Errored) | (Verb::Retry, Errored) => Some(Running),
            (Verb::Retry, FailedAtStartup) => Some(Starting),
            (Verb::Rollback | Verb::ForceRollback, Errored | Paused) => Some(RollingBack),
            (Verb::ForceRollback, Completed) => Some(RollingBack),
            (Verb::Skip, Errored) => Some(Completed),
            (Verb::Skip, _) if rests => Some(Completed),
            (Verb::Finalize, Paused | Errored) => Some(Running),
            (Verb::Finalize, _) if rests => Some(Starting),
            // It goes on where a worker was.
            (Verb::Finalize, Starting | Running | Stopping | RollingBack | Completed) => {
                Some(state)
            }
            _ => None,
        }
    }
}

/// The verbs that a state allows, in words.
#[must_use]
pub fn possible(state: State) -> String {
    let allowed = VERBS.iter().filter(|(verb, _)| {
        verb.after(state).is_some() && (*verb != Verb::Finalize || state != State::Completed)
    });
    // Without more to say of it: force is only for what is completed.
    let plain =
        allowed.filter(|(verb, _)| *verb != Verb::ForceRollback || state == State::Completed);
    let words: Vec<&str> = plain.map(|(_, word)| *word).collect();
    words.join(", ")
}
