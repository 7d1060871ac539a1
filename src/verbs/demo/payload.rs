//! The last 24 hours of a person as their SDK would send them.
//!
//! Values and record ids follow from the person, the metric and the time alone, so a demo that is
//! started again on its folder sends what it has sent before, and only what is new is stored.

use serde_json::{Value, json};

use super::people::{Person, Phone};
use crate::clock::Millis;
use crate::ledger::documents::instant;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// A night: stages and their minutes.
const NIGHT: [(&str, i64); 16] = [
    ("awake", 6),
    ("light", 24),
    ("deep", 48),
    ("light", 30),
    ("rem", 14),
    ("light", 42),
    ("deep", 30),
    ("light", 36),
    ("rem", 28),
    ("awake", 4),
    ("light", 50),
    ("deep", 14),
    ("light", 44),
    ("rem", 36),
    ("light", 40),
    ("awake", 3),
];

/// One person's records up to a moment.
pub struct Payload<'a> {
    who: &'a Person,
    /// The last sample's time: a minute ago.
    last: Millis,
    records: Vec<Value>,
}

/// A metric: its name in each SDK and its unit.
#[derive(Clone, Copy)]
struct Metric(&'static str, &'static str, &'static str);

const HEART_RATE: Metric = Metric("HKQuantityTypeIdentifierHeartRate", "HEART_RATE", "bpm");
const RESTING: Metric = Metric("HKQuantityTypeIdentifierRestingHeartRate", "RESTING_HEART_RATE", "bpm");
const VARIABILITY: Metric = Metric("HKQuantityTypeIdentifierHeartRateVariabilitySDNN", "HEART_RATE_VARIABILITY", "ms");
const OXYGEN: Metric = Metric("HKQuantityTypeIdentifierOxygenSaturation", "OXYGEN_SATURATION", "%");
const BREATHS: Metric = Metric("HKQuantityTypeIdentifierRespiratoryRate", "RESPIRATORY_RATE", "breaths/min");
const SYSTOLIC: Metric = Metric("HKQuantityTypeIdentifierBloodPressureSystolic", "BLOOD_PRESSURE_SYSTOLIC", "mmHg");
const DIASTOLIC: Metric = Metric("HKQuantityTypeIdentifierBloodPressureDiastolic", "BLOOD_PRESSURE_DIASTOLIC", "mmHg");
const WEIGHT: Metric = Metric("HKQuantityTypeIdentifierBodyMass", "WEIGHT", "kg");
const STEPS: Metric = Metric("HKQuantityTypeIdentifierStepCount", "STEP_COUNT", "count");
/// No mapping has it yet: it shows what becomes of a record that nothing maps.
const ENERGY: Metric = Metric("HKQuantityTypeIdentifierActiveEnergyBurned", "ACTIVE_CALORIES_BURNED", "kcal");

impl<'a> Payload<'a> {
    pub fn new(who: &'a Person, now: Millis) -> Payload<'a> {
        Payload { who, last: now - MINUTE, records: Vec::new() }
    }

    /// A heart rate every five minutes, and one a minute old.
    pub fn heart_rate(mut self) -> Value {
        let mut times: Vec<Millis> = grid(self.last, 5 * MINUTE).collect();
        times.push(self.last);
        for at in times {
            let local = at + self.who.zone_minutes * MINUTE;
            let hour = local.div_euclid(HOUR).rem_euclid(24) as usize;
            let (here, next) = (self.who.beats[hour] * 10, self.who.beats[(hour + 1) % 24] * 10);
            let usual = here + (next - here) * local.rem_euclid(HOUR) / HOUR;
            // A watch counts whole beats.
            self.add(HEART_RATE, (at, at), (usual + self.sway(HEART_RATE, at, 10 + usual / 40)) / 10 * 10);
        }
        self.body(Vec::new())
    }

    /// Everything else of the day, two records that are refused among it when asked for.
    pub fn vitals(mut self, with_faults: bool) -> Value {
        let who = self.who;
        let woke = self.latest(6 * 60 + 52);
        self.add(RESTING, (woke, woke), (who.resting + self.sway(RESTING, woke, 1)) * 10);
        for at in grid(self.last, 4 * HOUR) {
            self.add(VARIABILITY, (at, at + 59_000), who.variability_tenths + self.sway(VARIABILITY, at, 90));
        }
        for at in grid(self.last, HOUR / 2) {
            self.add(OXYGEN, (at, at), (who.oxygen_tenths + self.sway(OXYGEN, at, 14)).min(1000));
        }
        let fell_asleep = woke - 7 * HOUR;
        for at in grid(woke, HOUR / 4).filter(|at| *at >= fell_asleep) {
            self.add(BREATHS, (at, at), who.breaths_tenths + self.sway(BREATHS, at, 16));
        }
        for minute in [7 * 60 + 5, 20 * 60 + 30] {
            let at = self.latest(minute);
            self.add(SYSTOLIC, (at, at), (who.pressure.0 + self.sway(SYSTOLIC, at, 6)) * 10);
            self.add(DIASTOLIC, (at, at), (who.pressure.1 + self.sway(DIASTOLIC, at, 4)) * 10);
        }
        let weighed = self.latest(7 * 60 + 10);
        self.add(WEIGHT, (weighed, weighed), who.weight_tenths + self.sway(WEIGHT, weighed, 5));
        for at in grid(self.last - HOUR, HOUR) {
            let hour = (at + who.zone_minutes * MINUTE).div_euclid(HOUR).rem_euclid(24) as usize;
            let steps = who.steps[hour];
            if steps > 0 {
                self.add(STEPS, (at, at + 50 * MINUTE), (steps + self.sway(STEPS, at, steps / 8)) * 10);
            }
        }
        if with_faults {
            self.add(ENERGY, (woke, woke + 30 * MINUTE), 2184);
            self.add(OXYGEN, (woke + 1, woke + 1), 1400);
        }
        let sleep = self.sleep(woke);
        self.body(sleep)
    }

    fn body(self, sleep: Vec<Value>) -> Value {
        let provider = if self.who.phone == Phone::Apple { "apple" } else { "google" };
        json!({
            "provider": provider, "sdkVersion": "0.11.0", "syncTimestamp": instant(self.last),
            "data": {"records": self.records, "sleep": sleep, "workouts": []},
        })
    }

    fn add(&mut self, metric: Metric, (start, end): (Millis, Millis), tenths: i64) {
        let Metric(apple, android, unit) = metric;
        let kind = if self.who.phone == Phone::Apple { apple } else { android };
        let pressure = [SYSTOLIC.1, DIASTOLIC.1].contains(&kind);
        self.records.push(json!({
            "id": self.id(kind, start), "type": kind, "startDate": instant(start), "endDate": instant(end),
            "zoneOffset": self.who.zone, "source": self.source(), "value": decimal(tenths), "unit": unit,
            "parentId": pressure.then(|| self.id("BLOOD_PRESSURE", start)),
            "metadata": (kind == VARIABILITY.1).then(|| json!({"method": "rmssd"})),
        }));
    }

    /// The night that ended at this moment, a record a segment.
    fn sleep(&self, woke: Millis) -> Vec<Value> {
        let mut start = woke - NIGHT.iter().map(|(_, minutes)| minutes * MINUTE).sum::<Millis>();
        let mut night = Vec::new();
        for (stage, minutes) in NIGHT {
            let end = start + minutes * MINUTE;
            night.push(json!({
                "id": self.id("SLEEP", start), "parentId": null, "stage": stage, "startDate": instant(start), "endDate": instant(end),
                "zoneOffset": self.who.zone, "source": self.source(), "values": null, "metadata": null,
            }));
            start = end;
        }
        night
    }

    fn source(&self) -> Value {
        match self.who.phone {
            Phone::Apple => json!({
                "name": format!("{}'s Watch", self.who.first), "bundleIdentifier": "com.apple.health.8A1F",
                "deviceManufacturer": "Apple Inc.", "deviceModel": "Watch", "productType": "Watch7,5",
                "deviceHardwareVersion": "Watch7,5", "deviceSoftwareVersion": "10.3.1",
                "operatingSystemVersion": {"majorVersion": 10, "minorVersion": 3, "patchVersion": 1},
            }),
            Phone::HealthConnect => json!({
                "appId": "com.example.tarnring", "deviceId": "R9ZT60QX417", "deviceName": "Tarn Ring", "deviceManufacturer": "Tarn",
                "deviceModel": "TR-960", "deviceType": "ring", "recordingMethod": "automatic",
            }),
        }
    }

    /// The last time that it was this minute of the local day.
    fn latest(&self, minute_of_day: i64) -> Millis {
        let local = self.last + self.who.zone_minutes * MINUTE;
        let today = local.div_euclid(DAY) * DAY + minute_of_day * MINUTE;
        let then = if today <= local { today } else { today - DAY };
        then - self.who.zone_minutes * MINUTE
    }

    /// From minus to plus `most`, the same each time for this person, metric and time.
    fn sway(&self, metric: Metric, at: Millis, most: i64) -> i64 {
        let wide = 2 * most + 1;
        (self.mixed(metric.0, at) % wide as u64) as i64 - most
    }

    fn id(&self, kind: &str, at: Millis) -> String {
        let (a, b) = (self.mixed(kind, at), self.mixed(kind, at ^ 1));
        format!("{:08X}-{:04X}-4{:03X}-8{:03X}-{:012X}", a >> 32, a >> 16 & 0xFFFF, a & 0xFFF, b >> 52, b & 0xFFFF_FFFF_FFFF)
    }

    /// FNV-1a over all that identifies a record, stirred as SplitMix64 does.
    fn mixed(&self, kind: &str, at: Millis) -> u64 {
        let bytes = self.who.external_id.bytes().chain(kind.bytes()).chain(at.to_be_bytes());
        let hash = bytes.fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        let hash = (hash ^ hash >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let hash = (hash ^ hash >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        hash ^ hash >> 31
    }
}

/// Round times of the 24 hours before `last`, oldest first.
fn grid(last: Millis, step: Millis) -> impl Iterator<Item = Millis> {
    let newest = last.div_euclid(step) * step;
    (0..DAY / step).rev().map(move |n| newest - n * step)
}

/// Tenths as the number a device would write.
fn decimal(tenths: i64) -> Value {
    let text = if tenths % 10 == 0 { (tenths / 10).to_string() } else { format!("{}.{}", tenths / 10, tenths % 10) };
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::super::people::PEOPLE;
    use super::*;

    const NOW: Millis = 1_772_000_123_456;

    fn starts(body: &Value) -> Vec<&str> {
        body["data"]["records"].as_array().unwrap().iter().map(|record| record["startDate"].as_str().unwrap()).collect()
    }

    #[test]
    fn the_last_sample_is_a_minute_old() {
        for who in &PEOPLE {
            let body = Payload::new(who, NOW).heart_rate();
            assert_eq!(starts(&body).last().copied(), Some(instant(NOW - MINUTE).as_str()));
            assert!(starts(&body).len() >= 288);
        }
    }

    #[test]
    fn nothing_is_of_the_future() {
        for who in &PEOPLE {
            let body = Payload::new(who, NOW).vitals(true);
            let last = instant(NOW);
            assert!(starts(&body).iter().all(|start| *start < last.as_str()));
        }
    }

    #[test]
    fn a_later_start_sends_the_same_records_again() {
        let ids = |now| -> Vec<Value> {
            let body = Payload::new(&PEOPLE[0], now).heart_rate();
            body["data"]["records"].as_array().unwrap().iter().map(|record| json!([record["id"], record["value"]])).collect()
        };
        let (first, again) = (ids(NOW), ids(NOW + 10 * MINUTE));
        assert_eq!(again.iter().filter(|record| first.contains(record)).count(), 286);
    }
}
