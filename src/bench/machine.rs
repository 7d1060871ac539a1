//! What the machine says: CPU and memory of a process, the cost of an fdatasync, bytes on disk.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use super::failed;
use crate::error::Result;

/// Linux counts CPU in hundredths of a second (USER_HZ) on every architecture that Rust knows.
const TICKS: f64 = 100.0;
const SYNCS: usize = 200;

/// CPU seconds a process has used, its threads included; `None` where there is no /proc.
pub fn cpu_secs(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold spaces: count from behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

/// Resident memory in MB (10^6 bytes).
pub fn resident_mb(pid: u32) -> Option<f64> {
    memory(pid, "VmRSS:")
}

/// The most memory that was ever resident, in MB.
pub fn peak_mb(pid: u32) -> Option<f64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? * 1024.0 / 1e6)
}

/// Median microseconds to make 4 KiB more of a file durable.
pub fn fdatasync_us(folder: &Path) -> Result<f64> {
    let path = folder.join("fdatasync");
    let mut times = Vec::with_capacity(SYNCS);
    let mut work = || -> std::io::Result<()> {
        let mut file = File::create(&path)?;
        for _ in 0..SYNCS {
            file.write_all(&[1; 4096])?;
            let began = Instant::now();
            file.sync_data()?;
            times.push(began.elapsed().as_nanos() as f64 / 1e3);
        }
        drop(file);
        fs::remove_file(&path)
    };
    work().map_err(|e| failed(&folder.display().to_string(), e))?;
    times.sort_by(f64::total_cmp);
    Ok(times[SYNCS / 2])
}

/// Bytes of a file; `None` when there is none.
pub fn bytes(file: &Path) -> Option<f64> {
    fs::metadata(file).ok().map(|meta| meta.len() as f64)
}

/// `model, n cores` as /proc/cpuinfo has it.
pub fn name() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    format!("{}, {cores} cores", model.unwrap_or("unknown processor"))
}
