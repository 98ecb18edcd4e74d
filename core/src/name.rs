//! What may be the name of a migration, in every naming.

/// The most characters (not bytes) that a name may have.
pub const MAX_NAME_CHARS: usize = 500;

/// A name that breaks a rule. Each variant is one rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name has no characters.
    #[error("migration name is empty")]
    Empty,
    /// The name has more than [`MAX_NAME_CHARS`] characters.
    #[error("migration name \"{start}...\" has {chars} characters, the most is {MAX_NAME_CHARS}")]
    TooLong {
        /// The first 40 characters.
        start: String,
        /// How many characters it has.
        chars: usize,
    },
    /// The name holds NUL, a line break, a tab or another control character.
    #[error("migration name \"{}\" holds the control character U+{code:04X}", name.escape_debug())]
    ControlCharacter {
        /// The name as it was given.
        name: String,
        /// The character's code point.
        code: u32,
    },
    /// The name begins or ends with white space.
    #[error("migration name \"{name}\" begins or ends with white space")]
    SurroundingSpace {
        /// The name as it was given.
        name: String,
    },
    /// The name begins with `@`, which is kept for words such as `@none`.
    #[error("migration name \"{name}\" begins with \"@\", which is reserved")]
    Reserved {
        /// The name as it was given.
        name: String,
    },
    /// The name is not `MM.mm.pp_NN_[pre|post]_description`.
    #[error("migration name \"{name}\" is not in release form: {rule}")]
    NotRelease {
        /// The name as it was given.
        name: String,
        /// What it breaks.
        rule: ReleaseRule,
    },
    /// A name in release form in a project whose names are not.
    #[error(
        "migration name \"{name}\" is in release form, but the project's naming is \"{naming}\""
    )]
    Mixing {
        /// The name as it was given.
        name: String,
        /// The project's naming.
        naming: crate::naming::Naming,
    },
}

/// The rules of a name in release form, `MM.mm.pp_NN_[pre|post]_description`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseRule {
    /// What stands before the first `_` is not three numbers separated by dots.
    #[error("it must begin with a version of three numbers")]
    Version,
    /// A number of the version does not fit 64 bits.
    #[error("a number of its version is too large")]
    VersionTooLarge,
    /// What follows the version's `-` is not a semver pre-release.
    #[error("the pre-release of its version is malformed")]
    PreRelease,
    /// Build metadata (`+...`) has no order in semver.
    #[error("its version has build metadata, which has no order")]
    BuildMetadata,
    /// The version is not followed by `_NN_`.
    #[error("the version must be followed by a number")]
    Number,
    /// The number does not fit 32 bits.
    #[error("its number is too large")]
    NumberTooLarge,
    /// The word of the phase is not in lower case.
    #[error("the phase must be written \"pre\" or \"post\"")]
    PhaseCase,
    /// Nothing follows the number and the phase.
    #[error("it has no description")]
    Description,
    /// The number does not have two digits.
    #[error("its number must have two digits")]
    NumberWidth,
    /// A pre, or a name without a phase, has a number that is none of 01 to 49.
    #[error("a pre has a number from 01 to 49")]
    PreNumber,
    /// A post has a number that is none of 50 to 99.
    #[error("a post has a number from 50 to 99")]
    PostNumber,
    /// The description has an upper-case letter.
    #[error("its description must be in lower case")]
    DescriptionCase,
    /// The description has a dash.
    #[error("its description must not have a dash")]
    DescriptionDash,
    /// The description has white space.
    #[error("its description must not have white space")]
    DescriptionSpace,
}

impl NameError {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            NameError::Empty => "give the migration a name such as '0001_users'".to_owned(),
            NameError::TooLong { .. } => {
                format!("choose a name of at most {MAX_NAME_CHARS} characters")
            }
            NameError::ControlCharacter { .. } => {
                "remove control characters such as tabs and line breaks from the name".to_owned()
            }
            NameError::SurroundingSpace { .. } => {
                "remove the white space around the name".to_owned()
            }
            NameError::Reserved { .. } => "choose a name that does not begin with '@'".to_owned(),
            NameError::NotRelease { name, .. } => match crate::naming::sound_release_name(name) {
                Some(sound) => format!(
                    "name it '{sound}'; where names are no releases: SELECT belay.project_create(<name>, naming => 'natural')"
                ),
                None => {
                    "names of this project look like '3.1.0_01_pre_add_column' or '3.1.0_50_post_drop_column'"
                        .to_owned()
                }
            },
            NameError::Mixing { .. } => {
                "rename it like the project's other migrations, or keep release names in a project of their own: project => 'name'"
                    .to_owned()
            }
        }
    }
}

/// Checks what holds for names in every naming.
///
/// # Errors
///
/// [`NameError`] if the name is empty, has more than [`MAX_NAME_CHARS`] characters, holds a control
/// character (Unicode's Cc, which includes NUL), begins or ends with white space or begins with `@`.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let chars = name.chars().count();
    if chars > MAX_NAME_CHARS {
        return Err(NameError::TooLong {
            start: name.chars().take(40).filter(|c| !c.is_control()).collect(),
            chars,
        });
    }
    if let Some(control) = name.chars().find(|c| c.is_control()) {
        return Err(NameError::ControlCharacter {
            name: name.to_owned(),
            code: u32::from(control),
        });
    }
    if name.trim() != name {
        return Err(NameError::SurroundingSpace {
            name: name.to_owned(),
        });
    }
    if name.starts_with('@') {
        return Err(NameError::Reserved {
            name: name.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_pass() {
        for name in ["1", "0001_users", "a b", "ünïcode", "x@y", "2024-01-01.2-x"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_name_of_500_characters_passes_and_one_of_501_does_not() {
        assert_eq!(check_name(&"😀".repeat(500)), Ok(()));
        assert!(matches!(
            check_name(&"x".repeat(501)),
            Err(NameError::TooLong { chars: 501, .. })
        ));
    }

    #[test]
    fn each_rule_has_its_own_error() {
        assert_eq!(check_name(""), Err(NameError::Empty));
        for bad in ["a\0b", "a\nb", "\ta", "a\u{85}b", "a\u{7f}"] {
            assert!(
                matches!(check_name(bad), Err(NameError::ControlCharacter { .. })),
                "{bad:?}"
            );
        }
        for bad in [" a", "a ", "\u{a0}a", " "] {
            assert!(
                matches!(check_name(bad), Err(NameError::SurroundingSpace { .. })),
                "{bad:?}"
            );
        }
        assert!(matches!(
            check_name("@none"),
            Err(NameError::Reserved { .. })
        ));
    }

    #[test]
    fn messages_show_control_characters_escaped() {
        let error = check_name("a\0b").unwrap_err();
        assert_eq!(
            error.to_string(),
            "migration name \"a\\0b\" holds the control character U+0000"
        );
    }
}
