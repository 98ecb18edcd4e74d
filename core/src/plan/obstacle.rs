//! Why a step may not run.

use semver::Version;

use super::request::Direction;

/// The reason that stands in the way of a step. Each kind has an SQLSTATE of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// Strict: the step sorts before what is applied already.
    Late {
        /// The applied (or begun) migration that sorts last.
        newest: String,
    },
    /// Disjoint: the step sorts before what is applied already and runs without a transaction, so that it
    /// could not be taken back if it met something.
    LateForGood {
        /// The applied (or begun) migration that sorts last.
        newest: String,
    },
    /// Strict: a pending migration sorts before the step and is not part of the plan.
    EarlierPending {
        /// The first such migration.
        name: String,
    },
    /// Strict: the step is of a later release, and the post of an earlier one is pending and not part of
    /// the plan.
    PostPending {
        /// Its first pending migration.
        name: String,
        /// The earlier release.
        release: Version,
    },
    /// Strict, going down: a migration that is not applied sorts before one that is, so that what is
    /// applied is not in order to begin with.
    OutOfOrder {
        /// The first late arrival.
        late: String,
        /// The applied migration that sorts last.
        newest: String,
    },
    /// Strict, going down: a migration that sorts after the step would stay applied.
    LeavesGap {
        /// The migration that would stay.
        newest: String,
    },
    /// A required migration is not registered.
    RequirementUnknown {
        /// The required name.
        name: String,
    },
    /// A required migration is registered, and would run later or not at all.
    RequirementPending {
        /// The required name.
        name: String,
    },
    /// An applied migration that stays, or would be reverted only later, requires the step's.
    RequiredBy {
        /// The migration that requires it.
        name: String,
    },
    /// The migration has no down.
    NoDown,
    /// The project does not allow reverting.
    DownsForbidden,
    /// One half of an indivisible pair would be reverted and the other would stay.
    SplitsPair {
        /// The half that would stay.
        partner: String,
        /// How many steps down take both halves.
        steps_needed: u32,
    },
    /// A migration began, did not finish, and has to be finished or marked first.
    Unfinished {
        /// Its name.
        name: String,
        /// The direction in which it began.
        direction: Direction,
        /// The statement (1-based) that has to run next.
        next_statement: u32,
    },
}
