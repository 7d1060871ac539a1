//! The search values of a document, by the paths of the R4 SearchParameters in `params`.
//! A value that is not what its element should be gives no row: structure is judged elsewhere.

use super::birth;
use super::date::DateRange;
use super::params::{How, Param, Path, Type};
use super::reference::{kind_named, stored};
use super::string::normal;
use super::token::folded;
use crate::fhir::validate::{Node, Object};

/// Changes whenever `index` makes other rows of the same document: those of stored documents are then made anew.
pub const INDEX_VERSION: u32 = 4;

/// One value of one parameter. The caller hashes; `string::prefixes` cuts `normal` for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IndexRow {
    /// Also the tokens of a birth date, which have no system, and URIs.
    Token {
        param: &'static str,
        system: Option<String>,
        code: String,
    },
    Text {
        param: &'static str,
        /// As written, for `:exact`.
        text: String,
        normal: String,
    },
    Reference {
        param: &'static str,
        kind: String,
        id: String,
    },
    Date {
        param: &'static str,
        range: DateRange,
    },
    /// Only that there is a value, which no row finds: a reference to another server, a concept in words alone.
    Present {
        param: &'static str,
    },
}

impl IndexRow {
    pub fn param(&self) -> &'static str {
        match self {
            IndexRow::Token { param, .. }
            | IndexRow::Text { param, .. }
            | IndexRow::Reference { param, .. }
            | IndexRow::Date { param, .. }
            | IndexRow::Present { param } => param,
        }
    }
}

/// A boolean as a token (https://hl7.org/fhir/R4/search.html#token).
pub const SPECIAL: &str = "http://terminology.hl7.org/CodeSystem/special-values";

/// The rows of a document. `_id` and `_lastUpdated` are columns of their own, and an
/// AuditEvent is not a document.
pub fn index(resource: Type, document: &Object<'_>) -> Vec<IndexRow> {
    let mut rows = Rows(Vec::new());
    if resource.is_document() {
        for param in resource.search().params.iter().filter(|param| !["_id", "_lastUpdated"].contains(&param.name)) {
            for path in &param.paths {
                down(document, &path.steps, &mut |value| {
                    rows.value(param, path, value);
                    if is_value(document, path, value) {
                        rows.present(param.name);
                    }
                });
            }
        }
    }
    rows.0
}

/// The parameter of the rows of `codings`, which no search asks.
pub const CODED: &str = "(coded)";

/// Every coding of a document, whichever element it is in, also of what it contains: what a Consent may speak of. The
/// labels and tags of the document itself are none.
pub fn codings(document: &Object<'_>) -> Vec<IndexRow> {
    let mut rows = Vec::new();
    let own = document.members().filter(|(name, _)| *name != "meta");
    own.flat_map(|(_, node)| node.all()).filter_map(Node::object).for_each(|inner| coded(inner, &mut rows));
    rows
}

/// A Coding is told by its members (https://hl7.org/fhir/R4/datatypes.html#Coding), for it may stand in any extension.
fn coded(object: &Object<'_>, rows: &mut Vec<IndexRow>) {
    const MEMBERS: [&str; 7] = ["id", "extension", "system", "version", "code", "display", "userSelected"];
    if let Some(code) = object.text("code")
        && object.members().all(|(name, _)| MEMBERS.contains(&name.trim_start_matches('_')))
    {
        rows.push(IndexRow::Token { param: CODED, system: object.text("system").map(str::to_owned), code: code.to_owned() });
    }
    object.members().flat_map(|(_, node)| node.all()).filter_map(Node::object).for_each(|inner| coded(inner, rows));
}

/// Is there a value (https://hl7.org/fhir/R4/search.html#modifiers, `:missing`), whether or not it can be found?
fn is_value(document: &Object<'_>, path: &Path, value: &Node<'_>) -> bool {
    match (value, path.resolves_to) {
        // What stands in a list of primitives for one that has extensions alone.
        (Node::Null, _) => false,
        (Node::Object(reference), Some(only)) => kind(document, reference) == Some(only),
        (Node::Object(object), None) => object.members().next().is_some(),
        _ => true,
    }
}

/// The type that a reference leads to, wherever that is.
fn kind<'r>(document: &'r Object<'_>, reference: &'r Object<'_>) -> Option<&'r str> {
    let named = reference.text("reference").and_then(|to| match to.strip_prefix('#') {
        Some(id) => document.objects("contained").find(|one| one.text("id") == Some(id)).and_then(|one| one.text("resourceType")),
        None => kind_named(to),
    });
    named.or_else(|| reference.text("type"))
}

/// Which parameters the rows have values of, as bits.
pub fn present(resource: Type, rows: &[IndexRow]) -> u64 {
    let bit = |row: &IndexRow| resource.search().param(row.param()).map_or(0, |param| 1 << param.bit);
    rows.iter().map(bit).fold(0, |bits, bit| bits | bit)
}

