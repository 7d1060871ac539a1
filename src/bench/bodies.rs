//! Upload bodies: heart-rate records with whole `source` objects and UUID ids, as the Apple SDK sends them.
//! One text is made once; id, times and value are then written over it, so that bodies cost the client little.

use super::dice::Dice;
use crate::fhir::stamp::Stamp;

/// Records of one body.
pub const RECORDS: usize = 2_000;
/// Milliseconds between two samples.
pub const EVERY_MS: i64 = 5_000;
/// The first sample of everybody: 2026-01-01T00:00:00Z.
pub const FIRST_MS: i64 = 1_767_225_600_000;

const ENVELOPE: &str = r#"{"provider":"apple","sdkVersion":"0.11.0","syncTimestamp":"2026-03-14T10:00:00Z","data":{"records":["#;
const RECORD: &str = r#"{"id":"00000000-0000-4000-8000-000000000000","type":"HKQuantityTypeIdentifierHeartRate","startDate":"2026-01-01T00:00:00Z","endDate":"2026-01-01T00:00:00Z","zoneOffset":"+01:00","source":{"name":"Bench Watch","bundleIdentifier":"com.apple.health.8A1F","deviceManufacturer":"Apple Inc.","deviceModel":"Watch","productType":"Watch7,5","deviceHardwareVersion":"Watch7,5","deviceSoftwareVersion":"10.3.1","operatingSystemVersion":{"majorVersion":10,"minorVersion":3,"patchVersion":1}},"value":72,"unit":"count/min","parentId":null,"metadata":null}"#;
const ENDING: &str = "],\"sleep\":[],\"workouts\":[]}}";

const ID: usize = 7;
/// `YYYY-MM-DDThh:mm:ss`
const STAMP: usize = 19;
/// Hexadecimal digits of a UUID that are free (version and variant are not).
const FREE: [(usize, usize); 5] = [(0, 8), (9, 4), (15, 3), (20, 3), (24, 12)];

pub struct Body {
    text: Vec<u8>,
    starts: [usize; 3],
}

impl Body {
    pub fn new() -> Body {
        let text = format!("{ENVELOPE}{}{ENDING}", vec![RECORD; RECORDS].join(","));
        let after = |name: &str| RECORD.find(name).map_or(0, |at| at + name.len());
        Body { text: text.into_bytes(), starts: [after("\"startDate\":\""), after("\"endDate\":\""), after("\"value\":")] }
    }

    /// The `block`th body of a user; the same arguments give the same bytes.
    pub fn fill(&mut self, user: usize, block: usize) -> &[u8] {
        let mut dice = Dice::of(((user as u64) << 32) | block as u64);
        let mut ms = FIRST_MS + block as i64 * RECORDS as i64 * EVERY_MS;
        let [start, end, value] = self.starts;
        for n in 0..RECORDS {
            let at = ENVELOPE.len() + n * (RECORD.len() + 1);
            let record = &mut self.text[at..at + RECORD.len()];
            write_id(&mut record[ID..ID + 36], [dice.roll(), dice.roll()]);
            let stamp = Stamp { ms, sub_ms_nanos: 0, digits: 0, offset: None }.to_string();
            let stamp = stamp.as_bytes().get(..STAMP).unwrap_or_default();
            for to in [start, end] {
                record[to..to + stamp.len()].copy_from_slice(stamp);
            }
            let beats = 50 + dice.below(50);
            record[value..value + 2].copy_from_slice(&[b'0' + (beats / 10) as u8, b'0' + (beats % 10) as u8]);
            ms += EVERY_MS;
        }
        &self.text
    }
}

fn write_id(text: &mut [u8], random: [u64; 2]) {
    let mut bits = (u128::from(random[0]) << 64) | u128::from(random[1]);
    for (at, n) in FREE {
        for byte in &mut text[at..at + n] {
            *byte = b"0123456789ABCDEF"[(bits & 15) as usize];
            bits >>= 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_with_distinct_records() {
        let mut body = Body::new();
        let json: serde_json::Value = serde_json::from_slice(body.fill(3, 1)).unwrap();
        let records = json["data"]["records"].as_array().unwrap();
        let ids: std::collections::HashSet<&str> = records.iter().filter_map(|record| record["id"].as_str()).collect();
        assert_eq!((records.len(), ids.len()), (RECORDS, RECORDS));
        assert_eq!(records[1]["startDate"], "2026-01-01T02:46:45Z");
        assert_eq!(records[1]["endDate"], records[1]["startDate"]);
        assert!(records.iter().all(|record| (50..100).contains(&record["value"].as_i64().unwrap())));
    }

    #[test]
    fn a_body_is_the_same_every_time() {
        let first = Body::new().fill(1, 2).to_vec();
        let mut other = Body::new();
        other.fill(7, 7);
        assert!(first == other.fill(1, 2));
    }
}
