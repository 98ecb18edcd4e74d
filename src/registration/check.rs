//! The check before a merge: core compares, and here its errors get their SQLSTATEs.

use belay_core::check::{CheckError, Comparison, Finding, ScratchRun, Summary};
use belay_core::layout::SourceFile;
use belay_core::naming::Naming;
use semver::Version;

use super::definition::layout_code;
use crate::error::{Code, Failure, Result};

/// What is compared, and how.
pub struct Sides<'a> {
    /// The files of the branch that is merged into: path and content.
    pub base: &'a [(String, Vec<u8>)],
    /// The files as they would be after the merge.
    pub head: &'a [(String, Vec<u8>)],
    /// The naming; `None` = found.
    pub naming: Option<Naming>,
    /// The release of suggested names.
    pub release: Option<Version>,
    /// The footprints of a scratch run.
    pub footprints: Option<serde_json::Value>,
    /// Whether a finding is an error.
    pub fail: bool,
}

/// What head does to base; MG001 instead of any row where `fail` says so.
pub fn check_order(sides: &Sides<'_>) -> Result<Vec<Finding>> {
    let scratch = sides
        .footprints
        .as_ref()
        .map(ScratchRun::from_json)
        .transpose()
        .map_err(|e| Failure::new(Code::InvalidParameter, e.to_string(), e.hint()))?;
    let found = Comparison {
        base: &sources(sides.base),
        head: &sources(sides.head),
        naming: sides.naming,
        release: sides.release.as_ref(),
        scratch: scratch.as_ref(),
    }
    .findings()
    .map_err(|e| failure(&e))?;
    match Summary::of(&found) {
        Some(summary) if sides.fail => {
            Err(Failure::new(Code::Late, summary.message, summary.hint).detail(summary.detail))
        }
        _ => Ok(found),
    }
}

fn sources(files: &[(String, Vec<u8>)]) -> Vec<SourceFile<'_>> {
    files
        .iter()
        .map(|(path, content)| SourceFile { path, content })
        .collect()
}

fn failure(error: &CheckError) -> Failure {
    let code = match error {
        CheckError::Files { source, .. } => layout_code(source),
        CheckError::Checksum { .. } | CheckError::Empty => Code::File,
        CheckError::NoReleases { .. } | CheckError::OldRelease { .. } => Code::InvalidParameter,
    };
    Failure::new(code, error.to_string(), error.hint())
}
