//! The vital signs: <http://hl7.org/fhir/R4/observation-vitalsigns.html>. An Observation with one of these LOINC codes must
//! be as the profile of that code says, whether it names the profile or not; one that names a profile has its code too.

use super::issue::Issues;
use super::node::{Node, Object};
use super::place::Place;
use super::profile;

const LOINC: &str = "http://loinc.org";
const UCUM: &str = "http://unitsofmeasure.org";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// What the value of a profile may be.
enum Wanted {
    /// None: it is a panel, or has components.
    Nothing,
    /// In one of these units of UCUM; true: there must be one, even with a dataAbsentReason.
    Quantity(&'static [&'static str], bool),
}

struct Profile {
    code: &'static str,
    name: &'static str,
    value: Wanted,
}

const LENGTH: &[&str] = &["cm", "[in_i]"];
const RATE: &[&str] = &["/min"];

const PROFILES: &[Profile] = &[
    Profile { code: "85353-1", name: "vitalspanel", value: Wanted::Nothing },
    Profile { code: "9279-1", name: "resprate", value: Wanted::Quantity(RATE, false) },
    Profile { code: "8867-4", name: "heartrate", value: Wanted::Quantity(RATE, false) },
    Profile { code: "2708-6", name: "oxygensat", value: Wanted::Quantity(&["%"], false) },
    Profile { code: "8310-5", name: "bodytemp", value: Wanted::Quantity(&["Cel", "[degF]"], false) },
    Profile { code: "8302-2", name: "bodyheight", value: Wanted::Quantity(LENGTH, false) },
    Profile { code: "9843-4", name: "headcircum", value: Wanted::Quantity(LENGTH, false) },
    Profile { code: "29463-7", name: "bodyweight", value: Wanted::Quantity(&["kg", "[lb_av]", "g"], false) },
    Profile { code: "39156-5", name: "bmi", value: Wanted::Quantity(&["kg/m2"], true) },
    Profile { code: "85354-9", name: "bp", value: Wanted::Nothing },
];

/// Units that a component of any vital sign may have.
const COMMON: &[&str] = &["%", "cm", "[in_i]", "kg", "g", "[lb_av]", "Cel", "[degF]", "mm[Hg]", "/min", "kg/m2", "m2"];
const PRESSURE: &[&str] = &["mm[Hg]"];
const PRESSURES: [(&str, &str); 2] = [("8480-6", "systolic"), ("8462-4", "diastolic")];

struct Judge<'j> {
    profile: &'static str,
    issues: &'j mut Issues,
}

/// By its codes, by the profiles that it names, and by the one that was asked for.
pub(super) fn judge(it: &Object, place: &Place, asked: Option<&str>, issues: &mut Issues) {
    let said = it.objects("meta").filter_map(|meta| meta.get("profile")).flat_map(Node::all).filter_map(Node::text);
    let named: Vec<&str> = said.chain(asked).filter_map(profile::name).collect();
    let mut any = false;
    for profile in PROFILES.iter().filter(|one| loinc(it, one.code) > 0 || named.contains(&one.name)) {
        any = true;
        let mut judge = Judge { profile: profile.name, issues };
        judge.all(it, place);
        judge.code(it, profile.code, place);
        judge.value(it, &profile.value, place);
        match profile.name {
            "bp" => judge.pressure(it, place),
            "vitalspanel" if !it.has("hasMember") => {
                judge.say(&place.child("hasMember"), "A vital signs panel has no members.", "Send hasMember.")
            }
            _ => {}
        }
    }
    if !any && named.contains(&"vitalsigns") {
        Judge { profile: "vitalsigns", issues }.all(it, place);
    }
}

/// How many codings of LOINC with this code the object's `code` has.
fn loinc(it: &Object, code: &str) -> usize {
    let is = |coding: &&Object| coding.text("system") == Some(LOINC) && coding.text("code") == Some(code);
    it.objects("code").flat_map(|code| code.objects("coding")).filter(is).count()
}

