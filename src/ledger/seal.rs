//! The seal: a restored ledger is judged as a whole before anything is added to it.
//!
//! While there is no seal the catalog's triggers take rows as they come, since a restore brings
//! them in any order. The judgement itself is the trigger of belay.seal.

use super::Ledger;
use crate::error::Result;
use crate::pg::table::Table;

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

/// Whether the ledger in that schema is sealed.
pub fn is_sealed(schema: pgrx::pg_sys::Oid) -> Result<bool> {
    Table::open(schema, c"seal")?.has_rows(c"seal_pkey")
}
