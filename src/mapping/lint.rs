//! The rules a mapping file must keep. A broken one is fatal at load: file, line, rule, remedy.

use serde::de::DeserializeOwned;
use serde_saphyr::Spanned;

use super::compile::{LOINC, PHR};
use super::grammar::{Category, Code, Coded, Component, File, Observation, Reading, Time, Value};
use super::path::Path;
use crate::error::{Error, Kind, Result};
use crate::fhir::decimal::Decimal;

pub struct Place<'a> {
    pub file: &'a str,
}

/// A LOINC code that makes validators apply an R4 vital-signs profile, with or without `meta.profile`
/// (HL7 validator, BasePolicyAdvisorForFullValidation), and what that profile then demands.
struct Magic {
    codes: &'static [&'static str],
    /// This code must stand beside it.
    companion: &'static str,
    units: &'static [&'static str],
}

const MAGIC: &[Magic] = &[
    Magic {
        codes: &[
            "8867-4", "8889-8", "8890-6", "8891-4", "8892-2", "8893-0", "40443-4", "55425-3", "68999-2", "11328-2", "69000-8", "8886-4",
            "60978-4", "73795-7", "73799-9", "76476-1", "76477-9",
        ],
        companion: "8867-4",
        units: &["/min"],
    },
    Magic {
        codes: &["9279-1", "76170-0", "76172-6", "76171-8", "19840-8", "33438-3", "76270-8", "11291-2"],
        companion: "9279-1",
        units: &["/min"],
    },
    Magic {
        codes: &["2708-6", "59408-5", "59417-6", "19224-5", "20564-1", "2709-4", "2710-2", "2713-6", "51733-4", "89276-0", "97549-0"],
        companion: "2708-6",
        units: &["%"],
    },
    Magic { codes: &["8310-5", "8309-7", "8328-7", "98663-8"], companion: "8310-5", units: &["Cel", "[degF]"] },
    Magic { codes: &["8302-2", "3137-7", "3138-5", "8306-3", "8308-9"], companion: "8302-2", units: &["cm", "[in_i]"] },
    Magic {
        codes: &["29463-7", "3141-9", "3142-7", "75292-3", "79348-9", "8350-1", "8351-9"],
        companion: "29463-7",
        units: &["kg", "g", "[lb_av]"],
    },
    Magic { codes: &["39156-5", "89270-3"], companion: "39156-5", units: &["kg/m2"] },
    Magic { codes: &["85354-9", "35094-2", "8459-0", "76534-7", "55284-4", "8480-6"], companion: "85354-9", units: &[] },
];
/// What a blood pressure panel must have as components.
const PRESSURES: [&str; 2] = ["8480-6", "8462-4"];
/// Standard deviation of beat intervals; RMSSD is another statistic and has no LOINC code.
const SDNN: [&str; 2] = ["80404-7", "112429-6"];

/// Reads YAML with its grammar; what does not fit names its line.
pub fn yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(1, |at| at.line());
        let says = error.without_snippet().to_string();
        wrong(file, line, "grammar", &says.replace('\n', " "), "compare with the shipped files under mappings/")
    })
}

fn wrong(file: &str, line: u64, rule: &str, what: &str, remedy: &str) -> Error {
    Error::new(Kind::MappingInvalid, format!("{file}:{line}: {rule}: {what}; {remedy}")).at(format!("{file}:{line}"))
}

impl Place<'_> {
    pub fn refuse<T, U>(&self, at: &Spanned<T>, rule: &str, what: &str, remedy: &str) -> Result<U> {
        Err(wrong(self.file, at.referenced.line(), rule, what, remedy))
    }
}

/// Compiles a selector. `inside`: an `each` gives `@` a meaning.
pub fn path(place: &Place<'_>, text: &Spanned<String>, inside: bool) -> Result<Path> {
    let path =
        Path::parse(&text.value).or_else(|why| place.refuse(text, "selector", why, "write it like $.value or @['beats per minute']"))?;
    if path.relative && !inside {
        return place.refuse(text, "selector", "@ has no meaning outside each", "start the selector with $");
    }
    if path.enters("source") {
        return place.refuse(text, "selector", "source is read by the server itself", "select another member");
    }
    Ok(path)
}

/// A selector that stands in our own code.
pub fn fixed(root: &str, name: &str) -> Result<Path> {
    Path::parse(&format!("{root}.{name}")).map_err(Error::bug)
}

pub fn number(place: &Place<'_>, text: &Spanned<String>) -> Result<Decimal> {
    Decimal::parse(&text.value)
        .or_else(|_| place.refuse(text, "number", "this is not a number of at most 18 digits", "write it like 0.45359237"))
}

