//! The seal: a restored ledger is judged as a whole before anything is added to it.
//!
//! While there is no seal the catalog's triggers take rows as they come, since a restore brings
//! them in any order. The judgement itself is the trigger of belay.seal.

use std::cell::Cell;

use pgrx::pg_sys::Oid;

use super::Ledger;
use crate::error::Result;
use crate::pg::table::Table;
use crate::pg::transaction;

impl Ledger {
    /// Seals the ledger, unless that has been done. Refused (MG015) when it contradicts itself.
    pub fn seal(&self) -> Result<()> {
        if is_sealed(self.installed.schema)? {
            return Ok(());
        }
        const SQL: &str = "INSERT INTO belay.seal DEFAULT VALUES ON CONFLICT DO NOTHING";
        self.execute(SQL, &[])?;
        Ok(())
    }
}

thread_local! {
    /// The schema of the ledger that was found sealed: it stays so, and a new one has another OID.
    static SEALED: Cell<Oid> = const { Cell::new(Oid::INVALID) };
}

/// Whether the ledger in that schema is sealed.
pub fn is_sealed(schema: Oid) -> Result<bool> {
    if SEALED.get() == schema {
        return Ok(true);
    }
    let sealed = Table::open(schema, c"seal")?.has_rows(c"seal_pkey")?;
    // Not what this transaction may have written itself, and may yet roll back.
    if sealed && !transaction::writes() {
        SEALED.set(schema);
    }
    Ok(sealed)
}
