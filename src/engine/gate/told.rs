//! A shut gate in words: who keeps it shut, and what to do about that.

use std::time::Duration;

use belay_core::gate::{Shown, Source};

use super::Shut;
use crate::engine::place;
use crate::engine::planning::project_argument;
use crate::error::{Code, Failure};
use crate::ledger::clients::{Client, KnownBy};
use crate::ledger::project::Project;

/// How many clients an error lists.
const LISTED: usize = 20;

impl Shut {
    /// MG018.
    pub fn failure(&self, project: &Project) -> Failure {
        self.failure_after(project, None)
    }

    pub(super) fn failure_after(&self, project: &Project, waited: Option<String>) -> Failure {
        let waited = waited.map_or(String::new(), |waited| format!(", after waiting {waited}"));
        let failure = Failure::new(Code::Gate, self.message_after(&waited), self.hint(project));
        match self.detail() {
            detail if detail.is_empty() => failure,
            detail => failure.detail(detail),
        }
    }

    /// How many, and of what.
    pub fn message(&self) -> String {
        self.message_after("")
    }

    fn message_after(&self, waited: &str) -> String {
        let mut held = Vec::new();
        match self.older.len() {
            0 => {}
            1 => held.push("1 client of an older release".to_owned()),
            n => held.push(format!("{n} clients of older releases")),
        }
        match self.unknown.len() {
            0 => {}
            1 => held.push("1 client that shows no release".to_owned()),
            n => held.push(format!("{n} clients that show no release")),
        }
        let why = match self.older.len() + self.unknown.len() {
            0 => "no client has checked in".to_owned(),
            1 => format!("{} is there", held.concat()),
            _ => format!("{} are there", held.join(" and ")),
        };
        format!(
            "post of release {} may not run yet{waited}: {why}",
            self.release
        )
    }

    /// A line a client.
    pub fn detail(&self) -> String {
        lines(self.older.iter().chain(&self.unknown))
    }

    /// The next action.
    pub fn hint(&self, project: &Project) -> String {
        let argument = project_argument(&project.name);
        let mut ways = self.ways_to_end(&argument);
        if ways.is_empty() {
            ways.push(format!(
                "let each instance say its release: SELECT belay.client_checkin('{}', <instance>{argument})",
                self.release
            ));
        }
        ways.push("or wait until the gate is open: gate => 'wait', wait => '5 min'".to_owned());
        ways.push(
            "or as the project's owner do not look: gate => 'off', reason => '...'".to_owned(),
        );
        if project.gate_source == Source::Sessions {
            ways.push(format!(
                "not seen are idle clients behind a pooler and clients of standbys; where there are such: SELECT belay.project_alter({}, gate_source => 'checkin')",
                pgrx::spi::quote_literal(&project.name)
            ));
        }
        ways.join("; ")
    }

    /// How to end the clients by name.
    fn ways_to_end(&self, argument: &str) -> Vec<String> {
        let (mut names, mut instances): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
        for client in self.older.iter().chain(&self.unknown) {
            match &client.known_by {
                KnownBy::Session {
                    application_name, ..
                } => {
                    let name = pgrx::spi::quote_literal(application_name);
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                KnownBy::Checkin { instance, .. } => instances.push(instance),
            }
        }
        let mut ways = Vec::new();
        if !names.is_empty() {
            names.truncate(LISTED);
            ways.push(format!(
                "end them by name: SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name IN ({})",
                names.join(", ")
            ));
        }
        if let Some(first) = instances.first() {
            ways.push(format!(
                "stop the instances that have checked in, or take them out: SELECT belay.client_checkout({}{argument})",
                pgrx::spi::quote_literal(first)
            ));
        }
        ways
    }
}

/// A line a client.
pub(super) fn lines<'a>(clients: impl Iterator<Item = &'a Client>) -> String {
    let clients: Vec<&Client> = clients.collect();
    let mut lines: Vec<String> = clients.iter().take(LISTED).map(|one| line(one)).collect();
    if clients.len() > LISTED {
        lines.push(format!("and {} more", clients.len() - LISTED));
    }
    lines.join("\n")
}

fn line(client: &Client) -> String {
    let role = client.role.as_deref().unwrap_or("(unknown)");
    let age = place::duration(Duration::from_secs_f64(client.age.max(0.0)));
    let release = match &client.shown {
        Shown::Release(release) => format!("release {release}"),
        Shown::Nothing | Shown::OtherProject => "no release".to_owned(),
    };
    match &client.known_by {
        KnownBy::Session {
            pid,
            address,
            application_name,
        } => {
            let address = address.as_deref().unwrap_or("local");
            let named = match (&client.shown, application_name.as_str()) {
                (Shown::Release(_), _) => String::new(),
                (_, "") => ", no application_name".to_owned(),
                (_, name) => format!(", application_name {name}"),
            };
            format!("pid {pid}, {address}, role {role}, {release}{named}, connected for {age}")
        }
        KnownBy::Checkin { instance, .. } => {
            format!("instance {instance}, role {role}, {release}, checked in {age} ago")
        }
    }
}
