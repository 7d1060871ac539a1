//! Bundles the SMART app of the demo, `conformance/apps/vitals`, with npm and takes it into the binary. Without npm, or
//! without its packages, the binary is built without the app and a warning says what to do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() {
    let app = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is")).join("conformance/apps/vitals");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo says where to write"));
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", app.display());
    let files = bundled(&app, &out.join("vitals")).unwrap_or_else(|why| {
        println!("cargo::warning=the demo's app is left out: {}", why.replace('\n', " "));
        println!("cargo::warning=install Node.js 20 or newer with npm, run `touch build.rs` and build again");
        Vec::new()
    });
    let table = format!("pub const VITALS: &[(&str, &[u8])] = &[{}];\n", files.into_iter().map(row).collect::<String>());
    fs::write(out.join("apps.rs"), table).expect("the folder of cargo can be written");
}

/// The files of the bundle, in an order of their own. A build writes nowhere else than into cargo's folder, so the sources
/// are copied there first.
fn bundled(app: &Path, work: &Path) -> Result<Vec<PathBuf>, String> {
    copied(app, work).map_err(|e| format!("its sources cannot be copied: {e}"))?;
    // The lock file has a hash of each package, and none of their scripts is run.
    npm(work, &["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--fetch-timeout=30000"])?;
    npm(work, &["run", "build"])?;
    let listed =
        fs::read_dir(work.join("dist")).and_then(|files| files.map(|file| file.map(|file| file.path())).collect::<io::Result<_>>());
    let mut files: Vec<PathBuf> = listed.map_err(|e| format!("npm run build made no dist: {e}"))?;
    files.sort();
    Ok(files)
}

fn npm(work: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("npm").arg("--loglevel=error").args(arguments).current_dir(work).output();
    let output = output.map_err(|e| format!("npm cannot be run: {e}"))?;
    let said = || String::from_utf8_lossy(&output.stderr).trim().chars().take(500).collect::<String>();
    if output.status.success() { Ok(()) } else { Err(format!("npm {} failed: {}", arguments[0], said())) }
}

/// The files of a folder and of those in it, without what npm made there.
fn copied(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true if entry.file_name() == "node_modules" || entry.file_name() == "dist" => {}
            true => copied(&entry.path(), &target)?,
            false => fs::copy(entry.path(), target).map(|_| ())?,
        }
    }
    Ok(())
}

fn row(path: PathBuf) -> String {
    format!("({:?}, include_bytes!({:?})),", path.file_name().expect("a file").to_string_lossy(), path.display().to_string())
}
