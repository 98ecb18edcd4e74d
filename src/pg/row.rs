//! Values of a row as Rust sees them, on their way into a table and out of it.

use std::ffi::CStr;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::{FromDatum, IntoDatum, pg_sys};

use super::compat;
use super::table::Compare;
use super::text_array;
use crate::error::{Code, Failure, Result};

/// A value on its way in.
#[derive(Debug, Clone)]
pub enum Field<'a> {
    /// NULL
    Null,
    /// boolean
    Bool(bool),
    /// oid
    Oid(pg_sys::Oid),
    /// smallint
    Small(i16),
    /// integer
    Int(i32),
    /// bigint
    Big(i64),
    /// text, or a domain over it
    Text(&'a str),
    /// text[]
    Texts(&'a [String]),
    /// name; what is longer than 63 bytes is cut there
    Name(&'a str),
    /// bytea
    Bytes(&'a [u8]),
    /// timestamptz
    Time(TimestampWithTimeZone),
}

impl Field<'_> {
    pub(super) fn datum(&self) -> Option<pg_sys::Datum> {
        match self {
            Field::Null => None,
            Field::Bool(value) => value.into_datum(),
            Field::Oid(value) => value.into_datum(),
            Field::Small(value) => value.into_datum(),
            Field::Int(value) => value.into_datum(),
            Field::Big(value) => value.into_datum(),
            Field::Text(value) => value.into_datum(),
            Field::Texts(values) => values.to_vec().into_datum(),
            Field::Name(value) => Some(name_datum(value)),
            Field::Bytes(value) => value.into_datum(),
            Field::Time(value) => (*value).into_datum(),
        }
    }

    /// The function that compares a column with such a value.
    pub(super) fn comparison(&self, compare: Compare) -> Option<pg_sys::Oid> {
        use Compare::{Equal, Greater, Less};
        let function = match (self, compare) {
            (Field::Oid(_), Equal) => pg_sys::F_OIDEQ,
            (Field::Oid(_), Greater) => pg_sys::F_OIDGT,
            (Field::Small(_), Equal) => pg_sys::F_INT2EQ,
            (Field::Small(_), Greater) => pg_sys::F_INT2GT,
            (Field::Int(_), Equal) => pg_sys::F_INT4EQ,
            (Field::Int(_), Greater) => pg_sys::F_INT4GT,
            (Field::Int(_), Less) => pg_sys::F_INT4LT,
            (Field::Big(_), Equal) => pg_sys::F_INT8EQ,
            (Field::Big(_), Greater) => pg_sys::F_INT8GT,
            (Field::Big(_), Less) => pg_sys::F_INT8LT,
            (Field::Bytes(_), Equal) => pg_sys::F_BYTEAEQ,
            (Field::Bytes(_), Greater) => pg_sys::F_BYTEAGT,
            (Field::Bytes(_), Less) => pg_sys::F_BYTEALT,
            _ => return None,
        };
        Some(pg_sys::Oid::from(function))
    }
}

fn name_datum(value: &str) -> pg_sys::Datum {
    let longest = pg_sys::NAMEDATALEN as usize - 1;
    let end = (0..=value.len().min(longest))
        .rev()
        .find(|end| value.is_char_boundary(*end))
        .unwrap_or(0);
    // SAFETY: NAMEDATALEN zeroed bytes in the current memory context, of which the last stays 0.
    unsafe {
        let name = pg_sys::palloc0(pg_sys::NAMEDATALEN as usize).cast::<u8>();
        std::ptr::copy_nonoverlapping(value.as_ptr(), name, end);
        pg_sys::Datum::from(name)
    }
}

/// Where a column stands in the rows of an open table: looked up once for many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column(pub(super) usize);

/// A row on its way out; valid until the scan that found it goes on.
pub struct Row {
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    descriptor: pg_sys::TupleDesc,
    /// Where it lies in its table.
    pub place: pg_sys::ItemPointerData,
}

impl Row {
    /// A row of that shape, without values yet.
    ///
    /// # Safety
    /// `descriptor` outlives the row.
    pub(super) unsafe fn of_shape(descriptor: pg_sys::TupleDesc) -> Row {
        // SAFETY: the caller's; zeroed is a place that no row has.
        unsafe {
            let columns = (*descriptor).natts as usize;
            Row {
                values: vec![pg_sys::Datum::null(); columns],
                nulls: vec![true; columns],
                descriptor,
                place: std::mem::zeroed(),
            }
        }
    }

    /// Takes a tuple apart; what the row held before has gone.
    ///
    /// # Safety
    /// `tuple` is of the row's shape, and outlives what is read from the row.
    pub(super) unsafe fn take(&mut self, tuple: pg_sys::HeapTuple) {
        // SAFETY: the caller's; both vectors have a place for each column.
        unsafe {
            pg_sys::heap_deform_tuple(
                tuple,
                self.descriptor,
                self.values.as_mut_ptr(),
                self.nulls.as_mut_ptr(),
            );
            self.place = (*tuple).t_self;
        }
    }

    /// A tuple, taken apart.
    ///
    /// # Safety
    /// `tuple` is of the shape of `descriptor`, and both outlive the row.
    pub(super) unsafe fn deform(tuple: pg_sys::HeapTuple, descriptor: pg_sys::TupleDesc) -> Row {
        // SAFETY: the caller's.
        unsafe {
            let mut row = Row::of_shape(descriptor);
            row.take(tuple);
            row
        }
    }

    /// The value of a column of that type; `None` = NULL.
    pub fn get<T: FromDatum>(&self, name: &CStr) -> Result<Option<T>> {
        // SAFETY: the descriptor outlives the row; T is the column's type, as the table defines it.
        unsafe {
            let at = column(self.descriptor, name)? - 1;
            Ok(T::from_datum(self.values[at], self.nulls[at]))
        }
    }

    /// A column that is NOT NULL by the table's definition; NULL would be the type's default.
    pub fn require<T: FromDatum + Default>(&self, name: &CStr) -> Result<T> {
        Ok(self.get(name)?.unwrap_or_default())
    }

    /// The value of a column of that type; `None` = NULL.
    pub fn get_at<T: FromDatum>(&self, column: Column) -> Option<T> {
        // SAFETY: T is the column's type, as the table defines it; the row is still valid.
        unsafe { T::from_datum(self.values[column.0], self.nulls[column.0]) }
    }

    /// Whether a column is NULL.
    pub fn is_null(&self, column: Column) -> bool {
        self.nulls[column.0]
    }

    /// The first of a column's texts (text[]) for which `pick` has an answer; NULL has none.
    pub fn find_text<T>(&self, column: Column, pick: impl FnMut(&str) -> Option<T>) -> Option<T> {
        match self.nulls[column.0] {
            true => None,
            // SAFETY: not NULL, and a text[], as the table defines it; the row is still valid.
            false => unsafe { text_array::find(self.values[column.0], pick) },
        }
    }

    /// The value of a column as the server's functions take it.
    pub(super) fn datum(&self, name: &CStr) -> Result<Option<pg_sys::Datum>> {
        // SAFETY: the descriptor outlives the row.
        let at = unsafe { column(self.descriptor, name)? - 1 };
        Ok((!self.nulls[at]).then(|| self.values[at]))
    }

    /// The letter of a column of type "char".
    pub fn letter(&self, name: &CStr) -> Result<char> {
        let letter = self.require::<i8>(name)?;
        Ok(char::from(letter.cast_unsigned()))
    }

    /// The value of a column of type name.
    pub fn get_name(&self, name: &CStr) -> Result<Option<String>> {
        let value = self.get::<&CStr>(name)?;
        Ok(value.map(|value| value.to_string_lossy().into_owned()))
    }

    /// The values of a column of type name[].
    pub fn get_names(&self, name: &CStr) -> Result<Vec<String>> {
        let values = self.get::<pgrx::Array<'_, &CStr>>(name)?;
        let text = |value: &CStr| value.to_string_lossy().into_owned();
        Ok(values.map_or_else(Vec::new, |values| {
            values.iter().flatten().map(text).collect()
        }))
    }
}

/// The number of a column, from 1.
///
/// # Safety
/// `descriptor` is that of an open relation.
pub(super) unsafe fn column(descriptor: pg_sys::TupleDesc, name: &CStr) -> Result<usize> {
    // SAFETY: the caller's; each attribute's name ends with NUL within its array.
    let found = unsafe {
        (0..(*descriptor).natts).find(|at| {
            let attribute = compat::attribute(descriptor, *at as usize);
            let its_name = (*attribute).attname.data.as_ptr();
            *its_name == *name.as_ptr()
                && !(*attribute).attisdropped
                && CStr::from_ptr(its_name) == name
        })
    };
    found
        .and_then(|at| usize::try_from(at + 1).ok())
        .ok_or_else(|| {
            Failure::new(
                Code::Version,
                format!(
                    "a table of Belay's has no column {}",
                    name.to_string_lossy()
                ),
                "ALTER EXTENSION pg_belay UPDATE, or reconnect when that has been done already",
            )
        })
}
