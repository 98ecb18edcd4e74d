//! Releases of a project's code: which is deployed, and who runs which.

use std::time::Duration;

use belay_core::gate::{Shown, UnknownClients};
use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::iter::TableIterator;
use pgrx::{AnyElement, pg_extern, pg_sys};

use super::required;
use super::verbs::release_argument;
use crate::engine::announce::announce;
use crate::engine::checkin;
use crate::error::{Code, Failure, Result, entry};
use crate::jobs::workers;
use crate::ledger::Ledger;
use crate::ledger::clients::{Client, KnownBy};
use crate::ledger::project::{self, Project};
use crate::pg::arguments::Arguments;
use crate::pg::spi;

const ANNOUNCEMENT: &str =
    "SELECT a FROM belay.announcement a WHERE a.id OPERATOR(pg_catalog.=) $1";

/// The longest that a check-in may last without another.
const A_DAY: i128 = 86_400_000_000;

#[pg_extern(sql = false)]
fn release_announce(fcinfo: pg_sys::FunctionCallInfo) -> Option<AnyElement> {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let mut arguments = Arguments::of(fcinfo, &ledger.installed);
        let release: String = required(arguments.next(), "release")?;
        let name: String = required(arguments.next(), "project")?;
        let project = ledger.project(&name)?;
        let id = announce(&ledger, &project, &release_argument(&release)?)?;
        workers::wake(&ledger)?;
        spi::composite(ANNOUNCEMENT, &[spi::bind(id)])
    })
}

#[pg_extern(sql = false)]
fn client_checkin(
    release: Option<&str>,
    instance: Option<&str>,
    expires: Option<Interval>,
    project: Option<&str>,
) -> TimestampWithTimeZone {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let release = release_argument(required(release, "release")?)?;
        let instance = required(instance, "instance")?;
        let expires = lifetime(required(expires, "expires")?)?;
        let project = ledger.project(required(project, "project")?)?;
        checkin::check_in(&ledger, &project, &release, instance, expires)
    })
}

#[pg_extern(sql = false)]
fn client_checkout(instance: Option<&str>, project: Option<&str>) -> bool {
    entry(|| {
        let ledger = Ledger::open_to_write()?;
        let instance = required(instance, "instance")?;
        let project = ledger.project(required(project, "project")?)?;
        checkin::check_out(&ledger, &project, instance)
    })
}

/// How long a check-in counts; one without end would keep the gate shut for ever.
fn lifetime(expires: Interval) -> Result<Duration> {
    let days = i128::from(expires.days()) + 30 * i128::from(expires.months());
    let micros = i128::from(expires.micros()) + days * A_DAY;
    match u64::try_from(micros) {
        Ok(micros) if micros > 0 && i128::from(micros) <= A_DAY => {
            Ok(Duration::from_micros(micros))
        }
        _ => Err(Failure::new(
            Code::InvalidParameter,
            "expires must be more than nothing and at most a day",
            "pass expires => '5 min', and check in again before it is over",
        )),
    }
}

/// The columns of belay.clients: source, pid, address, role, application_name, release, instance, since,
/// expires_at, verdict.
type ClientRow = (
    &'static str,
    Option<i32>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<TimestampWithTimeZone>,
    Option<TimestampWithTimeZone>,
    String,
);

type ClientRows = TableIterator<'static, ClientRow>;

#[pg_extern(sql = false)]
fn clients(project: Option<&str>) -> ClientRows {
    let rows = entry(|| {
        let ledger = Ledger::open()?;
        let name = required(project, "project")?;
        if name == project::DEFAULT && ledger.find_project(name)?.is_none() {
            return Ok(Vec::new());
        }
        let project = ledger.project(name)?;
        let posts = ledger.releases_with_pending_post(&project)?;
        let rows = ledger.clients(&project)?.into_iter();
        Ok(rows.map(|client| row(client, &project, &posts)).collect())
    });
    TableIterator::new(rows)
}

fn row(client: Client, project: &Project, posts: &[semver::Version]) -> ClientRow {
    let verdict = verdict(&client.shown, project, posts);
    let release = match &client.shown {
        Shown::Release(release) => Some(release.to_string()),
        Shown::Nothing | Shown::OtherProject => None,
    };
    let (role, since) = (client.role, client.since);
    match client.known_by {
        KnownBy::Session {
            pid,
            address,
            application_name,
        } => (
            "session",
            Some(pid),
            address,
            role,
            Some(application_name),
            release,
            None,
            since,
            None,
            verdict,
        ),
        KnownBy::Checkin {
            instance,
            expires_at,
        } => (
            "checkin",
            None,
            None,
            role,
            None,
            release,
            Some(instance),
            since,
            Some(expires_at),
            verdict,
        ),
    }
}

/// What it means for the posts that are pending.
fn verdict(shown: &Shown, project: &Project, posts: &[semver::Version]) -> String {
    match shown {
        Shown::Release(release) => {
            let holds = |post: &&semver::Version| release.cmp_precedence(post).is_lt();
            match posts.iter().find(holds) {
                Some(post) => format!("holds post of {post}"),
                None => "passes".to_owned(),
            }
        }
        Shown::OtherProject => "another project".to_owned(),
        Shown::Nothing => match (project.unknown_clients, posts.first()) {
            (UnknownClients::Refuse, Some(post)) => format!("no release: holds post of {post}"),
            _ => "no release: passes".to_owned(),
        },
    }
}
