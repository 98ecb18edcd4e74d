//! The gate of post: code of an older release may be gone only when nobody runs it any more.
//!
//! Which clients count is decided in [`belay_core::gate`]. Here the posts of a plan are held against them,
//! before anything runs and again before each post; and whoever asked for it waits until they have gone,
//! without a snapshot, a transaction or the project's lock. A client that connects after the look is not seen.

mod told;

use std::time::Duration;

use belay_core::gate::{Rules, Shown, judge};
use belay_core::naming::Phase;
use belay_core::plan::{Direction, Plan, PlannedStep, Request};
use semver::Version;

use self::told::lines;
use super::call::{Call, Gate};
use super::polling::Polling;
use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::clients::Client;
use crate::ledger::project::Project;
use crate::pg::client;
use crate::pg::transaction::{self, Mode};

/// How long `gate => 'wait'` waits where nothing is said.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// As far as it was to go.
    Done,
    /// Before a post that may not run now.
    AtGate(Box<Shut>),
}

/// A post that may not run, and why.
#[derive(Debug)]
pub struct Shut {
    release: Version,
    /// Clients of older releases.
    older: Vec<Client>,
    /// Clients that show none, where the project refuses those.
    unknown: Vec<Client>,
}

/// The clients, for the posts of one plan.
pub struct Look<'a> {
    project: &'a Project,
    clients: Vec<Client>,
}

impl<'a> Look<'a> {
    /// Looks at them now.
    pub fn now(ledger: &Ledger, project: &'a Project) -> Result<Look<'a>> {
        let clients = ledger.clients(project)?;
        Ok(Look { project, clients })
    }

    /// Looks at them if the plan has a post, and where they can be seen.
    pub fn for_plan(ledger: &Ledger, project: &'a Project, plan: &Plan) -> Result<Option<Self>> {
        let asks = plan.steps.iter().any(|step| post_of(step).is_some());
        match asks && !transaction::is_standby() {
            true => Look::now(ledger, project).map(Some),
            false => Ok(None),
        }
    }

    /// What keeps the step from running.
    pub fn shut(&self, step: &PlannedStep) -> Option<Shut> {
        self.shut_for(post_of(step)?)
    }

    /// The first post of a plan that may not run.
    pub fn first_shut(&self, plan: &Plan) -> Option<Shut> {
        plan.steps.iter().find_map(|step| self.shut(step))
    }

    fn shut_for(&self, release: &Version) -> Option<Shut> {
        let rules = Rules {
            source: self.project.gate_source,
            unknown: self.project.unknown_clients,
        };
        let shown: Vec<&Shown> = self.clients.iter().map(|client| &client.shown).collect();
        let judgement = judge(release, &shown, rules);
        if judgement.open {
            return None;
        }
        let these = |places: &[usize]| -> Vec<Client> {
            let found = places.iter().filter_map(|place| self.clients.get(*place));
            found.cloned().collect()
        };
        let refuses = rules.unknown == belay_core::gate::UnknownClients::Refuse;
        Some(Shut {
            release: release.clone(),
            older: these(&judgement.older),
            unknown: match refuses {
                true => these(&judgement.unknown),
                false => Vec::new(),
            },
        })
    }

    /// Clients that show no release are named where they let the post run.
    fn tell_unknown(&self) {
        let unknown = |client: &&Client| client.shown == Shown::Nothing;
        let unknown: Vec<&Client> = self.clients.iter().filter(unknown).collect();
        if unknown.is_empty() {
            return;
        }
        let message = match unknown.len() {
            1 => "1 client shows no release, and is let pass by the gate".to_owned(),
            n => format!("{n} clients show no release, and are let pass by the gate"),
        };
        client::notice_with_detail(message, Some(&lines(unknown.into_iter())));
    }
}

/// The release whose post a step applies.
fn post_of(step: &PlannedStep) -> Option<&Version> {
    let applies = step.direction == Direction::Up && step.entry.phase == Some(Phase::Post);
    step.entry.release.as_ref().filter(|_| applies)
}

/// Refuses what a call may not ask for: to go past the gate takes the owner and a reason, and waiting
/// takes transactions that end.
pub fn refuse_call(project: &Project, call: &Call) -> Result<()> {
    match call.gate {
        Gate::Off => {
            project.refuse_strangers("run with gate => 'off'")?;
            match call.reason.as_deref().map(str::trim) {
                None | Some("") => Err(Failure::new(
                    Code::InvalidParameter,
                    "gate => 'off' needs a reason",
                    "pass reason => '...'; it is kept in the history",
                )),
                Some(_) => Ok(()),
            }
        }
        Gate::Wait if call.mode == Mode::Caller => Err(Failure::new(
            Code::ActiveTransaction,
            "gate => 'wait' cannot wait inside the caller's transaction",
            "call it outside a transaction block (autocommit), or pass gate => 'check'",
        )),
        Gate::Wait | Gate::Check | Gate::Skip => Ok(()),
    }
}

/// Whether a post of the plan may not run. Clients that show no release are told once.
pub fn before_plan(
    ledger: &Ledger,
    project: &Project,
    call: &Call,
    plan: &Plan,
) -> Result<Option<Shut>> {
    if call.gate == Gate::Off {
        return Ok(None);
    }
    let Some(look) = Look::for_plan(ledger, project, plan)? else {
        return Ok(None);
    };
    let shut = look.first_shut(plan);
    if shut.is_none() {
        look.tell_unknown();
    }
    Ok(shut)
}

/// Whether the step is a post that may not run: clients may have come since the plan was judged.
pub fn before_step(
    ledger: &Ledger,
    project: &Project,
    call: &Call,
    step: &PlannedStep,
) -> Result<Option<Shut>> {
    if call.gate == Gate::Off || post_of(step).is_none() {
        return Ok(None);
    }
    Ok(Look::now(ledger, project)?.shut(step))
}

/// Whether a call that has run a part of its plan may end there, and be planned again for the rest.
pub fn may_stop_halfway(call: &Call) -> bool {
    match call.gate {
        Gate::Skip => true,
        // What `steps` counted has been counted, and what a redo reverted would be reverted again.
        Gate::Wait => matches!(
            call.request,
            Request::Up { steps: None, .. } | Request::To { .. }
        ),
        Gate::Check | Gate::Off => false,
    }
}

/// A call's patience at the gate.
pub struct Patience(Option<Polling>);

impl Patience {
    /// Before the first look.
    pub fn new() -> Patience {
        Patience(None)
    }