pub fn range(place: &Place<'_>, range: &Spanned<(String, String)>) -> Result<(Decimal, Decimal)> {
    match (Decimal::parse(&range.value.0), Decimal::parse(&range.value.1)) {
        (Ok(low), Ok(high)) if low <= high => Ok((low, high)),
        _ => place.refuse(range, "range", "a range is two numbers, the least first", "write it like [0, 100]"),
    }
}

pub fn check(place: &Place<'_>, file: &File) -> Result<()> {
    name(place, &file.id, "id")?;
    let parts: Vec<&str> = file.version.value.split('.').collect();
    if parts.len() != 3 || !parts.iter().all(|part| part.parse::<u32>().is_ok()) {
        return place.refuse(&file.version, "version", "a version has three numbers", "write it like 1.0.0");
    }
    let known = ["apple", "samsung", "google"];
    for provider in &file.from.providers {
        if !known.contains(&provider.value.as_str()) {
            return place.refuse(provider, "provider", "there is no such provider", "name apple, samsung or google");
        }
    }
    if file.from.providers.is_empty() || file.from.list.value.is_empty() {
        return place.refuse(&file.from.list, "from", "providers and list must not be empty", "name at least one provider and a list");
    }
    uri(place, &file.from.system)?;
    if file.observations.is_empty() {
        return place.refuse(&file.id, "observations", "a mapping makes at least one Observation", "add one");
    }
    file.observations.iter().try_for_each(|observation| check_observation(place, file, observation))
}

fn check_observation(place: &Place<'_>, file: &File, observation: &Observation) -> Result<()> {
    name(place, &observation.metric, "metric")?;
    if let Some(level) = &observation.aggregation {
        name(place, level, "aggregation")?;
    }
    observation.profiles.iter().try_for_each(|profile| uri(place, profile))?;
    codes(place, &observation.codes)?;
    if observation.codes.is_empty() && (file.from.types.is_empty() || matches!(observation.value.value, Value::Panel(_))) {
        return place.refuse(&observation.metric, "codes", "the Observation would have no code", "give at least one code");
    }
    let rmssd = observation.metric.value.contains("rmssd") || file.id.value.contains("rmssd");
    if rmssd && loincs(&observation.codes).any(|code| SDNN.contains(&code.value.as_str())) {
        return place.refuse(&observation.metric, "hrv", "an SDNN code on RMSSD", "RMSSD has no LOINC code; leave it out");
    }
    match &observation.value.value {
        Value::Quantity(reading) => {
            check_reading(place, reading)?;
            magic(place, observation, &observation.codes, Some(reading))
        }
        Value::Coded(coded) => {
            check_coded(place, coded, &observation.value)?;
            magic(place, observation, &observation.codes, None)
        }
        Value::Panel(components) => check_panel(place, file, observation, components),
    }
}

fn check_panel(place: &Place<'_>, file: &File, observation: &Observation, components: &[Component]) -> Result<()> {
    magic(place, observation, &observation.codes, None)?;
    let grouped = components.iter().filter(|component| component.kind.is_some()).count();
    if components.len() < 2 || (grouped != 0 && grouped != components.len()) {
        return place.refuse(
            &observation.value,
            "panel",
            "a panel has two components or more, all with a type or none",
            "complete the components",
        );
    }
    for component in components {
        codes(place, &component.codes)?;
        check_reading(place, &component.reading)?;
        if let Some(kind) = component.kind.as_ref().filter(|kind| !file.from.types.iter().any(|one| one.value == kind.value)) {
            return place.refuse(kind, "panel", "the component's type is not among from.types", "add it there");
        }
    }
    let has = |code: &str| components.iter().any(|component| loincs(&component.codes).any(|one| one.value == code));
    if loincs(&observation.codes).any(|code| code.value == "85354-9") {
        if !PRESSURES.iter().all(|code| has(code)) {
            return place.refuse(
                &observation.value,
                "panel",
                "a blood pressure has a systolic (8480-6) and a diastolic (8462-4) component",
                "add it",
            );
        }
        if let Some(component) = components.iter().find(|component| component.reading.unit.code.value != "mm[Hg]") {
            return place.refuse(&component.reading.unit.code, "unit", "a blood pressure is in mm[Hg]", "set unit.code to mm[Hg]");
        }
    }
    Ok(())
}

