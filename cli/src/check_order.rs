//! `belay check-order BASE HEAD`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use belay_core::check::{Comparison, ScratchRun};
use belay_core::naming::{Naming, parse_release};
use clap::Args;
use semver::Version;

use crate::directory::{Files, unreadable};
use crate::error::Error;
use crate::report;

/// Check what the migrations of one branch would do where those of another are applied.
///
/// Prints each migration that is late (new in HEAD, and sorts before the newest of BASE), changed or missing,
/// and the commands that rename the late ones. Exit code: 0 nothing found, 1 something found, 2 the arguments
/// or the files cannot be read.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder of migrations of the branch that is merged into
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// The same folder as it would be after the merge
    #[arg(value_name = "HEAD")]
    head: PathBuf,
    /// natural, release or diesel; found from the names of BASE by default
    #[arg(long, value_parser = naming)]
    naming: Option<Naming>,
    /// The release for which new names are suggested; the newest one by default
    #[arg(long, value_parser = release)]
    release: Option<Version>,
    /// What belay.footprints() gave after a scratch run of HEAD: then only what meets a later migration of BASE is late
    #[arg(long, value_name = "FILE")]
    footprints: Option<PathBuf>,
}

fn naming(word: &str) -> Result<Naming, String> {
    word.parse::<Naming>().map_err(|error| error.hint())
}

fn release(text: &str) -> Result<Version, String> {
    parse_release(text).map_err(|error| error.hint())
}

/// Runs the check; whether anything was found.
pub fn run(arguments: &Arguments) -> Result<bool, Error> {
    let base = Files::read(&arguments.base)?;
    let head = Files::read(&arguments.head)?;
    let scratch = arguments
        .footprints
        .as_deref()
        .map(read_footprints)
        .transpose()?;
    let findings = Comparison {
        base: &base.sources(),
        head: &head.sources(),
        naming: arguments.naming,
        release: arguments.release.as_ref(),
        scratch: scratch.as_ref(),
    }
    .findings()?;
    let text = match findings.is_empty() {
        true => "head follows base\n".to_owned(),
        false => report::table(&findings) + &report::commands(&findings, &head, &arguments.head),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(!findings.is_empty())
}

fn read_footprints(path: &Path) -> Result<ScratchRun, Error> {
    let text = fs::read_to_string(path).map_err(unreadable(path))?;
    let json = serde_json::from_str(&text).map_err(|source| Error::Json {
        path: path.to_owned(),
        source,
    })?;
    ScratchRun::from_json(&json).map_err(|source| Error::Footprints {
        path: path.to_owned(),
        source,
    })
}
