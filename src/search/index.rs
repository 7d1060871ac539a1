//! The search values of a document (the expressions of the R4 SearchParameters in `params`).
//! A value that is not what its element should be gives no row: structure is judged elsewhere.

use serde_json::Value;

use super::birth;
use super::date::DateRange;
use super::params::Type;
use super::reference::stored;
use super::string::normal;
use super::token::folded;
use crate::clock::Millis;

/// One value of one parameter. The caller hashes; `string::prefixes` cuts `normal` for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IndexRow {
    /// Also the tokens of a birth date, which have no system.
    Token {
        param: &'static str,
        system: Option<String>,
        code: String,
    },
    Text {
        param: &'static str,
        normal: String,
    },
    Reference {
        param: &'static str,
        kind: String,
        id: String,
    },
    Date {
        param: &'static str,
        lo: Millis,
        hi: Millis,
    },
}

/// The rows of a document, each once. `_id` and `_lastUpdated` are columns of their own, and an
/// AuditEvent is not a document.
pub fn index(resource: Type, document: &Value) -> Vec<IndexRow> {
    let mut rows = Rows { resource, rows: Vec::new() };
    match resource {
        Type::Patient => rows.patient(document),
        Type::Device => rows.device(document),
        Type::Observation => rows.observation(document),
        Type::AuditEvent => {}
    }
    rows.rows
}

struct Rows {
    resource: Type,
    rows: Vec<IndexRow>,
}

impl Rows {
    fn patient(&mut self, document: &Value) {
        self.identifiers(document);
        for name in list(&document["name"]) {
            self.text("family", &name["family"]);
            list(&name["given"]).iter().for_each(|given| self.text("given", given));
            for part in ["family", "given", "prefix", "suffix", "text"] {
                list(&name[part]).iter().for_each(|text| self.text("name", text));
            }
        }
        for code in document["birthDate"].as_str().map(birth::tokens).unwrap_or_default() {
            self.add(IndexRow::Token { param: "birthdate", system: None, code });
        }
    }

    fn device(&mut self, document: &Value) {
        self.identifiers(document);
        self.code("status", &document["status"]);
        self.reference("patient", &document["patient"]);
    }

    fn observation(&mut self, document: &Value) {
        self.identifiers(document);
        self.code("status", &document["status"]);
        self.concept("code", &document["code"]);
        list(&document["category"]).iter().for_each(|category| self.concept("category", category));
        self.reference("subject", &document["subject"]);
        if referenced(&document["subject"]).is_some_and(|(kind, _)| kind == "Patient") {
            self.reference("patient", &document["subject"]);
        }
        self.reference("device", &document["device"]);
        if let Some(DateRange { lo, hi }) = effective(document) {
            self.add(IndexRow::Date { param: "date", lo, hi });
        }
    }

    fn add(&mut self, row: IndexRow) {
        if !self.rows.contains(&row) {
            self.rows.push(row);
        }
    }

    fn token(&mut self, param: &'static str, system: Option<&str>, code: &Value) {
        if let Some(code) = code.as_str() {
            self.add(IndexRow::Token { param, system: system.map(str::to_owned), code: code.to_owned() });
        }
    }

    fn identifiers(&mut self, document: &Value) {
        for identifier in list(&document["identifier"]) {
            if let Some(value) = identifier["value"].as_str() {
                let system = identifier["system"].as_str().map(str::to_owned);
                self.add(IndexRow::Token { param: "identifier", system, code: folded(value).into_owned() });
            }
        }
    }

    fn concept(&mut self, param: &'static str, concept: &Value) {
        for coding in list(&concept["coding"]) {
            self.token(param, coding["system"].as_str(), &coding["code"]);
        }
    }

    /// A `code` element has no system of its own: its binding implies one.
    fn code(&mut self, param: &'static str, code: &Value) {
        let system = self.resource.search().param(param).and_then(|param| param.system);
        self.token(param, system, code);
    }

    fn text(&mut self, param: &'static str, text: &Value) {
        let normal = text.as_str().map(normal).unwrap_or_default();
        if !normal.is_empty() {
            self.add(IndexRow::Text { param, normal });
        }
    }

    fn reference(&mut self, param: &'static str, reference: &Value) {
        if let Some((kind, id)) = referenced(reference) {
            self.add(IndexRow::Reference { param, kind: kind.to_owned(), id: id.to_owned() });
        }
    }
}

fn referenced(reference: &Value) -> Option<(&str, &str)> {
    reference["reference"].as_str().and_then(stored)
}

/// The items of an array; one value stands for an array of it; nothing for none.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

/// `Observation.effective[x]`; of a Timing the outer limits (https://hl7.org/fhir/R4/search.html#date).
fn effective(document: &Value) -> Option<DateRange> {
    let time = |value: &Value| value.as_str().and_then(DateRange::stored);
    let timing = &document["effectiveTiming"];
    let ranges = [
        time(&document["effectiveDateTime"]),
        time(&document["effectiveInstant"]),
        period(&document["effectivePeriod"]),
        period(&timing["repeat"]["boundsPeriod"]),
    ];
    let events = list(&timing["event"]).iter().filter_map(time);
    ranges.into_iter().flatten().chain(events).reduce(|a, b| DateRange { lo: a.lo.min(b.lo), hi: a.hi.max(b.hi) })
}

