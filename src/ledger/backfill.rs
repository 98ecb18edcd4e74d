//! `belay.backfill`: updates of whole tables in batches, and how far each is.

use pgrx::pg_sys::Oid;

use super::Ledger;
use crate::error::{Code, Failure, Result};
use crate::pg::identity;
use crate::pg::spi::bind;

/// One backfill, as far as it is.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Its number.
    pub id: i64,
    /// The key of the last row that was passed, or the next block; `None`: from the beginning.
    pub cursor: Option<Vec<String>>,
    /// Which leaf of a table without a key is in hand, and how many rows its pass has changed.
    pub leaf: Option<(Oid, i64)>,
    /// Rows of the batch that comes next.
    pub batch_size: i32,
}

/// What one batch did.
#[derive(Debug)]
pub struct Batch<'a> {
    /// See [`Progress::cursor`].
    pub cursor: Option<&'a [String]>,
    /// See [`Progress::leaf`].
    pub leaf: Option<(Oid, i64)>,
    /// Rows it passed.
    pub passed: i64,
    /// Rows it changed.
    pub changed: i64,
    /// Rows of the next one.
    pub next_size: i32,
}

/// A column of a key: its name, and its type as it is written.
#[derive(Debug, Clone)]
pub struct KeyColumn {
    /// The name.
    pub name: String,
    /// The type.
    pub type_name: String,
}

fn lost(what: &str) -> Failure {
    Failure::new(
        Code::Internal,
        format!("the backfill's row {what}"),
        "report this with the server's log",
    )
}