fn check_reading(place: &Place<'_>, reading: &Reading) -> Result<()> {
    let code = &reading.unit.code;
    let odd = ["bpm", "count", "steps", "mmHg", "IU", "lb", "in", "brpm", "count/min", "kg/m^2", "mcg"];
    if code.value.is_empty() || odd.contains(&code.value.as_str()) || code.value.contains(' ') {
        return place.refuse(code, "unit", "this is not a UCUM code", "write UCUM, for example /min, {steps}, mm[Hg], [lb_av]");
    }
    if reading.accept.is_empty() {
        return place.refuse(code, "unit", "no source unit is accepted", "list each unit text of the source with its factor under accept");
    }
    for factor in reading.accept.values() {
        if number(place, factor)?.mantissa <= 0 {
            return place.refuse(factor, "unit", "a factor is greater than zero", "correct the factor");
        }
    }
    range(place, &reading.range).map(drop)
}

fn check_coded(place: &Place<'_>, coded: &Coded, value: &Spanned<Value>) -> Result<()> {
    uri(place, &coded.system)?;
    if coded.map.is_empty() {
        return place.refuse(value, "words", "a coded value needs words", "list each word of the source under map");
    }
    coded.map.values().try_for_each(|list| codes(place, list))
}

/// The profile that a magic code brings must be met: category, companion code, unit.
fn magic(place: &Place<'_>, observation: &Observation, list: &[Code], reading: Option<&Reading>) -> Result<()> {
    for code in loincs(list) {
        let Some(magic) = MAGIC.iter().find(|magic| magic.codes.contains(&code.value.as_str())) else { continue };
        if !observation.categories.contains(&Category::VitalSigns) {
            return place.refuse(code, "vital-signs", "this code is a vital sign", "add vital-signs to categories");
        }
        if observation.time == Time::Period {
            return place.refuse(code, "vital-signs", "the R4 invariant vs-1 refuses a period", "write time: instant");
        }
        if !loincs(list).any(|one| one.value == magic.companion) {
            let remedy = format!("add loinc {} beside it", magic.companion);
            return place.refuse(code, "companion", "validators demand another code with this one", &remedy);
        }
        match reading {
            Some(reading) if magic.units.contains(&reading.unit.code.value.as_str()) => {}
            None if magic.units.is_empty() => {}
            _ => return place.refuse(code, "unit", "this code demands a quantity", &format!("in one of: {}", magic.units.join(", "))),
        }
    }
    Ok(())
}

fn loincs(list: &[Code]) -> impl Iterator<Item = &Spanned<String>> {
    list.iter().filter_map(|code| code.loinc.as_ref())
}

/// Each coding is one coding; LOINC stands before PHR, PHR before the rest; a LOINC check digit fits.
fn codes(place: &Place<'_>, list: &[Code]) -> Result<()> {
    let mut rank = 0;
    for code in list {
        let (at, this) = match (&code.loinc, &code.phr, &code.system, &code.code) {
            (Some(loinc), None, None, None) => (loinc, 1),
            (None, Some(phr), None, None) => (phr, 2),
            (None, None, Some(system), Some(code)) => {
                uri(place, system)?;
                if system.value == LOINC || system.value == PHR {
                    return place.refuse(system, "codes", "this system has a short form", "write loinc: or phr:");
                }
                (code, 3)
            }
            _ => {
                let any = code.loinc.as_ref().or(code.phr.as_ref()).or(code.system.as_ref()).or(code.code.as_ref());
                let line = any.map_or(1, |at| at.referenced.line());
                return Err(wrong(place.file, line, "codes", "a coding is loinc, or phr, or system with code", "give exactly one of them"));
            }
        };
        if this == 1 && !check_digit(&at.value) {
            return place.refuse(at, "loinc", "the check digit of this LOINC code is wrong", "copy the code from loinc.org");
        }
        if this < rank {
            return place.refuse(at, "codes", "codings stand in the order loinc, phr, others", "move it up");
        }
        rank = this;
    }
    Ok(())
}

/// LOINC's mod 10 check digit (Luhn).
fn check_digit(code: &str) -> bool {
    let Some((number, check)) = code.split_once('-') else { return false };
    if number.is_empty() || number.len() > 7 || check.len() != 1 || !code.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return false;
    }
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(n, digit)| {
            let digit = u32::from(digit - b'0') * if n % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    check.parse() == Ok((10 - sum % 10) % 10)
}

fn name(place: &Place<'_>, text: &Spanned<String>, rule: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let value = text.value.as_str();
    if value.is_empty() || value.len() > 64 || !value.chars().all(fits) || !value.starts_with(|c: char| c.is_ascii_lowercase()) {
        return place.refuse(text, rule, "a name has lower-case letters, digits, - and . only", "write it like heart-rate");
    }
    Ok(())
}

