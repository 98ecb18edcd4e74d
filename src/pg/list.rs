//! Cells and options of the server's lists.

use std::ffi::{CStr, c_void};

use pgrx::pg_sys;

/// The pointers of a List, or none.
///
/// # Safety
/// The list is a pointer list or NULL and outlives the iterator.
pub unsafe fn cells(list: *mut pg_sys::List) -> impl Iterator<Item = *mut c_void> {
    let length = if list.is_null() {
        0
    } else {
        // SAFETY: the caller's.
        unsafe { (*list).length }
    };
    // SAFETY: the caller's; the index is below the list's length.
    (0..length as usize).map(move |i| unsafe { (*(*list).elements.add(i)).ptr_value })
}

/// Whether a list of options holds one of these names with this value.
///
/// # Safety
/// A list of DefElem nodes, or NULL.
pub unsafe fn has_option(options: *mut pg_sys::List, names: &[&CStr], value: bool) -> bool {
    // SAFETY: the caller's; an option's name ends with NUL.
    unsafe {
        cells(options).any(|cell| {
            let option = cell as *mut pg_sys::DefElem;
            names.contains(&CStr::from_ptr((*option).defname))
                && pg_sys::defGetBoolean(option) == value
        })
    }
}

/// Whether a list of options holds one of this name, whatever its value.
///
/// # Safety
/// A list of DefElem nodes, or NULL.
pub unsafe fn names_option(options: *mut pg_sys::List, name: &CStr) -> bool {
    // SAFETY: the caller's; an option's name ends with NUL.
    unsafe {
        cells(options).any(|cell| CStr::from_ptr((*(cell as *mut pg_sys::DefElem)).defname) == name)
    }
}
