//! Queries of Belay's own: kept plans, bound values, rows mapped by the caller.
//!
//! Plans are prepared once a session and kept; the server revalidates them itself.
//! Each query runs under a snapshot of its own when none is active, so it may be
//! called between transactions of a procedure.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::{self, PgOid};
use pgrx::spi::{OwnedPreparedStatement, SpiHeapTupleData, SpiTupleTable};
use pgrx::{AnyElement, FromDatum, IntoDatum, Spi};

use super::transaction::under_one_snapshot;
use crate::error::Result;

/// A value bound to a query.
pub type Value<'a> = DatumWithOid<'a>;

thread_local! {
    static PLANS: RefCell<HashMap<(usize, bool), &'static OwnedPreparedStatement>> =
        RefCell::new(HashMap::new());
}

/// Binds a value.
pub fn bind<'a, T: IntoDatum + Into<DatumWithOid<'a>>>(value: T) -> Value<'a> {
    value.into()
}

/// One row of a result; columns count from 1.
pub struct Row<'a, 'conn> {
    tuple: &'a SpiHeapTupleData<'conn>,
}

impl Row<'_, '_> {
    /// A column that may be NULL.
    pub fn get<T: IntoDatum + FromDatum>(&self, column: usize) -> Result<Option<T>> {
        Ok(self.tuple.get::<T>(column)?)
    }

    /// A column that is NOT NULL by the table's definition; NULL would be the type's default.
    pub fn require<T: IntoDatum + FromDatum + Default>(&self, column: usize) -> Result<T> {
        Ok(self.get::<T>(column)?.unwrap_or_default())
    }
}

