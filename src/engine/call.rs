//! What one call of a verb asks for.

use std::time::Duration;

use belay_core::order::Ordering;
use belay_core::plan::Request;

use crate::pg::transaction::Mode;

/// Where a run commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// Each migration and its ledger rows together.
    PerMigration,
    /// All or nothing.
    PerRun,
}

impl std::str::FromStr for Transaction {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "per_migration" => Ok(Transaction::PerMigration),
            "per_run" => Ok(Transaction::PerRun),
            _ => Err(()),
        }
    }
}

/// What to do when somebody else runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnContention {
    /// Wait for the lock, then plan again.
    Wait,
    /// 55P03 at once.
    Fail,
}

impl std::str::FromStr for OnContention {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "wait" => Ok(OnContention::Wait),
            "fail" => Ok(OnContention::Fail),
            _ => Err(()),
        }
    }
}

/// What to do with migrations that take rights which a deploying role may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPrivileged {
    /// Run them like any other.
    Apply,
    /// Run nothing if one of them is in the plan.
    Refuse,
}

impl std::str::FromStr for OnPrivileged {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "apply" => Ok(OnPrivileged::Apply),
            "refuse" => Ok(OnPrivileged::Refuse),
            _ => Err(()),
        }
    }
}

/// What to do about clients of older releases before a post runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// MG018 while there are any.
    Check,
    /// Wait until they have gone.
    Wait,
    /// End with a notice while there are any.
    Skip,
    /// Nobody looks.
    Off,
}

impl std::str::FromStr for Gate {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "check" => Ok(Gate::Check),
            "wait" => Ok(Gate::Wait),
            "skip" => Ok(Gate::Skip),
            "off" => Ok(Gate::Off),
            _ => Err(()),
        }
    }
}

/// One call of `migrate_up`, `migrate_down`, `migrate_to` or `migrate_redo`.
#[derive(Debug)]
pub struct Call {
    /// The name of the verb: `up`, `down`, `to`, `redo`.
    pub verb: &'static str,
    /// For the planner.
    pub request: Request,
    /// Tighter or looser than the project's, for this call.
    pub ordering: Option<Ordering>,
    /// `None` = per migration, or the caller's transaction.
    pub transaction: Option<Transaction>,
    /// `None` = an up to the latest waits, everything else fails.
    pub on_contention: Option<OnContention>,
    /// How long to wait at most; `None` = without limit.
    pub wait: Option<Duration>,
    /// Kept in the run.
    pub reason: Option<String>,
    /// Registrants whose migrations this caller runs with its own rights.
    pub trust: Vec<String>,
    /// Whether privileged migrations run.
    pub on_privileged: OnPrivileged,
    /// What to do about clients of older releases.
    pub gate: Gate,
    /// The project's name.
    pub project: String,
    /// The number of the run, where it was promised one.
    pub number: Option<i64>,
    /// How Belay was called.
    pub mode: Mode,
    /// The arguments that were given, for the run's row.
    pub arguments: serde_json::Value,
}

impl Call {
    /// Whether the call waits for a run that is going on.
    pub fn waits(&self) -> bool {
        match self.on_contention {
            Some(choice) => choice == OnContention::Wait,
            None => {
                self.wait.is_some()
                    || matches!(
                        self.request,
                        Request::Up {
                            target: None,
                            steps: None,
                            ..
                        }
                    )
            }
        }
    }
}
