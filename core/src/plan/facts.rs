//! What the planner has to be told. Bounded by the request, never by the number of applied migrations.

use std::collections::HashMap;

use semver::Version;

use super::request::Direction;
use crate::directive::Pair;
use crate::naming::{Naming, Phase};
use crate::order::Ordering;

/// A registered migration, as far as the planner needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The registry's identifier; carried through, never compared.
    pub id: i64,
    /// The name.
    pub name: String,
    /// The key of the name in the project's naming: comparing keys as bytes is the registry's order.
    pub key: Vec<u8>,
    /// Names of the migrations that must be applied before this one.
    pub requires: Vec<String>,
    /// The other half, where this migration declares a pair.
    pub pair: Option<Pair>,
    /// Whether it has a down.
    pub reversible: bool,
    /// The phase, in projects whose names have one.
    pub phase: Option<Phase>,
    /// The release, in projects whose names have one.
    pub release: Option<Version>,
    /// Whether up runs in a transaction, so that it can be taken back.
    pub up_transaction: bool,
    /// The review of it as a late arrival. Only read where it sorts before what is applied or, going down,
    /// before what was applied before it.
    pub acceptance: Option<Box<Acceptance>>,
}

impl Entry {
    /// Whether it was accepted as a late arrival, and still is.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self.acceptance.as_deref(), Some(Acceptance::Holds { .. }))
    }
}

/// What became of the review that let a late migration run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// It stands: for this text, and for all that is applied and sorts after it.
    Holds {
        /// The role that accepted it.
        by: String,
        /// Why.
        reason: String,
    },
    /// The text that was reviewed has been replaced.
    Replaced,
    /// Something that sorts after it was applied when the review had ended.
    Overtaken {
        /// The migration after which it was to run.
        after: String,
    },
}

/// Where a registered migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Registered and not applied.
    Pending,
    /// In force.
    Applied,
}

/// A non-transactional migration that began and did not finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its name. Going up it is still pending, going down it is still applied.
    pub name: String,
    /// The direction in which it began.
    pub direction: Direction,
    /// The statement (1-based) that has to run next.
    pub next_statement: u32,
}

/// A pair marked indivisible (by either side) of which both halves are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedPair {
    /// One half.
    pub name: String,
    /// The other half.
    pub partner: String,
    /// How many of the most recently applied migrations have to be reverted for both halves to be gone:
    /// the number of applied migrations whose position is not below that of the older half.
    pub steps_for_both: u32,
}

/// Everything a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The policy in force for this call.
    pub ordering: Ordering,
    /// Whether the project allows reverting at all.
    pub allow_down: bool,
    /// All that is registered and not applied, in key order; an unfinished up is among it.
    pub pending: Vec<Entry>,
    /// What is applied, newest position first, as far as [`super::Request::applied_wanted`] asks; an unfinished
    /// down must be among it whenever anything is asked for.
    pub applied: Vec<Entry>,
    /// Name and key of the applied migration that sorts last (not the one that was applied last).
    pub newest_applied: Option<(String, Vec<u8>)>,
    /// The same among the applied migrations that are not listed in `applied`. Only read when something is
    /// reverted; `None` = there are none.
    pub newest_unlisted: Option<(String, Vec<u8>)>,
    /// Each registered name that the request or a `requires` of a listed entry mentions; a name that is
    /// absent is not registered.
    pub standing: HashMap<String, Standing>,
    /// Applied migrations that require something, with what they require. Only read when something is
    /// reverted, and then only those matter that require an entry of `applied`.
    pub applied_requirers: Vec<(String, Vec<String>)>,
    /// Indivisible pairs with both halves applied. Only read when something is reverted.
    pub applied_indivisible: Vec<AppliedPair>,
    /// The migration that began and did not finish.
    pub unfinished: Option<Unfinished>,
    /// The project's naming, where it has one yet: a late migration is told its next name by it.
    pub naming: Option<Naming>,
    /// The registered name that sorts last. Only read where something is late.
    pub last_registered: Option<String>,
}

impl Facts {
    /// Facts of an empty project: nothing registered, nothing applied, reverting allowed.
    #[must_use]
    pub fn empty(ordering: Ordering) -> Self {
        Facts {
            ordering,
            allow_down: true,
            pending: Vec::new(),
            applied: Vec::new(),
            newest_applied: None,
            newest_unlisted: None,
            standing: HashMap::new(),
            applied_requirers: Vec::new(),
            applied_indivisible: Vec::new(),
            unfinished: None,
            naming: None,
            last_registered: None,
        }
    }
}
