//! Rules that a migration is let off, each with its reason: `-- belay: waive RULE reason`.

use super::violation::Violation;

/// A waiver, for everything that one migration does against one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The rule's id.
    pub rule: &'static str,
    /// Why.
    pub reason: String,
}

impl Waiver {
    /// Reads what [`Waiver::to_text`] wrote; `None` for a rule that is no more.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Waiver> {
        let (rule, reason) = text.split_once(' ')?;
        Some(Waiver {
            rule: super::find(rule)?.id,
            reason: reason.to_owned(),
        })
    }

    /// `RULE reason`
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{} {}", self.rule, self.reason)
    }
}

/// Violations, parted by the waivers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// What is waived, one line each: rule, object, what, and the reason in brackets.
    pub waived: Vec<String>,
    /// What is not.
    pub left: Vec<Violation>,
    /// Rules whose waiver nothing needed.
    pub unneeded: Vec<&'static str>,
}

/// Applies waivers.
#[must_use]
pub fn settle(violations: Vec<Violation>, waivers: &[Waiver]) -> Settled {
    let mut settled = Settled {
        unneeded: waivers
            .iter()
            .map(|waiver| waiver.rule)
            .filter(|rule| violations.iter().all(|violation| violation.rule != *rule))
            .collect(),
        ..Settled::default()
    };
    for violation in violations {
        match waivers.iter().find(|waiver| waiver.rule == violation.rule) {
            Some(waiver) => settled
                .waived
                .push(format!("{violation} ({})", waiver.reason)),
            None => settled.left.push(violation),
        }
    }
    settled
}
