//! Two columns that are kept in step: which one follows the other when a row is written.
//!
//! The source is the column that was there first, the copy the one that was added.

/// What has to be done to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Keep,
    /// The copy is made from the source.
    CopyFollows,
    /// The source is made from the copy.
    SourceFollows,
    /// Both were written, to different values: nobody knows which one counts.
    Conflict,
}

/// A value that an INSERT brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brought {
    /// NULL: as good as not named.
    Null,
    /// What the column's default gives, or may have given: as good as not named.
    Default,
    /// Something else.
    Value,
}

/// Of an INSERT whose values are not in step.
#[must_use]
pub fn inserted(source: Brought, copy: Brought) -> Action {
    match (source, copy) {
        (_, Brought::Null) => Action::CopyFollows,
        (Brought::Null | Brought::Default, _) => Action::SourceFollows,
        (Brought::Value, Brought::Default) => Action::CopyFollows,
        (Brought::Value, Brought::Value) => Action::Conflict,
    }
}

/// What an UPDATE does to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// Whether the statement names it.
    pub named: bool,
    /// Whether its value is another one than before.
    pub changed: bool,
}

/// Of an UPDATE after which the values are not in step.
///
/// A row that was not in step before, since it is not filled yet, comes in step by whatever updates it.
#[must_use]
pub fn updated(source: Touched, copy: Touched) -> Action {
    match (source.changed, copy.changed) {
        (true, true) => Action::Conflict,
        (true, false) | (false, true) if source.named && copy.named => Action::Conflict,
        (_, false) => Action::CopyFollows,
        (false, true) => Action::SourceFollows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn touched(named: bool, changed: bool) -> Touched {
        Touched { named, changed }
    }

    #[test]
    fn an_insert_that_names_one_column_gives_it_to_the_other() {
        assert_eq!(inserted(Brought::Value, Brought::Null), Action::CopyFollows);
        assert_eq!(
            inserted(Brought::Null, Brought::Value),
            Action::SourceFollows
        );
        assert_eq!(
            inserted(Brought::Default, Brought::Value),
            Action::SourceFollows
        );
        assert_eq!(
            inserted(Brought::Default, Brought::Null),
            Action::CopyFollows
        );
    }

    #[test]
    fn an_insert_of_two_values_is_a_conflict() {
        assert_eq!(inserted(Brought::Value, Brought::Value), Action::Conflict);
    }

    #[test]
    fn the_column_that_an_update_changes_is_followed() {
        assert_eq!(
            updated(touched(true, true), touched(false, false)),
            Action::CopyFollows
        );
        assert_eq!(
            updated(touched(false, false), touched(true, true)),
            Action::SourceFollows
        );
    }

    #[test]
    fn a_row_that_is_not_filled_yet_is_filled_by_any_update() {
        assert_eq!(
            updated(touched(false, false), touched(false, false)),
            Action::CopyFollows
        );
        assert_eq!(
            updated(touched(true, false), touched(true, false)),
            Action::CopyFollows
        );
    }

    proptest! {
        #[test]
        fn both_named_and_one_changed_is_a_conflict(source: bool) {
            prop_assert_eq!(updated(touched(true, source), touched(true, !source)), Action::Conflict);
        }

        #[test]
        fn a_column_that_did_not_change_never_wins_over_one_that_did(named: (bool, bool), changed: (bool, bool)) {
            let action = updated(touched(named.0, changed.0), touched(named.1, changed.1));
            prop_assert!(!(action == Action::CopyFollows && changed == (false, true)));
            prop_assert!(!(action == Action::SourceFollows && changed != (false, true)));
        }
    }
}
