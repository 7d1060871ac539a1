//! Rules of datatypes.

use std::cmp::Ordering;

use super::{Here, Rule};
use crate::fhir::number::Number;
use crate::fhir::stamp::Stamp;
use crate::fhir::validate::node::{Node, Object};

const UCUM: &str = "http://unitsofmeasure.org";

pub(super) const RULES: &[Rule] = &[
    Rule { path: "Age", key: "age-1", holds: |it| coded_ucum(it) && sign(it.this, "value").is_none_or(Ordering::is_gt) },
    Rule { path: "Attachment", key: "att-1", holds: |it| !it.has("data") || it.has("contentType") },
    Rule { path: "ContactPoint", key: "cpt-2", holds: |it| !it.has("value") || it.has("system") },
    Rule {
        path: "Count",
        key: "cnt-3",
        holds: |it| {
            coded_ucum(it) && (!it.has("code") || it.is("code", "1")) && number(it.this, "value").is_none_or(|text| !text.contains('.'))
        },
    },
    Rule { path: "DataRequirement.codeFilter", key: "drq-1", holds: |it| it.has("path") != it.has("searchParam") },
    Rule { path: "DataRequirement.dateFilter", key: "drq-2", holds: |it| it.has("path") != it.has("searchParam") },
    Rule { path: "Distance", key: "dis-1", holds: coded_ucum },
    Rule { path: "Duration", key: "drt-1", holds: |it| !it.has("code") || (it.is("system", UCUM) && it.has("value")) },
    Rule { path: "Expression", key: "exp-1", holds: |it| it.has("expression") || it.has("reference") },
    Rule { path: "Extension", key: "ext-1", holds: |it| it.has("extension") != it.this.has_any("value") },
    Rule { path: "Period", key: "per-1", holds: |it| in_order(it.this.text("start"), it.this.text("end")) },
    Rule { path: "Quantity", key: "qty-3", holds: |it| !it.has("code") || it.has("system") },
    Rule { path: "Range", key: "rng-2", holds: range },
    Rule {
        path: "Ratio",
        key: "rat-1",
        holds: |it| it.has("numerator") == it.has("denominator") && (it.has("numerator") || it.has("extension")),
    },
    Rule { path: "Timing.repeat", key: "tim-1", holds: |it| !it.has("duration") || it.has("durationUnit") },
    Rule { path: "Timing.repeat", key: "tim-2", holds: |it| !it.has("period") || it.has("periodUnit") },
    Rule { path: "Timing.repeat", key: "tim-4", holds: |it| sign(it.this, "duration").is_none_or(Ordering::is_ge) },
    Rule { path: "Timing.repeat", key: "tim-5", holds: |it| sign(it.this, "period").is_none_or(Ordering::is_ge) },
    Rule { path: "Timing.repeat", key: "tim-6", holds: |it| !it.has("periodMax") || it.has("period") },
    Rule { path: "Timing.repeat", key: "tim-7", holds: |it| !it.has("durationMax") || it.has("duration") },
    Rule { path: "Timing.repeat", key: "tim-8", holds: |it| !it.has("countMax") || it.has("count") },
    Rule { path: "Timing.repeat", key: "tim-9", holds: |it| !it.has("offset") || (it.has("when") && no_meal(it.this)) },
    Rule { path: "Timing.repeat", key: "tim-10", holds: |it| !it.has("timeOfDay") || !it.has("when") },
    Rule { path: "TriggerDefinition", key: "trd-1", holds: |it| !it.has("data") || !it.this.has_any("timing") },
    Rule { path: "TriggerDefinition", key: "trd-2", holds: |it| !it.has("condition") || it.has("data") },
    Rule { path: "TriggerDefinition", key: "trd-3", holds: trigger },
];

/// A value has a code, and a system is UCUM.
fn coded_ucum(it: &Here) -> bool {
    (it.has("code") || !it.has("value")) && (!it.has("system") || it.is("system", UCUM))
}

fn number<'a>(it: &'a Object, name: &str) -> Option<&'a str> {
    match it.get(name)? {
        Node::Number(text) => Some(text),
        _ => None,
    }
}

/// A number beside 0.
fn sign(it: &Object, name: &str) -> Option<Ordering> {
    let value = Number::parse(number(it, name)?).ok()?;
    Some(value.cmp(&Number::parse("0").ok()?))
}

fn no_meal(it: &Object) -> bool {
    it.get("when").map_or(&[][..], Node::all).iter().all(|when| !matches!(when.text(), Some("C" | "CM" | "CD" | "CV")))
}

/// Low is not above high, as far as the two can be compared.
fn range(it: &Here) -> bool {
    let (Some(low), Some(high)) = (it.this.objects("low").next(), it.this.objects("high").next()) else { return true };
    let unit = |it: &Object| (it.text("system").map(str::to_owned), it.text("code").or(it.text("unit")).map(str::to_owned));
    let value = |it: &Object| number(it, "value").and_then(|text| Number::parse(text).ok());
    match (value(low), value(high)) {
        (Some(a), Some(b)) => unit(low) != unit(high) || a <= b,
        _ => true,
    }
}

fn trigger(it: &Here) -> bool {
    match it.this.text("type") {
        Some("named-event") => it.has("name"),
        Some("periodic") => it.this.has_any("timing"),
        Some(of) if of.starts_with("data-") => it.has("data"),
        _ => true,
    }
}

/// The start is not after the end. As in FHIRPath two moments of different precision have no order unless they differ in
/// what both have, and a rule without an answer does not hold.
pub(super) fn in_order(start: Option<&str>, end: Option<&str>) -> bool {
    let (Some(start), Some(end)) = (start, end) else { return true };
    if let (Ok(start), Ok(end)) = (Stamp::parse(start, None), Stamp::parse(end, None)) {
        return start.instant() <= end.instant();
    }
    let precision = |text: &str| text.len().min(11);
    let both = start.len().min(end.len()).min(10);
    match start.get(..both).cmp(&end.get(..both)) {
        Ordering::Less => true,
        Ordering::Equal => precision(start) == precision(end),
        Ordering::Greater => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ordered_as_far_as_they_go() {
        let order = |start, end| in_order(Some(start), Some(end));
        let good = [
            ("2020", "2020"),
            ("2020", "2021"),
            ("2020-05", "2021"),
            ("2020-01-01", "2020-01-02T00:00:00Z"),
            ("2020-01-01", "2020-01-01"),
            ("2020-01-01T10:00:00+02:00", "2020-01-01T08:00:00Z"),
            ("2020-01-01T10:00:00Z", "2020-01-01T10:00:00.000Z"),
        ];
        let bad = [
            ("2021", "2020"),
            ("2020-06", "2020-05-31"),
            ("2020-01-01T10:00:01+02:00", "2020-01-01T08:00:00Z"),
            ("2020", "2020-05"),
            ("2020-01-02", "2020-01-01T10:00:00Z"),
            ("2020-01-01", "2020-01-01T10:00:00Z"),
        ];
        assert!(good.iter().all(|(start, end)| order(start, end)) && !bad.iter().any(|(start, end)| order(start, end)));
        assert!(in_order(None, Some("2020")) && in_order(Some("2020"), None));
    }
}
