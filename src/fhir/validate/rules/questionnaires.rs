//! Rules of Questionnaire and QuestionnaireResponse.

use std::collections::HashSet;

use super::{Here, Rule, count};
use crate::fhir::validate::node::Object;

const ITEM: &str = "Questionnaire.item";

const WITH_LENGTH: &[&str] = &["boolean", "decimal", "integer", "string", "text", "url", "open-choice"];
const WITH_OPTIONS: &[&str] = &["choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"];

pub(super) const RULES: &[Rule] = &[
    Rule { path: "Questionnaire", key: "que-2", holds: |it| distinct(it.this, &mut HashSet::new()) },
    Rule {
        path: ITEM,
        key: "que-1",
        holds: |it| (!it.is("type", "group") || it.has("item")) && (!it.is("type", "display") || !it.has("item")),
    },
    Rule { path: ITEM, key: "que-3", holds: |it| !it.is("type", "display") || !it.has("code") },
    Rule { path: ITEM, key: "que-4", holds: |it| !it.has("answerOption") || !it.has("answerValueSet") },
    Rule { path: ITEM, key: "que-5", holds: |it| one_of(it, WITH_OPTIONS) || !(it.has("answerValueSet") || it.has("answerOption")) },
    Rule { path: ITEM, key: "que-6", holds: |it| !it.is("type", "display") || !(it.has("required") || it.has("repeats")) },
    Rule { path: ITEM, key: "que-8", holds: |it| !(it.is("type", "group") || it.is("type", "display")) || !it.has("initial") },
    Rule { path: ITEM, key: "que-9", holds: |it| !it.is("type", "display") || !it.has("readOnly") },
    Rule { path: ITEM, key: "que-10", holds: |it| one_of(it, WITH_LENGTH) || !it.has("maxLength") },
    Rule { path: ITEM, key: "que-11", holds: |it| !it.has("answerOption") || !it.has("initial") },
    // The words of the rule say more than one, its expression more than two.
    Rule { path: ITEM, key: "que-12", holds: |it| count(it.this, "enableWhen") <= 1 || it.has("enableBehavior") },
    Rule { path: ITEM, key: "que-13", holds: |it| it.this.is_true("repeats") || count(it.this, "initial") <= 1 },
    Rule {
        path: "Questionnaire.item.enableWhen",
        key: "que-7",
        holds: |it| !it.is("operator", "exists") || !it.this.has_any("answer") || it.has("answerBoolean"),
    },
    Rule { path: "QuestionnaireResponse.item", key: "qrs-1", holds: |it| !(it.has("answer") && it.has("item")) },
];

fn one_of(it: &Here, kinds: &[&str]) -> bool {
    it.this.text("type").is_some_and(|kind| kinds.contains(&kind))
}

/// Is every linkId below here another?
fn distinct<'a>(it: &'a Object<'a>, seen: &mut HashSet<&'a str>) -> bool {
    it.objects("item").all(|item| item.text("linkId").is_none_or(|id| seen.insert(id)) && distinct(item, seen))
}
