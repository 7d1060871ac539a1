//! SDK upload bodies.

use serde_json::{Value, json};

pub const HEART_RATE: &str = "HKQuantityTypeIdentifierHeartRate";
pub const STEPS: &str = "HKQuantityTypeIdentifierStepCount";
pub const WEIGHT: &str = "HKQuantityTypeIdentifierBodyMass";
pub const SYSTOLIC: &str = "HKQuantityTypeIdentifierBloodPressureSystolic";
pub const DIASTOLIC: &str = "HKQuantityTypeIdentifierBloodPressureDiastolic";

/// A number with the digits as they are written.
pub fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Minutes after 2026-03-01T00:00:00Z.
pub fn minute(n: i64) -> String {
    second(n * 60)
}

/// Seconds after 2026-03-01T00:00:00Z.
pub fn second(n: i64) -> String {
    jiff::Timestamp::from_second(1_772_323_200 + n).expect("a time").to_string()
}

pub fn watch() -> Value {
    json!({
        "name": "Test Watch", "bundleIdentifier": "com.apple.health", "deviceManufacturer": "Apple Inc.", "deviceModel": "Watch",
        "productType": "Watch7,5", "deviceHardwareVersion": "Watch7,5", "deviceSoftwareVersion": "10.3.1",
        "operatingSystemVersion": {"majorVersion": 10, "minorVersion": 3, "patchVersion": 1},
    })
}

/// A record of one moment. An empty id is none.
pub fn record(kind: &str, id: &str, at: &str, value: &str) -> Value {
    let unit = match kind {
        HEART_RATE => "bpm",
        STEPS => "count",
        WEIGHT => "kg",
        SYSTOLIC | DIASTOLIC => "mmHg",
        _ => "",
    };
    let id = if id.is_empty() { Value::Null } else { json!(id) };
    json!({
        "id": id, "type": kind, "startDate": at, "endDate": at, "zoneOffset": "+01:00", "source": watch(),
        "value": number(value), "unit": unit, "parentId": null, "metadata": null,
    })
}

pub fn heart(id: &str, at: &str, value: &str) -> Value {
    record(HEART_RATE, id, at, value)
}

/// The same record with one member changed.
pub fn but(mut record: Value, member: &str, value: Value) -> Value {
    record[member] = value;
    record
}

/// `n` heart rates a minute apart, with ids that start with `prefix`.
pub fn hearts(prefix: &str, n: usize) -> Vec<Value> {
    (0..n).map(|i| heart(&format!("{prefix}-{i}"), &minute(i as i64), &format!("{}", 55 + i % 60))).collect()
}

pub fn body(provider: &str, records: Vec<Value>) -> Value {
    json!({"provider": provider, "sdkVersion": "0.11.0", "syncTimestamp": "2026-03-20T10:00:00Z", "data": {"records": records, "sleep": [], "workouts": []}})
}

pub fn apple(records: Vec<Value>) -> Value {
    body("apple", records)
}

pub fn sleep(id: &str, stage: &str, start: &str, end: &str) -> Value {
    json!({"id": id, "stage": stage, "startDate": start, "endDate": end, "zoneOffset": "+01:00", "source": watch()})
}

pub fn night(segments: Vec<Value>) -> Value {
    json!({"provider": "apple", "sdkVersion": "0.11.0", "syncTimestamp": "2026-03-20T10:00:00Z", "data": {"records": [], "sleep": segments, "workouts": []}})
}