fn uri(place: &Place<'_>, text: &Spanned<String>) -> Result<()> {
    let known = ["http://", "https://", "urn:"];
    if known.iter().any(|start| text.value.starts_with(start)) && !text.value.contains(char::is_whitespace) {
        return Ok(());
    }
    place.refuse(text, "uri", "this is not an absolute URI", "write it like urn:example:types")
}

#[cfg(test)]
mod tests {
    use crate::mapping::Mapping;

    const HEART: &str = include_str!("../../mappings/apple/resting-heart-rate.yaml");
    const OXYGEN: &str = include_str!("../../mappings/apple/oxygen-saturation.yaml");
    const PRESSURE: &str = include_str!("../../mappings/apple/blood-pressure.yaml");
    const RMSSD: &str = include_str!("../../mappings/health-connect/hrv-rmssd.yaml");
    const SLEEP: &str = include_str!("../../mappings/apple/sleep-stage.yaml");

    /// Each mutation of a good file is refused by the rule that is named, with file and line.
    #[test]
    fn a_broken_rule_is_named() {
        for (rule, text, from, to) in [
            ("grammar", HEART, "version:", "versoin:"),
            ("grammar", HEART, "time: instant", "time: sometimes"),
            ("vital-signs", HEART, "time: instant", "time: period"),
            ("grammar", HEART, "providers: [apple]", "providers: ["),
            ("id", HEART, "id: apple.resting", "id: Apple.resting"),
            ("version", HEART, "1.0.0", "1.0"),
            ("provider", HEART, "[apple]", "[fitbit]"),
            ("metric", HEART, "metric: resting", "metric: resting heart"),
            ("uri", HEART, "urn:firth:source", "firth:source"),
            ("loinc", HEART, "40443-4", "40443-5"),
            ("companion", HEART, "      - {loinc: 8867-4, display: Heart rate}\n", ""),
            ("companion", OXYGEN, "      - {loinc: 2708-6, display: Oxygen saturation in Arterial blood}\n", ""),
            ("vital-signs", HEART, "[vital-signs]", "[activity]"),
            ("unit", HEART, "{code: /min", "{code: bpm"),
            ("unit", HEART, "{code: /min", "{code: Hz"),
            ("unit", HEART, "bpm: 1", "bpm: 0"),
            ("number", HEART, "bpm: 1", "bpm: one"),
            ("range", HEART, "[0, 400]", "[400, 0]"),
            ("selector", HEART, "        range:", "        from: $..value\n        range:"),
            ("selector", HEART, "        range:", "        from: '@.value'\n        range:"),
            ("selector", HEART, "        range:", "        from: $.source.version\n        range:"),
            ("codes", HEART, "{phr: restingHeartRate,", "{phr: restingHeartRate, loinc: 8867-4,"),
            ("codes", HEART, "    codes:\n", "    codes:\n      - {phr: heartRate}\n"),
            ("unit", PRESSURE, "'mm[Hg]'", "kPa"),
            ("panel", PRESSURE, "8480-6", "8478-0"),
            ("panel", PRESSURE, "- type: HKQuantityTypeIdentifierBloodPressureSystolic", "- type: Other"),
            ("hrv", RMSSD, "    codes:\n", "    codes:\n      - {loinc: 80404-7}\n"),
            ("words", SLEEP, &SLEEP[SLEEP.find("        map:").unwrap()..], "        map: {}\n"),
        ] {
            assert!(text.contains(from), "{rule}: {from}");
            let error = Mapping::parse("x/y.yaml", &text.replacen(from, to, 1)).err().unwrap_or_else(|| panic!("{rule} let {to:?} pass"));
            let line = error.says().strip_prefix("x/y.yaml:").and_then(|rest| rest.split_once(": ")).unwrap_or_default();
            assert!(line.0.parse::<u32>().is_ok_and(|line| line > 0), "{error}");
            assert!(line.1.starts_with(&format!("{rule}: ")), "{rule}: {error}");
        }
    }

    #[test]
    fn the_line_is_the_one_that_is_wrong() {
        let line = 1 + HEART.lines().position(|line| line.contains("40443-4")).unwrap();
        let error = Mapping::parse("y.yaml", &HEART.replace("40443-4", "40443-5")).err().unwrap();
        assert_eq!(error.issues[0].at.as_deref(), Some(format!("y.yaml:{line}").as_str()));
    }
}
