//! `belay`: the checks that need no database, for CI and for hooks.
//!
//! Exit codes: 0 nothing found, 1 something found, 2 the arguments or the files cannot be read. What was found
//! goes to stdout, errors go to stderr. All decisions are those of `belay-core`, which the extension uses, too.

mod check_order;
mod directory;
mod error;
mod report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The checks of Belay that need no database.
#[derive(Debug, Parser)]
#[command(name = "belay", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    CheckOrder(check_order::Arguments),
}

/// Something was found.
const FOUND: u8 = 1;
/// Nothing can be said.
const UNREADABLE: u8 = 2;

fn main() -> ExitCode {
    let Command::CheckOrder(arguments) = Arguments::parse().command;
    match check_order::run(&arguments) {
        Ok(false) => ExitCode::SUCCESS,
        Ok(true) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("error: {error}\nhint: {}", error.hint());
            ExitCode::from(UNREADABLE)
        }
    }
}