impl Ledger {
    /// The number of the backfill of that table and texts; makes it when there is none, or the last one has ended.
    pub fn open_backfill(
        &self,
        table: Oid,
        set: &str,
        condition: Option<&str>,
        batch_size: i32,
    ) -> Result<i64> {
        const FORGET: &str = "DELETE FROM belay.backfill b WHERE b.finished_at IS NOT NULL
                AND b.relation = $1 AND b.assignments = $2 AND b.condition IS NOT DISTINCT FROM $3
                OR NOT EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid = b.relation)";
        const FIND: &str = "SELECT b.id FROM belay.backfill b
              WHERE b.relation = $1 AND b.assignments = $2 AND b.condition IS NOT DISTINCT FROM $3";
        const ADD: &str = "INSERT INTO belay.backfill (relation, assignments, condition, role, batch_size, estimate)
             SELECT $1, $2, $3, $4, $5,
                    (SELECT pg_catalog.sum(greatest(c.reltuples, 0))::bigint FROM pg_catalog.pg_class c WHERE c.relkind = 'r'
                        AND (c.oid = $1 OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($1) t)))
             RETURNING id";
        let role = identity::role_name(identity::current_role());
        let key = || [bind(table), bind(set), bind(condition)];
        self.execute(FORGET, &key())?;
        if let Some(found) = self.select_one(FIND, &key(), |row| row.require(1))? {
            return Ok(found);
        }
        let [table, set, condition] = key();
        let arguments = [table, set, condition, bind(role.as_str()), bind(batch_size)];
        let made = self.write(ADD, &arguments, |row| row.require(1))?.pop();
        made.ok_or_else(|| lost("was not written"))
    }

    /// Takes a backfill over, under its lock. `None`: another session has ended it since. Where it was gone through by another
    /// key than `key`, it begins anew.
    pub fn take_backfill(&self, id: i64, key: &[String]) -> Result<Option<Progress>> {
        const SQL: &str = "UPDATE belay.backfill b SET pid = pg_catalog.pg_backend_pid(), waits_for = NULL, role = $2,
                    resumed_at = pg_catalog.clock_timestamp(), passed_before = b.passed,
                    cursor = CASE WHEN b.key_columns = $3 THEN b.cursor END, leaf = CASE WHEN b.key_columns = $3 THEN b.leaf END, key_columns = $3
              WHERE b.id = $1 AND b.finished_at IS NULL
             RETURNING b.id, b.cursor, b.leaf, b.leaf_changed, b.batch_size";
        let role = identity::role_name(identity::current_role());
        let arguments = [bind(id), bind(role.as_str()), bind(key.to_vec())];
        let taken = self.write(SQL, &arguments, |row| {
            let leaf: Option<Oid> = row.get(3)?;
            let leaf_changed: i64 = row.require(4)?;
            Ok(Progress {
                id: row.require(1)?,
                cursor: row.get(2)?,
                leaf: leaf.map(|leaf| (leaf, leaf_changed)),
                batch_size: row.require(5)?,
            })
        })?;
        Ok(taken.into_iter().next())
    }

    /// Writes what a batch did, in the batch's own transaction.
    pub fn note_batch(&self, id: i64, batch: &Batch<'_>) -> Result<()> {
        const SQL: &str = "UPDATE belay.backfill SET cursor = $2, leaf = $3, leaf_changed = $4, passed = passed + $5, changed = changed + $6,
                    batches = batches + 1, batch_size = $7, batch_at = pg_catalog.clock_timestamp() WHERE id = $1";
        let (leaf, changed) = batch
            .leaf
            .map_or((None, 0), |(leaf, changed)| (Some(leaf), changed));
        let arguments = [
            bind(id),
            bind(batch.cursor.map(<[String]>::to_vec)),
            bind(leaf),
            bind(changed),
            bind(batch.passed),
            bind(batch.changed),
            bind(batch.next_size),
        ];
        // What is not kept must not be done.
        match self.execute(SQL, &arguments)? {
            1 => Ok(()),
            _ => Err(lost("has gone")),
        }
    }

    /// The backfill has ended: rows changed and batches, all in all.
    pub fn finish_backfill(&self, id: i64) -> Result<(i64, i64)> {
        const SQL: &str = "UPDATE belay.backfill SET finished_at = pg_catalog.clock_timestamp(), pid = NULL WHERE id = $1
             RETURNING changed, batches";
        let done = self.write(SQL, &[bind(id)], |row| {
            Ok((row.require(1)?, row.require(2)?))
        })?;
        Ok(done.first().copied().unwrap_or_default())
    }

    /// What it waits for; `None`: it goes on.
    pub fn note_backfill_waits(&self, id: i64, what: Option<&str>) -> Result<()> {
        const SQL: &str = "UPDATE belay.backfill SET waits_for = $2 WHERE id = $1";
        self.execute(SQL, &[bind(id), bind(what)])?;
        Ok(())
    }

    /// Forgets a backfill, wherever it is.
    pub fn forget_backfill(&self, table: Oid, set: &str, condition: Option<&str>) -> Result<()> {
        const SQL: &str = "DELETE FROM belay.backfill b
              WHERE b.relation = $1 AND b.assignments = $2 AND b.condition IS NOT DISTINCT FROM $3";
        self.execute(SQL, &[bind(table), bind(set), bind(condition)])?;
        Ok(())
    }

    /// The columns by which the rows of a table are told apart and put in order: of the primary key, or else of another
    /// unique index without NULLs. Empty: there is none.
    pub fn key_columns(&self, table: Oid) -> Result<Vec<KeyColumn>> {
        const SQL: &str = "SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod)
               FROM (SELECT x.indexrelid, x.indrelid, x.indkey, x.indnkeyatts FROM pg_catalog.pg_index x
                       JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid JOIN pg_catalog.pg_am m ON m.oid = c.relam
                      WHERE x.indrelid = $1 AND x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL AND m.amname = 'btree'
                        AND NOT EXISTS (SELECT FROM pg_catalog.unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, n)
                                          LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum AND a.attnotnull
                                         WHERE k.n <= x.indnkeyatts AND (k.attnum = 0 OR a.attnum IS NULL))
                        AND NOT EXISTS (SELECT FROM pg_catalog.unnest(x.indoption::int2[]) o(option) WHERE o.option <> 0)
                        AND NOT EXISTS (SELECT FROM pg_catalog.unnest(x.indclass::oid[]) o(class) JOIN pg_catalog.pg_opclass p ON p.oid = o.class
                                         WHERE NOT p.opcdefault)
                      ORDER BY x.indisprimary DESC, x.indnkeyatts, x.indexrelid LIMIT 1) i
               CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
              WHERE k.n <= i.indnkeyatts ORDER BY k.n";
        self.select(SQL, &[bind(table)], |row| {
            Ok(KeyColumn {
                name: row.require(1)?,
                type_name: row.require(2)?,
            })
        })
    }

    /// The tables that hold the rows of a table, in order, with their names and their sizes in blocks.
    pub fn leaves(&self, table: Oid) -> Result<Vec<(Oid, String, i64)>> {
        const SQL: &str = "WITH RECURSIVE tree(id) AS (
                 SELECT $1 UNION SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.id)
             SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname),
                    pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint
               FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.id JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
              WHERE c.relkind = 'r' ORDER BY c.oid";
        self.select(SQL, &[bind(table)], |row| {
            Ok((
                row.get(1)?.unwrap_or(Oid::INVALID),
                row.require(2)?,
                row.require(3)?,
            ))
        })
    }

    /// Whether row security hides rows of a table from current_user.
    pub fn hides_rows(&self, table: Oid) -> Result<bool> {
        const SQL: &str = "SELECT (c.relrowsecurity AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role($2, c.relowner, 'USAGE')))
                    AND NOT (SELECT r.rolsuper OR r.rolbypassrls FROM pg_catalog.pg_roles r WHERE r.oid = $2)
               FROM pg_catalog.pg_class c WHERE c.oid = $1";
        let arguments = [bind(table), bind(identity::current_role())];
        let hides = self.select_one(SQL, &arguments, |row| row.get(1))?;
        Ok(hides.flatten().unwrap_or(false))
    }

    /// By how many seconds the slowest streaming replica is behind, and how many segments of WAL are not archived.
    pub fn health(&self) -> Result<(f64, i64)> {
        const LAG: &str =
            "SELECT coalesce(pg_catalog.max(extract(epoch FROM r.replay_lag)), 0)::float8
               FROM pg_catalog.pg_stat_replication r WHERE r.state IN ('streaming', 'catchup')";
        const SEGMENTS: &str = "SELECT CASE WHEN pg_catalog.current_setting('archive_mode') = 'off'
                      OR NOT pg_catalog.has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'EXECUTE') THEN 0
                    ELSE (SELECT pg_catalog.count(*) FROM pg_catalog.pg_ls_archive_statusdir() f WHERE f.name LIKE '%.ready') END";
        let lag = self.select_one(LAG, &[], |row| row.require(1))?;
        let segments = self.select_one(SEGMENTS, &[], |row| row.require(1))?;
        Ok((lag.unwrap_or_default(), segments.unwrap_or_default()))
    }
}
