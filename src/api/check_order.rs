//! Look before a merge: `check_order` takes the files of both branches from any client,
//! `check_order_directories` reads them on the server. Neither looks at the ledger.

use belay_core::check::Finding;
use pgrx::iter::TableIterator;
use pgrx::{JsonB, pg_extern};

use super::files::{self, Files};
use super::verbs::release_argument;
use super::{required, word};
use crate::error::{Result, entry};
use crate::registration::{self, Sides};

/// What takes the contents instead of directories.
const FROM_CLIENT: &str = "belay.check_order(jsonb, jsonb)";

/// The arguments that both have.
struct Given<'a> {
    naming: Option<&'a str>,
    release: Option<&'a str>,
    footprints: Option<JsonB>,
    fail: Option<bool>,
}

impl Given<'_> {
    /// Checks the arguments, then reads base and head, then compares.
    fn check(self, read: impl FnOnce() -> Result<(Files, Files)>) -> Result<Vec<Finding>> {
        let naming = word(
            self.naming,
            "naming",
            "'natural', 'release' or 'diesel'; NULL finds it",
        )?;
        let release = self.release.map(release_argument).transpose()?;
        let fail = required(self.fail, "fail")?;
        let (base, head) = read()?;
        registration::check_order(&Sides {
            base: &base,
            head: &head,
            naming,
            release,
            footprints: self.footprints.map(|json| json.0),
            fail,
        })
    }
}

/// Columns: name, problem, detail, suggested_name.
type Findings = TableIterator<'static, (String, String, String, Option<String>)>;

fn rows(findings: Vec<Finding>) -> Findings {
    TableIterator::new(findings.into_iter().map(|found| {
        (
            found.name,
            found.problem.to_string(),
            found.detail,
            found.suggested_name,
        )
    }))
}

#[pg_extern(sql = false)]
fn check_order(
    base: Option<JsonB>,
    head: Option<JsonB>,
    naming: Option<&str>,
    release: Option<&str>,
    footprints: Option<JsonB>,
    fail: Option<bool>,
) -> Findings {
    rows(entry(|| {
        let (base, head) = (required(base, "base")?, required(head, "head")?);
        let given = Given {
            naming,
            release,
            footprints,
            fail,
        };
        given.check(|| {
            Ok((
                files::of_json(base.0, "base")?,
                files::of_json(head.0, "head")?,
            ))
        })
    }))
}

#[pg_extern(sql = false)]
fn check_order_directories(
    base: Option<&str>,
    head: Option<&str>,
    naming: Option<&str>,
    release: Option<&str>,
    footprints: Option<JsonB>,
    fail: Option<bool>,
) -> Findings {
    rows(entry(|| {
        let (base, head) = (required(base, "base")?, required(head, "head")?);
        let given = Given {
            naming,
            release,
            footprints,
            fail,
        };
        given.check(|| {
            Ok((
                files::of_directory(base, FROM_CLIENT)?,
                files::of_directory(head, FROM_CLIENT)?,
            ))
        })
    }))
}
