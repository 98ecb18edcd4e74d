//! Who is connected, and which release's code it runs: sessions as pg_stat_activity shows them, and
//! check-ins that have not expired. Read under the owner's rights, since an ordinary role sees neither
//! the addresses of others nor whether they are clients at all.
//!
//! Not seen: a client that a pooler keeps without a server connection, and clients of standbys.

use belay_core::gate::{Pattern, Shown, Source};
use belay_core::naming::{Naming, parse_release};
use pgrx::datum::TimestampWithTimeZone;

use super::Ledger;
use super::project::Project;
use crate::error::Result;
use crate::pg::spi::{Row, bind};

/// A session, or an instance that has checked in.
#[derive(Debug, Clone)]
pub struct Client {
    /// How it is known.
    pub known_by: KnownBy,
    /// Its role.
    pub role: Option<String>,
    /// The release that it shows.
    pub shown: Shown,
    /// Seconds since it connected, or since it was last seen.
    pub age: f64,
    /// When that was; NULL where the ledger's owner may not see it.
    pub since: Option<TimestampWithTimeZone>,
}

/// How a client is known.
#[derive(Debug, Clone)]
pub enum KnownBy {
    /// By its session.
    Session {
        /// Its process.
        pid: i32,
        /// Its address; `None` = a socket of the server's machine.
        address: Option<String>,
        /// What it calls itself.
        application_name: String,
    },
    /// By `belay.client_checkin`.
    Checkin {
        /// What it calls itself.
        instance: String,
        /// When it counts as gone.
        expires_at: TimestampWithTimeZone,
    },
}

impl Ledger {
    /// The clients of this database, as the project's gate knows them.
    pub fn clients(&self, project: &Project) -> Result<Vec<Client>> {
        let mut clients = match project.gate_source {
            Source::Sessions => self.sessions(project)?,
            Source::Checkin => Vec::new(),
        };
        clients.extend(self.checked_in(project)?);
        Ok(clients)
    }

    fn sessions(&self, project: &Project) -> Result<Vec<Client>> {
        // Within one transaction the server would show the sessions of its first look.
        const LOOK_ANEW: &str = "SELECT pg_catalog.pg_stat_clear_snapshot()::text";
        // The function, not the view: what a view reads would count to the footprint of the transaction.
        // Of whom the owner may not see it, it is not known that it is none.
        const SQL: &str = "SELECT a.pid, pg_catalog.host(a.client_addr), pg_catalog.pg_get_userbyid(a.usesysid)::text, coalesce(a.application_name, ''),
                    a.backend_start, extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start)::float8
               FROM pg_catalog.pg_stat_get_activity(NULL) a, pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) own
              WHERE a.datid = own.datid AND a.pid <> own.pid
                AND coalesce(a.backend_type, 'client backend') = 'client backend'
              ORDER BY a.backend_start, a.pid";
        let own = Pattern::new(&project.client_pattern, &project.name).ok();
        let others = self.other_patterns(project)?;
        self.select(LOOK_ANEW, &[], |_| Ok(()))?;
        self.select(SQL, &[], |row| {
            let application_name: String = row.require(4)?;
            Ok(Client {
                shown: shown(&application_name, own.as_ref(), &others),
                known_by: KnownBy::Session {
                    pid: row.require(1)?,
                    address: row.get(2)?,
                    application_name,
                },
                role: row.get(3)?,
                since: row.get(5)?,
                age: row.require(6)?,
            })
        })
    }

    fn other_patterns(&self, project: &Project) -> Result<Vec<Pattern>> {
        const SQL: &str =
            "SELECT client_pattern, name FROM belay.project WHERE id <> $1 AND naming = $2";
        let arguments = [bind(project.id), bind(Naming::Release.to_string())];
        let found = self.select(SQL, &arguments, |row| {
            let (pattern, name): (String, String) = (row.require(1)?, row.require(2)?);
            Ok(Pattern::new(&pattern, &name).ok())
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    fn checked_in(&self, project: &Project) -> Result<Vec<Client>> {
        const SQL: &str = "SELECT c.instance, c.release, c.role::text, c.seen_at, c.expires_at,
                    extract(epoch FROM pg_catalog.clock_timestamp() - c.seen_at)::float8
               FROM belay.client c
              WHERE c.project_id = $1 AND c.expires_at > pg_catalog.clock_timestamp() ORDER BY c.instance";
        self.select(SQL, &[bind(project.id)], |row| {
            Ok(Client {
                known_by: KnownBy::Checkin {
                    instance: row.require(1)?,
                    expires_at: expiry(&row)?,
                },
                shown: parse_release(&row.require::<String>(2)?)
                    .map_or(Shown::Nothing, Shown::Release),
                role: row.get(3)?,
                since: row.get(4)?,
                age: row.require(6)?,
            })
        })
    }

    /// The latest release whose post, or a part of it, is applied: code of earlier ones has been
    /// contracted away.
    pub fn newest_contracted(&self, project: &Project) -> Result<Option<semver::Version>> {
        const SQL: &str =
            "SELECT m.release FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
              WHERE a.project_id = $1 AND m.phase = 'post' ORDER BY a.sort_key DESC LIMIT 1";
        let found = self.select_one(SQL, &[bind(project.id)], |row| row.require::<String>(1))?;
        Ok(found.and_then(|release| parse_release(&release).ok()))
    }

    /// The releases with a post that is pending, in order.
    pub fn releases_with_pending_post(&self, project: &Project) -> Result<Vec<semver::Version>> {
        const SQL: &str =
            "SELECT m.release FROM belay.pending p JOIN belay.migration m ON m.id = p.migration_id
              WHERE p.project_id = $1 AND m.phase = 'post' ORDER BY p.sort_key";
        let found = self.select(SQL, &[bind(project.id)], |row| row.require::<String>(1))?;
        let mut releases: Vec<semver::Version> = found
            .iter()
            .filter_map(|release| parse_release(release).ok())
            .collect();
        releases.dedup();
        Ok(releases)
    }
}

fn shown(application_name: &str, own: Option<&Pattern>, others: &[Pattern]) -> Shown {
    let read = |pattern: &Pattern| pattern.release_of(application_name);
    match own.and_then(read) {
        Some(release) => Shown::Release(release),
        None if others.iter().any(|pattern| read(pattern).is_some()) => Shown::OtherProject,
        None => Shown::Nothing,
    }
}

fn expiry(row: &Row<'_, '_>) -> Result<TimestampWithTimeZone> {
    let expires_at: Option<TimestampWithTimeZone> = row.get(5)?;
    Ok(expires_at.unwrap_or_else(TimestampWithTimeZone::positive_infinity))
}
