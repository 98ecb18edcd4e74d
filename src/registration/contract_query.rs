//! What the code of a release sends: registered, replaced and dropped.
//!
//! Registering looks at the grammar only: the queries of a release that is still to come need not pass yet.

use semver::Version;

use crate::error::{Code, Failure, Result};
use crate::ledger::Ledger;
use crate::ledger::contract_query::ContractQuery;
use crate::ledger::project::Project;
use crate::pg::analysis::{self, Query};
use crate::pg::{identity, settings};

/// The word that means all queries of a release.
pub const ALL: &str = "@all";

/// The longest name, in characters.
const LONGEST_NAME: usize = 200;

/// What became of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Added,
    /// It was there with another text or search_path.
    Replaced,
    /// It was there.
    Unchanged,
    /// It was not taken.
    LeftOut(String),
}

impl Outcome {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Added => "added",
            Outcome::Replaced => "replaced",
            Outcome::Unchanged => "unchanged",
            Outcome::LeftOut(_) => "left out",
        }
    }
}

/// Registers one query.
pub fn register(
    ledger: &Ledger,
    project: &Project,
    release: &Version,
    name: &str,
    sql: &str,
) -> Result<Outcome> {
    refuse_bad_name(name)?;
    crate::pg::error::catch(|| analysis::refuse_unfit(sql)).map_err(|e| pointing_into(e, sql))?;
    let Some(old) = ledger.lock_contract_query(project, release, name)? else {
        ledger.put_contract_query(project, release, name, sql)?;
        return Ok(Outcome::Added);
    };
    if old.sql == sql && old.search_path == settings::get(c"search_path") {
        return Ok(Outcome::Unchanged);
    }
    refuse_strangers(project, &old, "replaced")?;
    if ledger.is_announced(project, release)? {
        return Err(Failure::new(
            Code::Changed,
            format!(
                "contract query {} is registered with another text or search_path, and the release is announced",
                old.title()
            ),
            format!(
                "what deployed code sends does not change; if the registered text is wrong, drop it first: \
                 SELECT belay.contract_query_drop('{release}', {}{})",
                pgrx::spi::quote_literal(name),
                crate::engine::planning::project_argument(&project.name)
            ),
        ));
    }
    ledger.put_contract_query(project, release, name, sql)?;
    Ok(Outcome::Replaced)
}

/// The server's caret belongs into the query, not into the statement that brought it.
fn pointing_into(mut failure: Failure, sql: &str) -> Failure {
    if let Failure::Server(error) = &mut failure {
        error.internal_position = std::mem::take(&mut error.cursor_position);
        error.internal_query = Some(sql.to_owned());
    }
    failure
}

/// Registers it if it passes now; what is no query, or does not pass, is left out.
pub fn register_passing(
    ledger: &Ledger,
    project: &Project,
    release: &Version,
    name: &str,
    sql: &str,
) -> Result<Outcome> {
    let path = settings::get(c"search_path");
    let fits = analysis::attempt_unfit(sql)?;
    let problem = match fits {
        Some(problem) => Some(problem),
        None => {
            let search_path = path.as_str();
            let verdicts = analysis::judge([Query { sql, search_path }])?;
            verdicts.into_iter().next().flatten()
        }
    };
    match problem {
        Some(problem) => Ok(Outcome::LeftOut(format!(
            "{}: {}",
            problem.sqlstate, problem.message
        ))),
        None => register(ledger, project, release, name, sql),
    }
}

/// Drops one query, or all of a release; how many.
pub fn drop(ledger: &Ledger, project: &Project, release: &Version, name: &str) -> Result<usize> {
    let dropped = match name {
        ALL => ledger.contract_queries(project, Some(release))?,
        name => ledger
            .lock_contract_query(project, release, name)?
            .into_iter()
            .collect(),
    };
    if dropped.is_empty() {
        return Err(Failure::new(
            Code::Unknown,
            match name {
                ALL => format!("release {release} has no contract queries"),
                name => format!("contract query \"{name}\" of release {release} is not registered"),
            },
            "SELECT release, name FROM belay.contract_check() lists what is",
        ));
    }
    for query in &dropped {
        refuse_strangers(project, query, "dropped")?;
        ledger.drop_contract_query(project, query)?;
    }
    Ok(dropped.len())
}

/// What others have registered is theirs, and the project's owner's.
fn refuse_strangers(project: &Project, query: &ContractQuery, what: &str) -> Result<()> {
    let registrant = identity::role_by_name(&query.registered_by);
    if project.is_owned_by_caller()
        || registrant.is_some_and(|role| identity::has_rights_of(identity::current_role(), role))
    {
        return Ok(());
    }
    Err(Failure::new(
        Code::Privilege,
        format!(
            "contract query {} can be {what} only by \"{}\", who registered it, and by the project's owner",
            query.title(),
            query.registered_by
        ),
        format!("ask a member of role \"{}\"", project.owner),
    ))
}

fn refuse_bad_name(name: &str) -> Result<()> {
    let sound = !name.is_empty()
        && name.chars().count() <= LONGEST_NAME
        && name.trim() == name
        && !name.starts_with('@')
        && !name.chars().any(char::is_control);
    if sound {
        return Ok(());
    }
    Err(Failure::new(
        Code::Name,
        format!("\"{name}\" is not the name of a contract query"),
        format!(
            "use 1 to {LONGEST_NAME} characters, without control characters, white space at the ends or @ at the beginning"
        ),
    ))
}
