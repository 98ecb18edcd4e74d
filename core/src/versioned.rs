//! Versioned names: `fetch_job_v2` is version 2 of `fetch_job`. An object that clients use is never changed
//! under its name; the next version is made beside it.

/// The longest name of the server's, in bytes (NAMEDATALEN - 1).
pub const LONGEST_NAME: usize = 63;

/// A base name or a number that gives no versioned name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionedNameError {
    /// Below 1.
    #[error("version {version} is not 1 or more")]
    Version {
        /// As it was given.
        version: i32,
    },
    /// Nothing to append the version to.
    #[error("base must not be empty")]
    EmptyBase,
    /// The base carries a version already.
    #[error("\"{base}\" carries a version already")]
    Versioned {
        /// As it was given.
        base: String,
        /// Without its version.
        without: String,
    },
}

impl VersionedNameError {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            VersionedNameError::Version { .. } | VersionedNameError::EmptyBase => {
                "SELECT belay.versioned_name('fetch_job', 2) gives fetch_job_v2".to_owned()
            }
            VersionedNameError::Versioned { without, .. } => {
                format!("pass base => '{without}'")
            }
        }
    }
}

/// The name of a version. Where it would be too long for the server, the base is cut at the end of a
/// character, never the version.
///
/// # Errors
///
/// [`VersionedNameError`].
pub fn versioned_name(base: &str, version: i32) -> Result<String, VersionedNameError> {
    if base.is_empty() {
        return Err(VersionedNameError::EmptyBase);
    }
    if version < 1 {
        return Err(VersionedNameError::Version { version });
    }
    if let Some((without, _)) = split_version(base) {
        return Err(VersionedNameError::Versioned {
            base: base.to_owned(),
            without: without.to_owned(),
        });
    }
    let suffix = format!("_v{version}");
    let room = LONGEST_NAME - suffix.len();
    let end = (0..=base.len().min(room))
        .rev()
        .find(|end| base.is_char_boundary(*end))
        .unwrap_or(0);
    Ok(format!("{}{suffix}", &base[..end]))
}

/// Base and version of a name; `None` when it carries none. A number with a leading zero is none.
#[must_use]
pub fn split_version(name: &str) -> Option<(&str, i32)> {
    let (base, digits) = name.rsplit_once("_v")?;
    let sound = !base.is_empty()
        && !digits.starts_with('0')
        && !digits.is_empty()
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    sound.then(|| Some((base, digits.parse().ok()?))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_version_follows_the_name() {
        assert_eq!(versioned_name("fetch_job", 2).unwrap(), "fetch_job_v2");
        assert_eq!(versioned_name("Fetch Job", 10).unwrap(), "Fetch Job_v10");
    }

    #[test]
    fn what_gives_no_name_is_refused() {
        let refused = |base, version| versioned_name(base, version).unwrap_err().to_string();
        assert_eq!(refused("f", 0), "version 0 is not 1 or more");
        assert_eq!(refused("f", -1), "version -1 is not 1 or more");
        assert_eq!(refused("", 1), "base must not be empty");
        assert_eq!(refused("f_v1", 2), "\"f_v1\" carries a version already");
        assert_eq!(
            versioned_name("f_v1", 2).unwrap_err().hint(),
            "pass base => 'f'"
        );
    }

    #[test]
    fn what_carries_no_version_has_none() {
        for name in [
            "fetch_job",
            "f_v",
            "_v1",
            "f_v01",
            "f_v0",
            "f_v1x",
            "f_v+1",
            "f_v9999999999",
        ] {
            assert_eq!(split_version(name), None, "{name}");
        }
        assert_eq!(split_version("a_v1_v2"), Some(("a_v1", 2)));
    }

    proptest! {
        #[test]
        fn a_name_fits_and_can_be_taken_apart(base in "\\PC{1,80}", version in 1..i32::MAX) {
            prop_assume!(split_version(&base).is_none());
            let name = versioned_name(&base, version).unwrap();
            prop_assert!(name.len() <= LONGEST_NAME);
            let (kept, found) = split_version(&name).unwrap();
            prop_assert_eq!(found, version);
            prop_assert!(base.starts_with(kept));
            prop_assert!(kept == base || name.len() + 4 > LONGEST_NAME);
        }
    }
}