impl Judge<'_> {
    fn say(&mut self, place: &Place, says: &str, remedy: impl Into<String>) {
        let says = format!("http://hl7.org/fhir/StructureDefinition/{}: {says}", self.profile);
        self.issues.add(place, "invariant", says, remedy.into());
    }

    /// What all vital signs have in common.
    fn all(&mut self, it: &Object, place: &Place) {
        let vital = |coding: &Object| coding.text("system") == Some(CATEGORY) && coding.text("code") == Some("vital-signs");
        let category = it.objects("category").filter(|category| category.objects("coding").any(vital)).count();
        if category != 1 {
            self.say(
                &place.child("category"),
                "There is not one category vital-signs.",
                format!("Send one category with the code vital-signs of {CATEGORY}."),
            );
        }
        match it.objects("subject").next() {
            None => self.say(&place.child("subject"), "The subject is missing.", "Send the Patient as subject."),
            Some(subject)
                if ["Group/", "Device/", "Location/"]
                    .iter()
                    .any(|other| subject.text("reference").is_some_and(|text| text.starts_with(other))) =>
            {
                self.say(&place.child("subject"), "The subject is no Patient.", "Send the Patient as subject.");
            }
            Some(_) => {}
        }
        self.effective(it, &place.child("effective"));
        if !it.has("component") && !it.has("hasMember") && !it.has("dataAbsentReason") && !it.has_any("value") {
            self.say(place, "vs-2: There is no value, component, member or dataAbsentReason.", "Send one of them.");
        }
        for (n, component) in it.objects("component").enumerate() {
            let place = place.child("component").at(n);
            if !component.has_any("value") && !component.has("dataAbsentReason") {
                self.say(&place, "vs-3: The component has neither value nor dataAbsentReason.", "Send one of them.");
            }
            if component.objects("valueQuantity").any(|value| (value.has("code") || value.has("system")) && !unit(value, COMMON)) {
                self.unit(&place.child("value"), COMMON);
            }
            let coded = |value: &Object| !value.objects("coding").any(|coding| unit(coding, COMMON));
            if component.objects("valueCodeableConcept").any(coded) {
                let says = "No coding is from the value set that R4 binds the components of vital signs to.";
                self.say(
                    &place.child("value"),
                    says,
                    format!("Send a quantity in one of the units {}, or another type of value.", COMMON.join(", ")),
                );
            }
        }
    }

    /// A dateTime of a whole day at least, or a Period.
    fn effective(&mut self, it: &Object, place: &Place) {
        const REMEDY: &str = "Send effectiveDateTime with at least the day, or effectivePeriod.";
        if !it.has("effectiveDateTime") && !it.has("effectivePeriod") {
            self.say(place, "The time is missing, or of another type.", REMEDY);
        }
        if it.text("effectiveDateTime").is_some_and(|text| text.len() < 8) {
            self.say(place, "vs-1: The time does not name a day.", REMEDY);
        }
    }

    fn code(&mut self, it: &Object, code: &str, place: &Place) {
        if loinc(it, code) == 0 {
            let says = format!("The LOINC code {code} is missing.");
            self.say(&place.child("code"), &says, format!("Send a coding of {LOINC} with the code {code}, or name another profile."));
        }
        if loinc(it, code) > 1 && code != "85353-1" {
            self.say(&place.child("code"), "The LOINC code stands more than once.", "Send it once.");
        }
    }

    fn value(&mut self, it: &Object, wanted: &Wanted, place: &Place) {
        let place = place.child("value");
        match wanted {
            Wanted::Nothing if it.has_any("value") => {
                self.say(&place, "It has a value of its own.", "Remove the value; its parts carry the values.")
            }
            Wanted::Nothing => {}
            Wanted::Quantity(units, must) => {
                let value = it.objects("valueQuantity").next();
                match value {
                    Some(value) => self.quantity(value, units, &place),
                    None if it.has_any("value") && !it.has("valueQuantity") => {
                        self.say(&place, "The value is not a Quantity.", "Send valueQuantity.")
                    }
                    None if *must => self.say(&place, "The value is missing.", "Send valueQuantity."),
                    None => {}
                }
            }
        }
    }

    /// A number with its unit, in words and in UCUM.
    fn quantity(&mut self, it: &Object, units: &[&str], place: &Place) {
        for name in ["value", "unit"].into_iter().filter(|name| !it.has(name)) {
            self.say(&place.child(name), &format!("{name} is missing."), format!("Send {name}."));
        }
        if !unit(it, units) {
            self.unit(place, units);
        }
    }

    fn unit(&mut self, place: &Place, units: &[&str]) {
        self.say(
            &place.child("code"),
            "The unit is another than the profile has.",
            format!("Send the system {UCUM} and one of the codes {}.", units.join(", ")),
        );
    }

    /// Systolic and diastolic pressure, each once.
    fn pressure(&mut self, it: &Object, place: &Place) {
        let place = place.child("component");
        for (code, name) in PRESSURES {
            let mut found = it.objects("component").enumerate().filter(|(_, component)| loinc(component, code) > 0);
            let (first, more) = (found.next(), found.next());
            if first.is_none() || more.is_some() {
                self.say(
                    &place,
                    &format!("There is not one {name} pressure ({code})."),
                    format!("Send one component with the LOINC code {code}."),
                );
            }
            let Some((n, component)) = first else { continue };
            let here = place.at(n);
            let place = here.child("value");
            match component.get("valueQuantity") {
                Some(Node::Object(value)) => self.quantity(value, PRESSURE, &place),
                _ if component.has_any("value") => self.say(&place, "The value is not a Quantity.", "Send valueQuantity."),
                _ => {}
            }
        }
    }
}

