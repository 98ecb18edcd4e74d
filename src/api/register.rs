//! One migration at a time: `migrate_register`, `migrate_unregister`, `migrate_rename`.

use belay_core::checksum::Checksum;
use pgrx::{AnyElement, pg_extern};

use super::required;
use crate::error::{Code, Failure, Result, entry};
use crate::ledger::Ledger;
use crate::pg::spi;
use crate::registration;

const ROW: &str = "SELECT m FROM belay.migration m JOIN belay.project p ON p.id OPERATOR(pg_catalog.=) m.project_id
  WHERE p.name OPERATOR(pg_catalog.=) $1 AND m.name OPERATOR(pg_catalog.=) $2";

fn row(project: &str, name: &str) -> Result<Option<AnyElement>> {
    spi::composite(ROW, &[spi::bind(project), spi::bind(name)])
}

#[pg_extern(sql = false)]
fn migrate_register(
    name: Option<&str>,
    up: Option<&str>,
    down: Option<&str>,
    replace: Option<bool>,
    project: Option<&str>,
) -> Option<AnyElement> {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let (name, up) = (required(name, "name")?, required(up, "up")?);
        let (replace, project) = (required(replace, "replace")?, required(project, "project")?);
        let project = ledger.lock_project(&ledger.project_for_registration(project)?)?;
        registration::register(&ledger, &project, name, up, down, replace)?;
        row(&project.name, name)
    })
}

#[pg_extern(sql = false)]
fn migrate_unregister(name: Option<&str>, project: Option<&str>) {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let project = ledger.project(required(project, "project")?)?;
        registration::unregister(&ledger, &project, required(name, "name")?)
    });
}

#[pg_extern(sql = false)]
fn migrate_rename(
    old: Option<&str>,
    new: Option<&str>,
    project: Option<&str>,
) -> Option<AnyElement> {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let (old, new) = (required(old, "old")?, required(new, "new")?);
        let project = ledger.lock_project(&ledger.project(required(project, "project")?)?)?;
        registration::rename(&ledger, &project, old, new)?;
        row(&project.name, new)
    })
}

#[pg_extern(sql = false, immutable, parallel_safe)]
fn migrate_checksum(up: Option<&str>, down: Option<&str>) -> String {
    entry(|| {
        let sum = Checksum::of(required(up, "up")?, down);
        let sum = sum.map_err(|e| Failure::new(Code::File, e.to_string(), e.hint()))?;
        Ok(sum.to_string())
    })
}