    /// What becomes of a call that stands before a shut gate. `true`: it is open now, go on.
    pub fn at(
        &mut self,
        ledger: &Ledger,
        project: &Project,
        call: &Call,
        shut: Shut,
    ) -> Result<bool> {
        match call.gate {
            Gate::Skip => {
                client::notice_with_detail(
                    format!("{}: skipped", shut.message()),
                    Some(shut.detail().as_str()).filter(|detail| !detail.is_empty()),
                );
                Ok(false)
            }
            Gate::Wait => {
                let limit = call.wait.unwrap_or(PATIENCE);
                let polling = self.0.get_or_insert_with(|| Polling::begin(Some(limit)));
                until_open(ledger, project, polling, shut).map(|()| true)
            }
            Gate::Check | Gate::Off => Err(shut.failure(project)),
        }
    }
}

/// Looks again and again, a commit before each pause.
fn until_open(
    ledger: &Ledger,
    project: &Project,
    polling: &mut Polling,
    mut shut: Shut,
) -> Result<()> {
    if !polling.is_over() {
        client::notice_with_detail(
            format!("waiting: {}", shut.message()),
            Some(shut.detail().as_str()).filter(|detail| !detail.is_empty()),
        );
    }
    loop {
        if polling.is_over() {
            let waited = polling.has_paused().then(|| polling.waited());
            return Err(shut.failure_after(project, waited));
        }
        transaction::commit()?;
        polling.pause()?;
        match Look::now(ledger, project)?.shut_for(&shut.release) {
            Some(still) => shut = still,
            None => {
                client::notice(format!(
                    "the gate of post {} is open after {}",
                    shut.release,
                    polling.waited()
                ));
                return Ok(());
            }
        }
    }
}
