//! What a step did against the contract, on its way into belay.step.

use std::ffi::CStr;

use crate::pg::row::Field;

/// One line each; nothing of the SQL, as everybody may read it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    /// Accepted by waivers.
    pub waived: Vec<String>,
    /// Only told.
    pub reported: Vec<String>,
}

impl Findings {
    pub(super) fn fields(&self) -> [(&'static CStr, Field<'_>); 2] {
        fn list(lines: &[String]) -> Field<'_> {
            match lines {
                [] => Field::Null,
                lines => Field::Texts(lines),
            }
        }
        [
            (c"waived", list(&self.waived)),
            (c"reported", list(&self.reported)),
        ]
    }
}