fn unit(it: &Object, units: &[&str]) -> bool {
    it.text("system") == Some(UCUM) && it.text("code").is_some_and(|code| units.contains(&code))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fhir::validate::tests::{fine, with, wrong};

    fn vital(code: &str, more: Value) -> Value {
        let base = json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"system": LOINC, "code": code}]},
            "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}], "subject": {"reference": "Patient/1"}, "effectiveDateTime": "2020-01-01"});
        with(base, more)
    }

    fn quantity(unit: &str) -> Value {
        json!({"value": 1.50, "unit": "x", "system": UCUM, "code": unit})
    }

    #[test]
    fn each_profile_has_its_units() {
        for profile in PROFILES {
            let Wanted::Quantity(units, must) = &profile.value else { continue };
            for unit in *units {
                fine(vital(profile.code, json!({"valueQuantity": quantity(unit)})));
            }
            wrong(vital(profile.code, json!({"valueQuantity": quantity("furlong")})), &["Observation.value.code"]);
            wrong(
                vital(profile.code, json!({"valueQuantity": {"value": 1, "code": units[0], "system": UCUM}})),
                &["Observation.value.unit"],
            );
            wrong(vital(profile.code, json!({"valueString": "x"})), &["Observation.value"]);
            let absent = vital(profile.code, json!({"dataAbsentReason": {"text": "x"}}));
            if *must { wrong(absent, &["Observation.value"]) } else { fine(absent) }
        }
        fine(vital("8867-5", json!({"valueString": "x"})));
    }

    #[test]
    fn all_have_category_subject_and_time() {
        let rate = |more: Value| vital("8867-4", with(json!({"valueQuantity": quantity("/min")}), more));
        let without = |name: &str| {
            let mut some = rate(json!({}));
            some.as_object_mut().map(|it| it.remove(name));
            some
        };
        wrong(without("category"), &["Observation.category"]);
        wrong(without("subject"), &["Observation.subject"]);
        wrong(without("effectiveDateTime"), &["Observation.effective"]);
        wrong(rate(json!({"subject": {"reference": "Group/1"}})), &["Observation.subject"]);
        wrong(rate(json!({"effectiveDateTime": "2020-01"})), &["Observation.effective"]);
        wrong(rate(json!({"category": [{"text": "vital-signs"}]})), &["Observation.category"]);
        wrong(vital("8867-4", json!({})), &["Observation"]);
        wrong(rate(json!({"component": [{"code": {"text": "x"}}]})), &["Observation.component[0]"]);
        wrong(
            rate(json!({"component": [{"code": {"text": "x"}, "valueQuantity": quantity("L")}]})),
            &["Observation.component[0].value.code"],
        );
        wrong(
            rate(json!({"component": [{"code": {"text": "x"}, "valueCodeableConcept": {"text": "x"}}]})),
            &["Observation.component[0].value"],
        );
        fine(rate(json!({"component": [{"code": {"text": "x"}, "valueQuantity": {"value": 1, "unit": "L"}}]})));
        let again = json!({"coding": [{"system": LOINC, "code": "8867-4"}, {"system": LOINC, "code": "8867-4"}]});
        wrong(rate(json!({"code": again})), &["Observation.code"]);
    }

    #[test]
    fn a_blood_pressure_has_two_parts() {
        let part = |code: &str, unit: &str| json!({"code": {"coding": [{"system": LOINC, "code": code}]}, "valueQuantity": quantity(unit)});
        let pressure = |parts: Value| vital("85354-9", json!({"component": parts}));
        let (systolic, diastolic) = (part("8480-6", "mm[Hg]"), part("8462-4", "mm[Hg]"));
        fine(pressure(json!([systolic, diastolic])));
        fine(pressure(json!([systolic, {"code": diastolic["code"], "dataAbsentReason": {"text": "x"}}])));
        wrong(pressure(json!([systolic])), &["Observation.component"]);
        wrong(pressure(json!([systolic, diastolic, diastolic])), &["Observation.component"]);
        wrong(pressure(json!([systolic, part("8462-4", "%")])), &["Observation.component[1].value.code"]);
        wrong(pressure(json!([systolic, {"code": diastolic["code"], "valueString": "x"}])), &["Observation.component[1].value"]);
        wrong(with(pressure(json!([systolic, diastolic])), json!({"valueQuantity": quantity("mm[Hg]")})), &["Observation.value"]);
        wrong(vital("85353-1", json!({"dataAbsentReason": {"text": "x"}})), &["Observation.hasMember"]);
        fine(vital("85353-1", json!({"hasMember": [{"reference": "Observation/1"}]})));
    }
}
