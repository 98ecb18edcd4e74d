//! The arguments of a call, read one by one in the order of the SQL routine.
//!
//! For routines whose arguments differ between versions of the extension: the library may be newer
//! than the SQL objects, and then the server's array holds fewer values than are asked for. So the
//! arguments are read only after [`super::extension::installed`] has found both to be of one version.

use pgrx::{FromDatum, pg_sys};

use super::extension::Installed;

/// What is left of them.
pub struct Arguments {
    call: pg_sys::FunctionCallInfo,
    next: usize,
}

impl Arguments {
    /// Of a call; `Installed` is the proof that its SQL routine is of the library's version.
    pub fn of(call: pg_sys::FunctionCallInfo, _: &Installed) -> Arguments {
        Arguments { call, next: 0 }
    }

    /// The next one; `None` = NULL.
    pub fn next<T: FromDatum>(&mut self) -> Option<T> {
        let at = self.next;
        self.next += 1;
        // SAFETY: the call is the one the server made, and lasts until the function returns.
        let count = usize::try_from(unsafe { (*self.call).nargs }).unwrap_or(0);
        // SAFETY: below the count; T is the argument's type, as the routine declares it.
        (at < count)
            .then(|| unsafe { pgrx::fcinfo::pg_getarg(self.call, at) })
            .flatten()
    }
}