/// A missing end is open; an end that cannot be read, or comes before the start, makes no range.
fn period(value: &Value) -> Option<DateRange> {
    let end = |name: &str| match &value[name] {
        Value::Null => Some(None),
        text => text.as_str().and_then(DateRange::stored).map(Some),
    };
    let (start, end) = (end("start")?, end("end")?);
    if start.is_none() && end.is_none() {
        return None;
    }
    let range = DateRange { lo: start.map_or(DateRange::OPEN_LO, |start| start.lo), hi: end.map_or(DateRange::OPEN_HI, |end| end.hi) };
    (range.lo < range.hi).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(resource: Type, document: Value) -> Vec<String> {
        let said = |row| match row {
            IndexRow::Token { param, system, code } => format!("{param}={}|{code}", system.unwrap_or_default()),
            IndexRow::Text { param, normal } => format!("{param}={normal}"),
            IndexRow::Reference { param, kind, id } => format!("{param}={kind}/{id}"),
            IndexRow::Date { param, lo, hi } => format!("{param}={lo}..{hi}"),
        };
        index(resource, &document).into_iter().map(said).collect()
    }

    #[test]
    fn an_observation() {
        let document = json!({
            "status": "final", "identifier": [{"system": "urn:s", "value": "1"}, {"value": "2"}, {"system": "urn:x"}],
            "category": [{"coding": [{"system": "c", "code": "vital-signs"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}, {"system": "http://loinc.org", "code": "8867-4"}], "text": "x"},
            "component": [{"code": {"coding": [{"code": "not-a-code-row"}]}}],
            "subject": {"reference": "Patient/p"}, "device": {"reference": "Device/d/_history/3"}, "effectiveDateTime": "1970-01-01T00:00:01Z"
        });
        assert_eq!(
            rows(Type::Observation, document),
            [
                "identifier=urn:s|1",
                "identifier=|2",
                "status=http://hl7.org/fhir/observation-status|final",
                "code=http://loinc.org|8867-4",
                "category=c|vital-signs",
                "subject=Patient/p",
                "patient=Patient/p",
                "device=Device/d",
                "date=1000..2000",
            ]
        );
    }

    #[test]
    fn effective_times() {
        let date = |document: Value| rows(Type::Observation, document).join(" ");
        assert_eq!(date(json!({"effectiveInstant": "1970-01-01T00:00:00.005Z"})), "date=5..6");
        assert_eq!(date(json!({"effectivePeriod": {"start": "1970-01-01", "end": "1970-01-02"}})), "date=0..172800000");
        assert_eq!(date(json!({"effectivePeriod": {"start": "1970-01-01"}})), format!("date=0..{}", i64::MAX));
        assert_eq!(date(json!({"effectivePeriod": {"end": "1970"}})), format!("date={}..31536000000", i64::MIN));
        assert_eq!(date(json!({"effectiveTiming": {"event": ["1970-01-01T00:00:05Z", "1970-01-01T00:00:02Z"]}})), "date=2000..6000");
        for nothing in [
            json!({"effectivePeriod": {}}),
            json!({"effectivePeriod": {"start": "x", "end": "1970"}}),
            json!({"effectivePeriod": {"start": "1971", "end": "1970"}}),
            json!({"effectiveDateTime": 5}),
        ] {
            assert_eq!(date(json!(nothing)), "");
        }
    }

    #[test]
    fn a_patient_and_a_device() {
        let patient = json!({"name": [{"family": "Müller", "given": ["Ada", "Eve"], "text": "Ada Müller"}], "birthDate": "1980-05"});
        assert_eq!(
            rows(Type::Patient, patient),
            [
                "family=muller",
                "given=ada",
                "given=eve",
                "name=muller",
                "name=ada",
                "name=eve",
                "name=ada muller",
                "birthdate=|198",
                "birthdate=|1980",
                "birthdate=|1980-05",
                "birthdate=|=1980-05",
            ]
        );
        let device = json!({"identifier": [{"system": "s", "value": "v"}], "status": "active", "patient": {"reference": "Patient/p"}});
        assert_eq!(rows(Type::Device, device), ["identifier=s|v", "status=http://hl7.org/fhir/device-status|active", "patient=Patient/p"]);
    }

    #[test]
    fn a_misshapen_document_has_fewer_rows() {
        let document = json!({"name": "x", "identifier": 5, "birthDate": {"a": []}, "status": [], "code": "c", "subject": ["Patient/p"]});
        for resource in Type::ALL {
            assert_eq!(rows(*resource, document.clone()), Vec::<String>::new());
            assert!(index(*resource, &Value::Null).is_empty());
        }
    }
}
