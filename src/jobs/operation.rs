//! An operation of statements: in one transaction with the note that it is done, or one statement that commits by itself.

use crate::engine::{lock_waits, place};
use crate::error::{Failure, Result};
use crate::guc;
use crate::ledger::job::Job;
use crate::ledger::job::progress::Way;
use crate::online::attempts;
use crate::pg::parse::{self, Script};
use crate::pg::portal::{self, Memory};
use crate::pg::{cancel, client, extension, settings, timeout, transaction};

use super::run::Worker;

/// Runs the statements of the operation in hand, forward or back.
pub fn run(worker: &Worker<'_>, job: &Job, way: Way, sql: &str, limit: Option<u32>) -> Result<()> {
    let limit = limit.map_or_else(guc::statement_timeout, |limit| {
        i32::try_from(limit).unwrap_or(i32::MAX)
    });
    let is_alone = {
        let _memory = Memory::enter_within();
        parse::parse(sql)?.needs_no_transaction()
    };
    match is_alone {
        true => alone(worker, job, way, sql, limit),
        false => attempts::committed(worker.session, &format!("job {}", job.name), || {
            let _memory = Memory::enter_within();
            settings::set_text_for_level(c"search_path", &job.search_path);
            let script = parse::parse(sql)?;
            for at in 0..script.statements.len() {
                statement(worker, job, &script, at, limit, false)?;
            }
            worker.confined(|| transaction::check_deferred_constraints(worker.session.mode));
            note(worker, job, way)
        }),
    }
}

/// It commits by itself: whether it is done is written afterwards, so after a crash it may be run again.
fn alone(worker: &Worker<'_>, job: &Job, way: Way, sql: &str, limit: i32) -> Result<()> {
    let _memory = Memory::enter_within();
    let script = parse::parse(sql)?;
    let path = settings::get(c"search_path");
    settings::set_text_for_session(c"search_path", &job.search_path);
    transaction::commit()?;
    let result = transaction::attempt(worker.session.mode, || {
        let _watch = lock_waits::limit_lock_waits(Some(0));
        for at in 0..script.statements.len() {
            statement(worker, job, &script, at, limit, true)?;
        }
        Ok(())
    });
    settings::set_text_for_session(c"search_path", &path);
    transaction::commit()?;
    result?;
    transaction::committed(worker.session.mode, || note(worker, job, way))
}

fn statement(
    worker: &Worker<'_>,
    job: &Job,
    script: &Script,
    at: usize,
    limit: i32,
    top_level: bool,
) -> Result<()> {
    let Some(this) = script.statements.get(at) else {
        return Ok(());
    };
    let ran = timeout::limited(limit, || {
        cancel::allow(|| worker.confined(|| portal::run(script, this, top_level)))?;
        if !top_level {
            cancel::allow(client::check_interrupts);
        }
        Ok(())
    });
    ran.map_err(|failure| placed(failure, job, script, script.line_of(this.start)))?;
    extension::refuse_altered_ledger()
}

fn placed(mut failure: Failure, job: &Job, script: &Script, line: usize) -> Failure {
    place::point_into(&mut failure, script.whole_text());
    failure.add_context(&format!(
        "job \"{}\" (project \"{}\"), operation {}, line {line}",
        job.name,
        job.project,
        job.operation + 1
    ));
    failure
}

/// The operation is done.
pub fn note(worker: &Worker<'_>, job: &Job, way: Way) -> Result<()> {
    let ledger = &worker.session.ledger;
    match way {
        Way::Rollback => ledger.retreat_job(job.id, job.operation),
        Way::Start | Way::Forward => ledger.advance_job(job.id, job.operation),
    }
}
