//! The elements of a text[], without a copy of each: a look through thousands of rows.

use pgrx::varlena::{vardata_any, varsize_any, varsize_any_exhdr};
use pgrx::{FromDatum, pg_sys};

/// Alignment of the elements of a text[], in bytes (pg_type.typalign `i`).
const ELEMENT_ALIGNMENT: usize = 4;

/// The first element for which `pick` has an answer.
///
/// # Safety
/// `datum` is a text[] that is not NULL, and lives until this returns.
pub(super) unsafe fn find<T>(
    datum: pg_sys::Datum,
    mut pick: impl FnMut(&str) -> Option<T>,
) -> Option<T> {
    // SAFETY: the caller's. The layout is that of array.h: the header, dimensions and lower bounds, then,
    // aligned, the elements one after the other, where there is no bitmap of NULLs (dataoffset 0).
    unsafe {
        let array: *mut pg_sys::ArrayType = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast();
        if (*array).ndim == 0 {
            return None;
        }
        if (*array).dataoffset != 0 || (*array).ndim != 1 {
            let texts = pgrx::Array::<'_, &str>::from_datum(datum, false)?;
            return texts.iter().flatten().find_map(pick);
        }
        let dimensions = array.add(1).cast::<i32>();
        let header = size_of::<pg_sys::ArrayType>() + 2 * size_of::<i32>();
        let mut element = array
            .cast::<u8>()
            .add(header.next_multiple_of(pg_sys::MAXIMUM_ALIGNOF as usize));
        for _ in 0..*dimensions {
            let text: *const pg_sys::varlena = element.cast();
            let bytes =
                std::slice::from_raw_parts(vardata_any(text).cast::<u8>(), varsize_any_exhdr(text));
            let found = std::str::from_utf8(bytes).ok().and_then(&mut pick);
            if found.is_some() {
                return found;
            }
            element = element.add(varsize_any(text).next_multiple_of(ELEMENT_ALIGNMENT));
        }
        None
    }
}