/// Gives every value at the end of the way to `to`.
fn down(object: &Object<'_>, steps: &[String], to: &mut dyn FnMut(&Node<'_>)) {
    let Some((step, rest)) = steps.split_first() else { return };
    let Some(found) = object.get(step) else { return };
    for value in found.all() {
        match rest {
            [] => to(value),
            _ => value.object().into_iter().for_each(|object| down(object, rest, to)),
        }
    }
}

struct Rows(Vec<IndexRow>);

impl Rows {
    fn add(&mut self, row: IndexRow) {
        // Codes are often written twice in a row; the store keeps each once.
        if self.0.last() != Some(&row) {
            self.0.push(row);
        }
    }

    /// That the parameter has a value, unless the row before says so; the rows of a parameter stand together.
    fn present(&mut self, param: &'static str) {
        if self.0.last().is_none_or(|row| row.param() != param) {
            self.0.push(IndexRow::Present { param });
        }
    }

    fn value(&mut self, param: &'static Param, path: &Path, value: &Node<'_>) {
        let name = param.name;
        match param.how {
            How::Token => self.tokens(name, path, value),
            How::Text => texts(path.leaf, value, &mut |text| self.text(name, text)),
            How::Uri => value.text().into_iter().for_each(|uri| self.token(name, None, uri)),
            How::Date => {
                if let Some(range) = range(path.leaf, value) {
                    self.add(IndexRow::Date { param: name, range });
                }
            }
            How::BirthDate => {
                // A dateTime tells the day where it was written.
                let day = value.text().and_then(|text| text.split('T').next());
                day.map(birth::tokens).unwrap_or_default().iter().for_each(|token| self.token(name, None, token));
            }
            How::Reference => {
                let reference = value.object().and_then(|reference| reference.text("reference")).and_then(stored);
                if let Some((kind, id)) = reference
                    && path.resolves_to.is_none_or(|only| only == kind)
                {
                    self.add(IndexRow::Reference { param: name, kind: kind.to_owned(), id: id.to_owned() });
                }
            }
            How::Id => {}
        }
    }

    fn token(&mut self, param: &'static str, system: Option<&str>, code: &str) {
        self.add(IndexRow::Token { param, system: system.map(str::to_owned), code: code.to_owned() });
    }

    fn tokens(&mut self, param: &'static str, path: &Path, value: &Node<'_>) {
        let coding = |rows: &mut Rows, coding: &Object<'_>| {
            if let Some(code) = coding.text("code") {
                rows.token(param, coding.text("system"), code);
            }
        };
        match (path.leaf, value) {
            ("CodeableConcept", Node::Object(concept)) => concept.objects("coding").for_each(|one| coding(self, one)),
            ("Coding", Node::Object(one)) => coding(self, one),
            ("Identifier", Node::Object(identifier)) => {
                if let Some(value) = identifier.text("value") {
                    self.token(param, identifier.text("system"), &folded(value));
                }
            }
            ("ContactPoint", Node::Object(contact)) => contact.text("value").into_iter().for_each(|value| self.token(param, None, value)),
            (_, Node::Boolean(is)) => self.token(param, Some(SPECIAL), if *is { "true" } else { "false" }),
            // A `code` element has no system of its own: its binding implies one.
            (_, Node::Text(text)) => self.token(param, path.system, text),
            _ => {}
        }
    }

    fn text(&mut self, param: &'static str, text: &str) {
        let normal = normal(text);
        if !normal.is_empty() {
            self.add(IndexRow::Text { param, text: text.to_owned(), normal });
        }
    }
}

/// The texts of a string, or the parts of a name or an address (https://hl7.org/fhir/R4/search.html#string).
fn texts(leaf: &str, value: &Node<'_>, to: &mut dyn FnMut(&str)) {
    let parts: &[&str] = match leaf {
        "HumanName" => &["family", "given", "prefix", "suffix", "text"],
        "Address" => &["line", "city", "district", "state", "postalCode", "country", "text"],
        _ => return value.text().into_iter().for_each(to),
    };
    for part in value.object().into_iter().flat_map(|object| parts.iter().filter_map(|part| object.get(part))) {
        part.all().iter().filter_map(Node::text).for_each(&mut *to);
    }
}

/// What a value covers; of a Timing the outer limits (https://hl7.org/fhir/R4/search.html#date).
fn range(leaf: &str, value: &Node<'_>) -> Option<DateRange> {
    let Node::Object(object) = value else { return value.text().and_then(DateRange::stored) };
    if leaf == "Period" {
        return period(object);
    }
    let bounds = object.objects("repeat").flat_map(|repeat| repeat.objects("boundsPeriod")).filter_map(period);
    let events = object.get("event").map_or(&[][..], Node::all).iter().filter_map(Node::text).filter_map(DateRange::stored);
    bounds.chain(events).reduce(|a, b| DateRange { lo: a.lo.min(b.lo), hi: a.hi.max(b.hi) })
}

