//! What counts migrations in a name.

use super::head::{Head, digits_of};
use crate::naming::{Naming, ReleaseName};

impl Naming {
    /// What two migrations should not share although nothing refuses it: the number of a name, with its
    /// prefix; the release and `NN`; diesel's version. `None` where a name has none.
    pub(crate) fn number(self, name: &str) -> Option<String> {
        match self {
            Naming::Natural => {
                let head = Head::of(name)?;
                let digits = digits_of(head.number);
                Some(format!("{}{}", head.prefix, digits.trim_start_matches('0')))
            }
            Naming::Release => {
                let parts = ReleaseName::parse(name).ok()?;
                Some(format!("{}_{}", parts.release, parts.number))
            }
            Naming::Diesel => {
                let version = name.split('_').next()?;
                Some(version.replace('-', ""))
            }
        }
    }
}