/// Runs a reading query: no transaction id is assigned, so a hot standby runs it too.
pub fn select<T>(
    sql: &'static str,
    arguments: &[Value<'_>],
    map: impl FnMut(Row<'_, '_>) -> Result<T>,
) -> Result<Vec<T>> {
    under_one_snapshot(|| {
        Spi::connect(|client| {
            let plan = plan(sql, arguments, false, |sql, types| {
                Ok(client.prepare(sql, types)?.keep())
            })?;
            rows(client.select(plan, None, arguments)?, map)
        })
    })
}

/// The first row of a reading query.
pub fn select_one<T>(
    sql: &'static str,
    arguments: &[Value<'_>],
    map: impl FnMut(Row<'_, '_>) -> Result<T>,
) -> Result<Option<T>> {
    Ok(select(sql, arguments, map)?.into_iter().next())
}

/// Runs a writing query and maps what it returns.
pub fn write<T>(
    sql: &'static str,
    arguments: &[Value<'_>],
    map: impl FnMut(Row<'_, '_>) -> Result<T>,
) -> Result<Vec<T>> {
    under_one_snapshot(|| {
        Spi::connect_mut(|client| {
            let plan = plan(sql, arguments, true, |sql, types| {
                Ok(client.prepare_mut(sql, types)?.keep())
            })?;
            rows(client.update(plan, None, arguments)?, map)
        })
    })
}

/// Runs a writing query that returns nothing; the number of rows it touched.
pub fn execute(sql: &'static str, arguments: &[Value<'_>]) -> Result<usize> {
    under_one_snapshot(|| {
        Spi::connect_mut(|client| {
            let plan = plan(sql, arguments, true, |sql, types| {
                Ok(client.prepare_mut(sql, types)?.keep())
            })?;
            client.update(plan, None, arguments)?;
            // SAFETY: SPI has just executed the plan; the global holds its row count.
            Ok(unsafe { pg_sys::SPI_processed } as usize)
        })
    })
}

/// The one composite value a query selects, copied out of SPI's memory.
pub fn composite(sql: &'static str, arguments: &[Value<'_>]) -> Result<Option<AnyElement>> {
    under_one_snapshot(|| {
        Spi::connect_mut(|client| {
            let plan = plan(sql, arguments, true, |sql, types| {
                Ok(client.prepare_mut(sql, types)?.keep())
            })?;
            let table = client.update(plan, Some(1), arguments)?.first();
            if table.is_empty() {
                return Ok(None);
            }
            let oid = table.column_type_oid(1)?.value();
            let Some(datum) = table.get_datum_by_ordinal(1)? else {
                return Ok(None);
            };
            // SAFETY: a composite datum is passed by reference with a length header of its
            // own; SPI_datumTransfer copies it into the context outside of SPI.
            Ok(unsafe {
                let datum = pg_sys::SPI_datumTransfer(datum, false, -1);
                AnyElement::from_polymorphic_datum(datum, false, oid)
            })
        })
    })
}

fn rows<T>(
    table: SpiTupleTable<'_>,
    mut map: impl FnMut(Row<'_, '_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut out = Vec::with_capacity(table.len());
    for tuple in table {
        out.push(map(Row { tuple: &tuple })?);
    }
    Ok(out)
}

/// The kept plan of a query, told by the address of its (static) text.
fn plan(
    sql: &'static str,
    arguments: &[Value<'_>],
    writes: bool,
    prepare: impl FnOnce(&'static str, &[PgOid]) -> Result<OwnedPreparedStatement>,
) -> Result<&'static OwnedPreparedStatement> {
    let key = (sql.as_ptr() as usize, writes);
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).copied()) {
        return Ok(plan);
    }
    let types: Vec<PgOid> = arguments
        .iter()
        .map(|value| PgOid::from(value.oid()))
        .collect();
    let plan: &'static OwnedPreparedStatement = Box::leak(Box::new(prepare(sql, &types)?));
    PLANS.with_borrow_mut(|plans| plans.insert(key, plan));
    Ok(plan)
}

/// A statement of the caller's, prepared once: its parameters are texts.
pub struct Prepared(OwnedPreparedStatement);

impl Prepared {
    /// Prepares it, as the caller; a mistake in it is an error of the server's.
    pub fn new(sql: &str, parameters: usize) -> Result<Prepared> {
        let types = vec![PgOid::BuiltIn(pg_sys::BuiltinOid::TEXTOID); parameters];
        under_one_snapshot(|| {
            Spi::connect_mut(|client| Ok(Prepared(client.prepare_mut(sql, &types)?.keep())))
        })
    }

    /// Runs it; the number of rows that it touched.
    pub fn execute(&self, arguments: &[String]) -> Result<i64> {
        let values: Vec<Value<'_>> = arguments.iter().map(|text| bind(text.as_str())).collect();
        under_one_snapshot(|| {
            Spi::connect_mut(|client| {
                client.update(&self.0, None, &values)?;
                // SAFETY: SPI has just executed the plan; the global holds its row count.
                Ok(i64::try_from(unsafe { pg_sys::SPI_processed }).unwrap_or(i64::MAX))
            })
        })
    }

    /// The text[] that its first row holds.
    pub fn texts(&self, arguments: &[String]) -> Result<Option<Vec<String>>> {
        let values: Vec<Value<'_>> = arguments.iter().map(|text| bind(text.as_str())).collect();
        under_one_snapshot(|| {
            Spi::connect_mut(|client| {
                let table = client.update(&self.0, Some(1), &values)?.first();
                match table.is_empty() {
                    true => Ok(None),
                    false => Ok(table.get::<Vec<String>>(1)?),
                }
            })
        })
    }
}

/// The first row of a query of the caller's that only reads, each value as text; `None`: no row. It runs as current_user.
pub fn first_row(sql: &str) -> Result<Option<Vec<Option<String>>>> {
    under_one_snapshot(|| {
        Spi::connect(|client| {
            let table = client.select(sql, Some(1), &[])?.first();
            if table.is_empty() {
                return Ok(None);
            }
            // SAFETY: SPI has just filled its table, whose first row is read; SPI_getvalue returns NULL or a palloc'd text.
            Ok(Some(unsafe {
                let found = pg_sys::SPI_tuptable;
                let tuple = *(*found).vals;
                let columns = (*(*found).tupdesc).natts;
                (1..=columns)
                    .map(|column| {
                        let text = pg_sys::SPI_getvalue(tuple, (*found).tupdesc, column);
                        (!text.is_null()).then(|| {
                            std::ffi::CStr::from_ptr(text)
                                .to_string_lossy()
                                .into_owned()
                        })
                    })
                    .collect()
            }))
        })
    })
}
