//! What the batches of a job look at beside those of backfills.

use pgrx::pg_sys::Oid;

use crate::error::Result;
use crate::ledger::Ledger;
use crate::pg::spi::bind;

impl Ledger {
    /// The slot that holds back the most WAL, and how many MB.
    pub fn slot_wal(&self) -> Result<Option<(String, i64)>> {
        const SQL: &str = "SELECT s.slot_name::text, (pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn) / 1048576)::bigint
               FROM pg_catalog.pg_replication_slots s WHERE s.restart_lsn IS NOT NULL ORDER BY s.restart_lsn LIMIT 1";
        self.select_one(SQL, &[], |row| Ok((row.require(1)?, row.require(2)?)))
    }

    /// Clients of this database that are running a statement, other than this session.
    pub fn active_sessions(&self) -> Result<i64> {
        const SQL: &str = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
              WHERE a.state = 'active' AND a.backend_type = 'client backend' AND a.pid <> pg_catalog.pg_backend_pid()
                AND a.datname = pg_catalog.current_database()";
        Ok(self
            .select_one(SQL, &[], |row| row.require(1))?
            .unwrap_or_default())
    }

    /// Whether autovacuum is at a table or at one of its partitions.
    pub fn is_autovacuumed(&self, table: Oid) -> Result<bool> {
        const SQL: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum v JOIN pg_catalog.pg_stat_activity a ON a.pid = v.pid
              WHERE a.backend_type = 'autovacuum worker' AND v.datname = pg_catalog.current_database()
                AND (v.relid = $1 OR v.relid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($1) t)))";
        let found = self.select_one(SQL, &[bind(table)], |row| row.require(1))?;
        Ok(found.unwrap_or(false))
    }
}
