//! Who holds the lock that a statement waited for: read under the owner's rights, since an ordinary
//! role sees nothing of others in pg_stat_activity.

use pgrx::pg_sys::Oid;

use super::Ledger;
use crate::error::Result;
use crate::pg::identity;
use crate::pg::lock_wait::{Awaited, Place};
use crate::pg::spi::bind;

impl Ledger {
    /// What was waited for and who holds it now, a line each: for the DETAIL of the error. The query
    /// of a holder only where current_user may see it in pg_stat_activity.
    pub fn describe_wait(&self, awaited: &Awaited) -> Result<Option<String>> {
        let Some(place) = awaited.place() else {
            return Ok(None);
        };
        let mut lines = vec![format!(
            "waited for {} on {}",
            awaited.mode(),
            self.object_of(&place)?
        )];
        let holders = self.lock_holders(awaited, &place)?;
        match holders.is_empty() {
            true => lines.push("nobody holds it now".to_owned()),
            false => lines.extend(holders),
        }
        Ok(Some(lines.join("\n")))
    }

    fn object_of(&self, place: &Place) -> Result<String> {
        const RELATION: &str = "SELECT $1::oid::regclass::text";
        const OBJECT: &str = "SELECT pg_catalog.pg_describe_object($1::oid, $2::oid, $3)";
        let name = match *place {
            Place {
                relation: Some(relation),
                ..
            } => self
                .select_one(RELATION, &[bind(Oid::from(relation))], |row| row.get(1))?
                .flatten()
                .map(|name: String| format!("relation \"{}\"", name.replace('"', ""))),
            Place {
                kind: "object",
                class: Some(class),
                object: Some(object),
                part,
                ..
            } => {
                let arguments = [
                    bind(Oid::from(class)),
                    bind(Oid::from(object)),
                    bind(i32::from(part.unwrap_or(0))),
                ];
                self.select_one(OBJECT, &arguments, |row| row.get::<String>(1))?
                    .flatten()
            }
            Place {
                transaction: Some(transaction),
                ..
            } => Some(format!(
                "transaction {transaction}, which has changed a row that is needed"
            )),
            Place {
                class: Some(class),
                object: Some(object),
                ..
            } => Some(format!("advisory lock ({class}, {object})")),
            _ => None,
        };
        Ok(name.unwrap_or_else(|| "something that has gone".to_owned()))
    }

    fn lock_holders(&self, awaited: &Awaited, place: &Place) -> Result<Vec<String>> {
        const SQL: &str = "SELECT CASE WHEN l.pid IS NULL THEN pg_catalog.format(
                        'prepared transaction %L, owner %s, %s, for %s s; ROLLBACK PREPARED or COMMIT PREPARED ends it',
                        x.gid, x.owner, l.mode,
                        pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - x.prepared)::numeric, 1))
                    ELSE pg_catalog.format('pid %s, role %s%s, %s, for %s s, %s%s', l.pid,
                        coalesce(a.usename::text, '(' || a.backend_type || ')', '(unknown)'),
                        CASE WHEN coalesce(a.application_name, '') <> '' THEN ', application ' || a.application_name ELSE '' END,
                        l.mode,
                        pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp()
                              - coalesce(a.xact_start, a.query_start, a.backend_start))::numeric, 1),
                        coalesce(a.state, 'working'),
                        CASE WHEN a.query <> '' AND (pg_catalog.pg_has_role($9, a.usesysid, 'USAGE')
                                                  OR pg_catalog.pg_has_role($9, 'pg_read_all_stats', 'USAGE'))
                             THEN ': ' || pg_catalog.left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 200) ELSE '' END)
                    END
               FROM pg_catalog.pg_locks l
               LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
               LEFT JOIN pg_catalog.pg_locks t ON l.pid IS NULL AND t.pid IS NULL AND t.locktype = 'transactionid'
                                              AND t.granted AND t.virtualtransaction = l.virtualtransaction
               LEFT JOIN pg_catalog.pg_prepared_xacts x ON x.transaction = t.transactionid
              WHERE l.granted AND l.locktype = $1 AND l.mode = ANY ($2)
                AND l.database IS NOT DISTINCT FROM $3 AND l.relation IS NOT DISTINCT FROM $4
                AND l.transactionid::text IS NOT DISTINCT FROM $5 AND l.classid IS NOT DISTINCT FROM $6
                AND l.objid IS NOT DISTINCT FROM $7 AND l.objsubid IS NOT DISTINCT FROM $8
                AND l.page IS NOT DISTINCT FROM $10 AND l.tuple IS NOT DISTINCT FROM $11
                AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
              ORDER BY coalesce(a.xact_start, x.prepared), l.pid LIMIT 20";
        let oid = |value: Option<u32>| bind(value.map(Oid::from));
        let arguments = [
            bind(place.kind),
            bind(awaited.conflicting_modes()),
            oid(place.database),
            oid(place.relation),
            bind(place.transaction.map(|xid| xid.to_string())),
            oid(place.class),
            oid(place.object),
            bind(place.part),
            bind(identity::current_role()),
            bind(place.page),
            bind(place.tuple),
        ];
        self.select(SQL, &arguments, |row| row.require(1))
    }

    /// The second keys of the advisory locks of a class that are held in this database.
    pub fn held_keys(&self, class: i32) -> Result<Vec<u32>> {
        const SQL: &str = "SELECT l.objid FROM pg_catalog.pg_locks l
              WHERE l.granted AND l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid = $1
                AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())";
        self.select(SQL, &[bind(Oid::from(class as u32))], |row| {
            Ok(row.get::<Oid>(1)?.unwrap_or(Oid::INVALID).to_u32())
        })
    }

    /// Who holds an advisory lock of two keys: the process, and the session in words.
    pub fn advisory_lock_holder(&self, class: i32, key: u32) -> Result<Option<(i32, String)>> {
        const SQL: &str = "SELECT l.pid, pg_catalog.format('held by pid %s, role %s%s, for %s s', l.pid, coalesce(a.usename::text, '(unknown)'),
                    CASE WHEN coalesce(a.application_name, '') <> '' THEN ', application ' || a.application_name ELSE '' END,
                    pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.query_start, a.backend_start))::numeric, 1))
               FROM pg_catalog.pg_locks l
               LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
              WHERE l.granted AND l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid = $1 AND l.objid = $2
                AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
              LIMIT 1";
        let keys = [bind(Oid::from(class as u32)), bind(Oid::from(key))];
        self.select_one(SQL, &keys, |row| Ok((row.require(1)?, row.require(2)?)))
    }
}
