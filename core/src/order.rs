//! Ordering policies: which applied sets a project accepts.
//!
//! Guarantees only the comparison of policies; what a policy refuses is decided in [`crate::plan`]
//! and, for good, by the catalog.

use std::fmt;
use std::str::FromStr;

/// What a project demands of the order in which its migrations are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ordering {
    /// What is applied must be a prefix of the registry's order; a late arrival is refused.
    Strict,
    /// A late arrival is kept if it touches nothing that those after it touch.
    Disjoint,
    /// Whatever is registered and not applied may run, in the registry's order.
    Permissive,
}

impl Ordering {
    /// Whether using `self` for one call demands less than the project's own policy does.
    ///
    /// Tightening is anybody's right; loosening takes the owner role and a reason.
    #[must_use]
    pub fn loosens(self, project: Ordering) -> bool {
        self.freedom() > project.freedom()
    }

    /// Rank of the policies from the tightest to the loosest.
    fn freedom(self) -> u8 {
        match self {
            Ordering::Strict => 0,
            Ordering::Disjoint => 1,
            Ordering::Permissive => 2,
        }
    }
}

impl fmt::Display for Ordering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ordering::Strict => "strict",
            Ordering::Disjoint => "disjoint",
            Ordering::Permissive => "permissive",
        })
    }
}

/// A word that names no ordering policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown ordering \"{word}\"")]
pub struct UnknownOrdering {
    /// The word as it was given.
    pub word: String,
}

impl UnknownOrdering {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        "use 'strict', 'disjoint' or 'permissive'".to_owned()
    }
}

impl FromStr for Ordering {
    type Err = UnknownOrdering;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "strict" => Ok(Ordering::Strict),
            "disjoint" => Ok(Ordering::Disjoint),
            "permissive" => Ok(Ordering::Permissive),
            _ => Err(UnknownOrdering {
                word: word.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the tightest to the loosest.
    const ALL: [Ordering; 3] = [Ordering::Strict, Ordering::Disjoint, Ordering::Permissive];

    #[test]
    fn only_a_policy_that_demands_less_loosens() {
        for (at, tighter) in ALL.into_iter().enumerate() {
            for (other, looser) in ALL.into_iter().enumerate() {
                assert_eq!(looser.loosens(tighter), other > at, "{tighter} to {looser}");
            }
        }
    }

    #[test]
    fn words_round_trip_and_others_are_refused() {
        for policy in ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        let error = "Strict".parse::<Ordering>().unwrap_err();
        assert_eq!(error.to_string(), "unknown ordering \"Strict\"");
        assert!(!error.hint().is_empty());
    }
}