/// A missing end is open; an end that cannot be read, or comes before the start, makes no range.
fn period(period: &Object<'_>) -> Option<DateRange> {
    let end = |name: &str| match period.get(name) {
        None => Some(None),
        Some(text) => text.text().and_then(DateRange::stored).map(Some),
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
    use crate::fhir::validate::object;
    use serde_json::{Value, json};

    fn rows(resource: Type, document: Value) -> Vec<String> {
        let said = |row| match row {
            IndexRow::Token { param, system, code } => format!("{param}={}|{code}", system.unwrap_or_default()),
            IndexRow::Text { param, normal, .. } => format!("{param}={normal}"),
            IndexRow::Reference { param, kind, id } => format!("{param}={kind}/{id}"),
            IndexRow::Date { param, range } => format!("{param}={}..{}", range.millis().0, range.millis().1),
            IndexRow::Present { param } => format!("{param}=?"),
        };
        index(resource, &object(&document.to_string()).unwrap()).into_iter().map(said).collect()
    }

    #[test]
    fn an_observation() {
        let document = json!({
            "status": "final", "identifier": [{"system": "urn:s", "value": "1"}, {"value": "2"}, {"system": "urn:x"}],
            "category": [{"coding": [{"system": "c", "code": "vital-signs"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}, {"system": "http://loinc.org", "code": "8867-4"}], "text": "x"},
            "component": [{"code": {"coding": [{"code": "in-a-part"}]}}],
            "subject": {"reference": "Patient/p"}, "device": {"reference": "Device/d/_history/3"}, "effectiveDateTime": "1970-01-01T00:00:01Z"
        });
        assert_eq!(
            rows(Type::Observation, document),
            [
                "category=c|vital-signs",
                "code=http://loinc.org|8867-4",
                "combo-code=http://loinc.org|8867-4",
                "combo-code=|in-a-part",
                "component-code=|in-a-part",
                "date=1000..2000",
                "device=Device/d",
                "identifier=urn:s|1",
                "identifier=|2",
                "patient=Patient/p",
                "status=http://hl7.org/fhir/observation-status|final",
                "subject=Patient/p",
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
        for unreadable in [
            json!({"effectivePeriod": {"start": "x", "end": "1970"}}),
            json!({"effectivePeriod": {"start": "1971", "end": "1970"}}),
            json!({"effectiveTiming": {"code": {"text": "BID"}}}),
        ] {
            assert_eq!(date(unreadable), "date=?");
        }
        assert_eq!(date(json!({"effectivePeriod": {}})), "");
    }

    #[test]
    fn what_cannot_be_found_is_present() {
        let subject = |reference: Value| {
            rows(Type::Observation, json!({"subject": reference, "contained": [{"resourceType": "Patient", "id": "p"}]}))
        };
        let foreign = "https://ehr.example/fhir/Patient/1";
        for of_a_patient in [
            json!({"reference": foreign}),
            json!({"reference": format!("{foreign}/_history/2")}),
            json!({"reference": "#p"}),
            json!({"type": "Patient", "identifier": {"value": "1"}}),
        ] {
            assert_eq!(subject(of_a_patient), ["patient=?", "subject=?"]);
        }
        for of_somebody in
            [json!({"display": "x"}), json!({"identifier": {"value": "1"}}), json!({"reference": "urn:uuid:1"}), json!({"reference": "#d"})]
        {
            assert_eq!(subject(of_somebody), ["subject=?"]);
        }
        assert_eq!(subject(json!({"reference": "Group/g"})), ["subject=Group/g"]);
        let words = json!({"code": {"text": "x"}, "identifier": [{"system": "urn:x"}], "note": [null]});
        assert_eq!(rows(Type::Observation, words), ["code=?", "combo-code=?", "identifier=?"]);
        assert_eq!(rows(Type::Patient, json!({"name": [{"given": [null], "use": "official"}]})), ["name=?"]);
    }

    #[test]
    fn a_patient_and_a_device() {
        let patient = json!({"name": [{"family": "Müller", "given": ["Ada", "Eve"], "text": "Ada Müller"}], "birthDate": "1980-05"});
        assert_eq!(
            rows(Type::Patient, patient),
            [
                "birthdate=|198",
                "birthdate=|1980",
                "birthdate=|1980-05",
                "birthdate=|=1980-05",
                "family=muller",
                "given=ada",
                "given=eve",
                "name=muller",
                "name=ada",
                "name=eve",
                "name=ada muller",
            ]
        );
        let device = json!({"identifier": [{"system": "s", "value": "v"}], "status": "active", "patient": {"reference": "Patient/p"}});
        assert_eq!(rows(Type::Device, device), ["identifier=s|v", "patient=Patient/p", "status=http://hl7.org/fhir/device-status|active"]);
    }

    #[test]
    fn a_misshapen_document_has_fewer_rows() {
        let document = json!({"name": {}, "identifier": 5, "birthDate": {"a": []}, "status": [], "code": {}, "subject": ["Patient/p"]});
        for resource in Type::ALL {
            assert!(rows(*resource, document.clone()).iter().all(|row| row.ends_with("=?")));
            assert!(index(*resource, &Object::default()).is_empty());
        }
    }
}
