//! Takes the built SMART apps of `conformance/apps` into the binary, when they were built (`conformance/apps/build`).

use std::path::Path;
use std::{env, fs};

fn main() {
    let app = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is")).join("conformance/apps/vitals");
    // The folder is always there: a path that is not would have everything built anew each time.
    println!("cargo::rerun-if-changed={}", app.display());
    let mut files: Vec<String> = fs::read_dir(app.join("dist")).into_iter().flatten().flatten().map(|file| file.path()).map(row).collect();
    files.sort();
    let table = format!("pub const VITALS: &[(&str, &[u8])] = &[{}];\n", files.concat());
    let out = Path::new(&env::var("OUT_DIR").expect("cargo says where to write")).join("apps.rs");
    fs::write(out, table).expect("the folder of cargo can be written");
}

fn row(path: std::path::PathBuf) -> String {
    format!("({:?}, include_bytes!({:?})),", path.file_name().expect("a file").to_string_lossy(), path.display().to_string())
}
