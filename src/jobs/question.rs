//! Queries that a job asks: whether it has to run, may start, may go on, and how far it is.

use super::run::Worker;
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::job::Job;
use crate::pg::{cancel, settings, spi, timeout, transaction};

/// A row of a query, each value as text.
type Row = Vec<Option<String>>;

/// Asks in a transaction of its own, which is undone, as the registrant.
fn ask(worker: &Worker<'_>, job: &Job, sql: &str) -> Result<Row> {
    let answer = transaction::undone(worker.session.mode, || {
        settings::open_level();
        settings::set_text_for_level(c"search_path", &job.search_path);
        timeout::limited(guc::statement_timeout(), || {
            cancel::allow(|| worker.confined(|| spi::first_row(sql)))
        })
    });
    Ok(answer?.unwrap_or_default())
}

/// Whether the first value of the answer is true.
pub fn is_true(row: &[Option<String>]) -> bool {
    matches!(row.first(), Some(Some(word)) if word == "t" || word == "true")
}

/// Whether a job has to run at all.
pub fn is_required(worker: &Worker<'_>, job: &Job, sql: Option<&str>) -> Result<bool> {
    match sql {
        None => Ok(true),
        Some(sql) => {
            let answer = ask(worker, job, sql);
            Ok(is_true(
                &answer.map_err(|failure| named(failure, job, "is_required"))?,
            ))
        }
    }
}

/// Refuses (MG020) where a check of that name says no, with the reason that it gives.
pub fn check(worker: &Worker<'_>, job: &Job, name: &str, sql: Option<&str>) -> Result<()> {
    let Some(sql) = sql else {
        return Ok(());
    };
    let answer = ask(worker, job, sql).map_err(|failure| named(failure, job, name))?;
    if is_true(&answer) {
        return Ok(());
    }
    let reason = answer.get(1).cloned().flatten();
    let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
    Err(Failure::new(
        Code::Job,
        format!("{name} of job \"{}\" says no{reason}", job.name),
        format!(
            "mend what it looks at, then SELECT belay.job_retry({})",
            job.arguments()
        ),
    )
    .detail(sql.to_owned()))
}

/// The percent that the job's own query tells; `None`: it has none, or it tells nothing. That it fails does no harm.
pub fn progress(worker: &Worker<'_>, job: &Job, sql: Option<&str>) -> Option<f64> {
    let answer = ask(worker, job, sql?).ok()?;
    answer.first()?.as_ref()?.trim().parse().ok()
}

fn named(mut failure: Failure, job: &Job, name: &str) -> Failure {
    failure.add_context(&format!("job \"{}\", {name}", job.name));
    failure
}
