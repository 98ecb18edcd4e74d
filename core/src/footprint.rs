//! What a migration touched, and whether two of them touched the same.
//!
//! Two migrations whose footprints do not meet can be applied in either order: that is what the policy
//! `disjoint` stands on. Objects are told by identity, a text such as `relation public.users` or
//! `function public.area(integer)`; how it is found is not decided here.

mod probe;

use std::collections::BTreeMap;
use std::fmt;

pub use probe::looks_into_catalog;

/// How strongly an object was touched; a stronger access implies the weaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Looked at, or depended on.
    Read,
    /// Its rows were changed.
    Write,
    /// It was made, changed or dropped.
    Define,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Define => "define",
        })
    }
}

impl Access {
    /// The third person: what a migration does.
    fn verb(self) -> &'static str {
        match self {
            Access::Read => "reads",
            Access::Write => "writes",
            Access::Define => "defines",
        }
    }
}

/// What a migration touched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footprint {
    objects: BTreeMap<String, Access>,
    everything: Option<String>,
}

impl Footprint {
    /// Adds an object; the strongest access counts.
    pub fn touch(&mut self, object: impl Into<String>, access: Access) {
        let known = self.objects.entry(object.into()).or_insert(access);
        *known = access.max(*known);
    }

    /// From now on it meets every other one. The first reason is kept: what the migration does, as in
    /// "reads pg_catalog.pg_class".
    pub fn touch_everything(&mut self, why: impl Into<String>) {
        self.everything.get_or_insert_with(|| why.into());
    }

    /// Why it meets every other one.
    #[must_use]
    pub fn everything(&self) -> Option<&str> {
        self.everything.as_deref()
    }

    /// The objects with that access as their strongest, in the order of their identities.
    pub fn objects(&self, access: Access) -> impl Iterator<Item = &str> {
        self.objects
            .iter()
            .filter(move |(_, found)| **found == access)
            .map(|(object, _)| object.as_str())
    }

    /// How an object was touched.
    #[must_use]
    pub fn access(&self, object: &str) -> Option<Access> {
        self.objects.get(object).copied()
    }

    /// Where this one meets another: they share an object, and at least one of them does more than read
    /// it; or one of them touches everything. `None`: they are disjoint.
    #[must_use]
    pub fn meets(&self, other: &Footprint) -> Option<Meeting> {
        if let Some(why) = &self.everything {
            return Some(Meeting::Everything {
                by_other: false,
                why: why.clone(),
            });
        }
        if let Some(why) = &other.everything {
            return Some(Meeting::Everything {
                by_other: true,
                why: why.clone(),
            });
        }
        other
            .objects
            .iter()
            .find_map(|(object, access)| self.meets_at(object, *access))
    }

    /// The meeting at an object that another one touched in that way.
    #[must_use]
    pub fn meets_at(&self, object: &str, other: Access) -> Option<Meeting> {
        let own = self.access(object)?;
        (own.max(other) > Access::Read).then(|| Meeting::Object {
            object: object.to_owned(),
            own,
            other,
        })
    }
}

/// Where two footprints meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meeting {
    /// At an object.
    Object {
        /// Its identity.
        object: String,
        /// What the one asked does with it.
        own: Access,
        /// What the other one does with it.
        other: Access,
    },
    /// One of them touches everything.
    Everything {
        /// Whether it is the other one.
        by_other: bool,
        /// Why, as a verb in the third person with what follows it.
        why: String,
    },
}

impl Meeting {
    /// In words, with the names of the one asked and of the other.
    #[must_use]
    pub fn describe(&self, own_name: &str, other_name: &str) -> String {
        match self {
            Meeting::Object { object, own, other } => format!(
                "\"{own_name}\" {} {object}, which \"{other_name}\" {}",
                own.verb(),
                other.verb()
            ),
            Meeting::Everything {
                by_other: false,
                why,
            } => format!(
                "\"{own_name}\" {why}, so that nothing can be said about its order with \"{other_name}\""
            ),
            Meeting::Everything {
                by_other: true,
                why,
            } => format!(
                "\"{other_name}\" {why}, so that nothing can be said about its order with \"{own_name}\""
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn footprint(touched: &[(&str, Access)]) -> Footprint {
        let mut footprint = Footprint::default();
        for (object, access) in touched {
            footprint.touch(*object, *access);
        }
        footprint
    }

    const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Define];

    #[test]
    fn readers_of_one_object_are_disjoint_and_any_other_pair_meets() {
        for own in ACCESSES {
            for other in ACCESSES {
                let meeting = footprint(&[("t", own)]).meets(&footprint(&[("t", other)]));
                let both_read = own == Access::Read && other == Access::Read;
                assert_eq!(meeting.is_none(), both_read, "{own} and {other}");
            }
        }
    }

    #[test]
    fn the_strongest_access_counts_in_any_order() {
        let once = footprint(&[("t", Access::Define), ("t", Access::Read)]);
        assert_eq!(once, footprint(&[("t", Access::Define)]));
        assert_eq!(once.objects(Access::Read).count(), 0);
    }

    #[test]
    fn different_objects_are_disjoint() {
        let own = footprint(&[("a", Access::Define)]);
        assert_eq!(own.meets(&footprint(&[("b", Access::Define)])), None);
    }

    #[test]
    fn everything_meets_even_nothing_and_says_why() {
        let mut own = Footprint::default();
        own.touch_everything("reads pg_class");
        own.touch_everything("runs without a transaction");
        assert_eq!(own.everything(), Some("reads pg_class"));
        let met = own.meets(&Footprint::default()).unwrap();
        assert_eq!(
            met.describe("2", "3"),
            "\"2\" reads pg_class, so that nothing can be said about its order with \"3\""
        );
        let met = Footprint::default().meets(&own).unwrap();
        assert!(met.describe("3", "2").starts_with("\"2\" reads pg_class"));
    }

    #[test]
    fn a_meeting_names_the_object_and_both_accesses() {
        let own = footprint(&[("relation public.t", Access::Define)]);
        let met = own
            .meets(&footprint(&[("relation public.t", Access::Read)]))
            .unwrap();
        assert_eq!(
            met.describe("2", "3"),
            "\"2\" defines relation public.t, which \"3\" reads"
        );
    }

    fn any_footprint() -> impl Strategy<Value = Footprint> {
        let touched = prop::collection::vec(("[a-e]", 0..3usize), 0..6);
        (touched, prop::bool::weighted(0.1)).prop_map(|(touched, everything)| {
            let mut footprint = Footprint::default();
            for (object, access) in touched {
                footprint.touch(object, ACCESSES[access]);
            }
            if everything {
                footprint.touch_everything("does");
            }
            footprint
        })
    }

    proptest! {
        #[test]
        fn meeting_is_mutual(a in any_footprint(), b in any_footprint()) {
            prop_assert_eq!(a.meets(&b).is_some(), b.meets(&a).is_some());
        }

        #[test]
        fn touching_more_never_makes_disjoint(
            a in any_footprint(), b in any_footprint(), object in "[a-e]", access in 0..3usize
        ) {
            let met = a.meets(&b).is_some();
            let mut more = a.clone();
            more.touch(object, ACCESSES[access]);
            prop_assert!(!met || more.meets(&b).is_some());
        }
    }
}
