//! The verbs of `firth`.

use std::process::ExitCode;

use clap::Parser;

/// A page of a hundred Observations is a few hundred short-lived allocations (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    small_pages();
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

/// Memory of 2 MB a page, which the allocator asks for, is cleared whole whenever a thread takes it anew: 35 % of what a
/// transaction of 200 resources cost (docs/performance.md).
fn small_pages() {
    #[cfg(target_os = "linux")]
    {
        const ON: libc::c_ulong = 1;
        const NONE: libc::c_ulong = 0;
        // SAFETY: the call takes numbers only, and changes nothing but how this process gets memory. Where it is refused
        // everything is as it was.
        unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, ON, NONE, NONE, NONE) };
    }
}
