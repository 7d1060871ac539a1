//! The verbs of `firth`.

use std::process::ExitCode;

use clap::Parser;

/// A page of a hundred Observations is a few hundred short-lived allocations (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match firth::verbs::Command::try_parse() {
        Ok(command) => command,
        Err(e) => {
            // Help and version are no mistakes; everything else is (sysexits.h: EX_USAGE).
            let mistake = e.use_stderr();
            let _ = e.print();
            return ExitCode::from(if mistake { 64 } else { 0 });
        }
    };
    match firth::verbs::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("firth: {}", e.says());
            ExitCode::from(firth::verbs::exit_code(&e))
        }
    }
}
