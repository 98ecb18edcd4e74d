//! The names that are tried, in the order in which they are liked.

use std::iter::successors;

use semver::Version;

use super::ATTEMPTS;
use super::head::{Head, increment};
use crate::naming::{ReleaseName, rules};

/// Names with the newest's head, incremented; then the newest's whole name with a description.
pub(super) fn natural<'a>(late: &'a str, newest: &'a str) -> impl Iterator<Item = String> {
    let head = head_of_newest(late, newest);
    let (separator, description) = description_of(late, head.as_ref());
    let numbers = successors(head.and_then(|head| increment(head.number)), |number| {
        increment(number)
    });
    let prefix = head.map_or("", |head| head.prefix);
    let numbered = numbers.take(ATTEMPTS).map(move |number| match description {
        "" => format!("{prefix}{number}"),
        _ => format!("{prefix}{number}{separator}{description}"),
    });
    let said = if description.is_empty() {
        late
    } else {
        description
    };
    numbered.chain(behind(newest, said))
}

/// The newest's head, where its number counts migrations.
fn head_of_newest<'a>(late: &str, newest: &'a str) -> Option<Head<'a>> {
    let head = Head::of(newest)?;
    let shared = Head::of(late).is_some_and(|own| own.prefix == head.prefix);
    (shared || head.has_plain_prefix()).then_some(head)
}

/// What the new name says, and what stands before that.
///
/// The late one's own number is left out only where it counts migrations, too: the 2 of `oauth2_scopes`
/// among names such as `0003_users` does not.
fn description_of<'a>(late: &'a str, newest: Option<&Head<'a>>) -> (&'a str, &'a str) {
    let counts = |own: &Head<'_>| {
        own.prefix.is_empty()
            || own.prefix.eq_ignore_ascii_case("v")
            || newest.is_some_and(|newest| newest.prefix.eq_ignore_ascii_case(own.prefix))
    };
    let own = Head::of(late).filter(counts);
    let separator = match (newest.map_or("", |newest| newest.separator), own) {
        ("", Some(own)) => own.separator,
        ("", None) => "_",
        (separator, _) => separator,
    };
    (separator, own.map_or(late, |own| own.description))
}

/// A prefix sorts first, so that these sort after the newest whatever it looks like.
fn behind(newest: &str, said: &str) -> impl Iterator<Item = String> {
    (1..ATTEMPTS).map(move |n| match n {
        1 => format!("{newest}_{said}"),
        _ => format!("{newest}_{n}_{said}"),
    })
}

/// The next numbers of the newest's release, then those of the next release; or those of the one asked
/// for. `None`: that one sorts before it.
pub(super) fn release(
    late: &str,
    newest: &str,
    asked: Option<&Version>,
) -> Option<impl Iterator<Item = String>> {
    let parts = ReleaseName::parse(newest).ok()?;
    let version = newest.split('_').next()?;
    // With the phase, as it was written: names before the first phases have none.
    let said = rules::sound_text(match ReleaseName::parse(late) {
        Ok(_) => late.splitn(3, '_').nth(2)?,
        Err(_) => late,
    });
    let first = rules::first_number(&said);
    let behind = parts.number.checked_add(1)?.max(first);
    let of_newest = |version: &str| (version.to_owned(), behind);
    let places = match asked.map(|asked| (asked, asked.cmp_precedence(&parts.release))) {
        Some((_, std::cmp::Ordering::Less)) => return None,
        Some((asked, std::cmp::Ordering::Greater)) => vec![(in_look_of(version, asked), first)],
        Some((_, std::cmp::Ordering::Equal)) => vec![of_newest(version)],
        // A pre has no place behind the post of its release.
        None => vec![
            of_newest(version),
            (in_look_of(version, &next_release(&parts.release)?), first),
        ],
    };
    Some(places.into_iter().flat_map(move |(version, first)| {
        let said = said.clone();
        (first..=rules::LAST).map(move |number| format!("{version}_{number:02}_{said}"))
    }))
}

/// The next minor release; of a pre-release the release itself.
fn next_release(release: &Version) -> Option<Version> {
    match release.pre.is_empty() {
        true => Some(Version::new(
            release.major,
            release.minor.checked_add(1)?,
            0,
        )),
        false => Some(Version::new(release.major, release.minor, release.patch)),
    }
}

/// A version with leading zeros where `sample` has them: 3.2.0 like `03.01.00` is `03.02.00`.
fn in_look_of(sample: &str, version: &Version) -> String {
    let numbers = sample.split(['-', '+']).next().unwrap_or(sample);
    let mut widths = numbers.split('.').map(str::len);
    let mut padded = |number: u64| {
        let width = widths.next().unwrap_or(0);
        format!("{number:0width$}")
    };
    let [major, minor, patch] = [version.major, version.minor, version.patch].map(&mut padded);
    match version.pre.as_str() {
        "" => format!("{major}.{minor}.{patch}"),
        pre => format!("{major}.{minor}.{patch}-{pre}"),
    }
}

/// The newest's version incremented; then its version with digits behind it, since versions are compared as
/// strings, in which 10 sorts before 9.
pub(super) fn diesel(late: &str, newest: &str) -> impl Iterator<Item = String> {
    let version = newest.split('_').next().unwrap_or_default();
    let said = late.find('_').map_or("", |at| &late[at..]);
    let incremented = successors(increment(version), |version| increment(version))
        .take_while(|next| next.len() == version.len());
    let longer = (1..ATTEMPTS).map(move |n| format!("{version}{n}"));
    incremented
        .take(ATTEMPTS)
        .chain(longer)
        .map(move |version| format!("{version}{said}"))
}
