//! The contract of pre and post, around each migration of a release that goes up: what it changes in the schema, and
//! what the releases' code sends.
//!
//! In force where a phase is asked for and the project enforces it; else what is broken is told and kept. What other
//! sessions change while a migration runs counts as the migration's. What is committed statement by statement is
//! judged by its texts where it is a pre; its contract queries are only reported.

mod alone;
mod queries;
mod told;

use belay_core::contract::{Base, Enforcement, Judged, Violation, Waiver, judge, settle};
use belay_core::naming::Phase;
use belay_core::plan::{Direction, Request};
use belay_core::snapshot::Snapshot;
use semver::Version;

use self::queries::{Asked, Queries};
use super::transactional::StepRun;
use crate::error::Result;
use crate::ledger::project::Project;
use crate::ledger::registry::Text;
use crate::ledger::step::Findings;
use crate::pg::cancel;
use crate::snapshot;

/// How the migrations of one run are held to the contract.
pub struct Contract {
    enforcement: Enforcement,
    /// What breaks it is refused: the project enforces it, and the call asks for a phase.
    in_force: bool,
    queries: Queries,
}

/// The part of a release that a migration belongs to.
#[derive(Clone, Copy)]
struct Member<'a> {
    release: &'a Version,
    phase: Phase,
}

/// A migration that is judged: the schema and the queries as they were.
pub struct Watched<'a> {
    contract: &'a Contract,
    member: Member<'a>,
    before: Snapshot,
    base: Base,
    asked: Asked,
}

/// A migration whose statements are committed one by one: the queries as they were.
pub struct WatchedQueries<'a> {
    contract: &'a Contract,
    asked: Asked,
}

impl Contract {
    /// Of a run.
    pub fn of(project: &Project, request: &Request) -> Contract {
        let asks_phase = matches!(request, Request::Up { phase: Some(_), .. });
        Contract {
            enforcement: project.contract,
            in_force: asks_phase && project.contract == Enforcement::Enforce,
            queries: Queries::default(),
        }
    }

    /// `None`: the contract does not look at the migration.
    fn member<'s>(&self, step: &'s StepRun<'_>) -> Option<Member<'s>> {
        let entry = &step.step.entry;
        let member = Member {
            release: entry.release.as_ref()?,
            phase: entry.phase?,
        };
        let is_up = step.step.direction == Direction::Up;
        (is_up && self.enforcement != Enforcement::Off).then_some(member)
    }

    /// Takes the schema before a migration; with the first of a release also what there was when it began.
    pub fn watch<'a>(&'a self, step: &'a StepRun<'_>) -> Result<Option<Watched<'a>>> {
        let Some(member) = self.member(step) else {
            return Ok(None);
        };
        let asked = self.queries.before(step, member)?;
        let before = schema_of(step)?;
        let base = base_of(step, member.release, &before)?;
        Ok(Some(Watched {
            contract: self,
            member,
            before,
            base,
            asked,
        }))
    }

    /// Asks the queries before a migration whose statements are committed one by one.
    pub fn watch_queries<'a>(
        &'a self,
        step: &'a StepRun<'_>,
    ) -> Result<Option<WatchedQueries<'a>>> {
        let member = self.member(step);
        let asked = member.map(|member| self.queries.before(step, member));
        let watched = asked.transpose()?.map(|asked| WatchedQueries {
            contract: self,
            asked,
        });
        Ok(watched)
    }

    fn settle(
        &self,
        step: &StepRun<'_>,
        text: &Text,
        member: Member<'_>,
        violations: Vec<Violation>,
    ) -> Result<Findings> {
        let waivers = text.waivers.iter();
        let waivers: Vec<Waiver> = waivers.filter_map(|text| Waiver::from_text(text)).collect();
        let settled = settle(violations, &waivers);
        if self.in_force && !settled.left.is_empty() {
            return Err(told::refused(step, member, &settled.left));
        }
        told::tell(step, member.phase, &settled);
        Ok(Findings {
            waived: settled.waived,
            reported: settled.left.iter().map(Violation::to_string).collect(),
        })
    }
}

/// The schema as it is now. It may have to wait for who holds a relation, so a cancel is served.
fn schema_of(step: &StepRun<'_>) -> Result<Snapshot> {
    cancel::allow(|| snapshot::take(step.project.schemas.as_deref()))
}

/// What was there when the release began. Where nothing of the release is applied or under way, it begins now.
fn base_of(step: &StepRun<'_>, release: &Version, now: &Snapshot) -> Result<Base> {
    let (ledger, project) = (step.ledger, step.project);
    let release = release.to_string();
    if let Some(objects) = ledger.release_base(project, &release)? {
        return Ok(Base::from_json(&objects));
    }
    let base = Base::of(now);
    ledger.keep_release_base(project, &release, base.to_json())?;
    Ok(base)
}

impl Watched<'_> {
    /// Judges what the migration has done; refuses (MG017, MG019), or says what is to be kept.
    pub fn judge(&self, step: &StepRun<'_>, text: &Text) -> Result<Findings> {
        let after = schema_of(step)?;
        let violations = judge(&Judged {
            before: &self.before,
            after: &after,
            base: &self.base,
            phase: self.member.phase,
            versioned: &step.project.versioned,
        });
        let mut findings = self.contract.settle(step, text, self.member, violations)?;
        let broken = self.contract.queries.broken_by(step, &self.asked)?;
        if self.contract.in_force && !broken.is_empty() {
            return Err(queries::refused(step, &broken));
        }
        findings.reported.extend(queries::tell(step, &broken));
        Ok(findings)
    }
}

impl WatchedQueries<'_> {
    /// What does not pass any more is told; it comes back for the step's row.
    pub fn report(&self, step: &StepRun<'_>) -> Result<Vec<String>> {
        let broken = self.contract.queries.broken_by(step, &self.asked)?;
        Ok(queries::tell(step, &broken))
    }
}
