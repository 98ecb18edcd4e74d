//! The name under which a late migration would come last.

use super::obstacle::Obstacle;
use super::{Facts, Plan};
use crate::naming::Naming;

/// Hands out names that sort after all that are registered, one after the other.
#[derive(Debug, Clone)]
pub struct NextNames {
    naming: Naming,
    last: String,
}

impl NextNames {
    /// `last` is the registered name that sorts last.
    #[must_use]
    pub fn new(naming: Naming, last: &str) -> Self {
        NextNames {
            naming,
            last: last.to_owned(),
        }
    }

    /// The next name for `late`. It sorts after everything registered, so that it is free.
    pub fn next(&mut self, late: &str) -> Option<String> {
        let name = self
            .naming
            .next_free_name(late, &self.last, None, |_| false)?;
        self.last.clone_from(&name);
        Some(name)
    }
}

/// Gives each late migration that may not run the name with which it may.
pub(super) fn suggest(plan: &mut Plan, facts: &Facts) {
    let (Some(naming), Some(last)) = (facts.naming, facts.last_registered.as_deref()) else {
        return;
    };
    let mut names = NextNames::new(naming, last);
    for step in &mut plan.steps {
        step.rename_to = match &step.obstacle {
            Some(Obstacle::Late { .. } | Obstacle::LateForGood { .. }) => {
                names.next(&step.entry.name)
            }
            Some(Obstacle::OutOfOrder { late, .. }) => names.next(late),
            _ => None,
        };
    }
}
