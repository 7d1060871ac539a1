//! Rules of resources and of the groups of elements in them.

use std::collections::HashSet;

use super::{Here, Rule, count};
use crate::fhir::validate::node::Object;

pub(super) const RULES: &[Rule] = &[
    Rule { path: "AuditEvent.entity", key: "sev-1", holds: |it| !it.has("name") || !it.has("query") },
    Rule { path: "Bundle", key: "bdl-1", holds: |it| !it.has("total") || it.is("type", "searchset") || it.is("type", "history") },
    Rule {
        path: "Bundle",
        key: "bdl-2",
        holds: |it| it.is("type", "searchset") || !it.this.objects("entry").any(|entry| entry.has("search")),
    },
    Rule { path: "Bundle", key: "bdl-3", holds: |it| each_has(it, "request", &["batch", "transaction", "history"]) },
    Rule { path: "Bundle", key: "bdl-4", holds: |it| each_has(it, "response", &["batch-response", "transaction-response", "history"]) },
    Rule { path: "Bundle", key: "bdl-7", holds: |it| it.is("type", "history") || distinct_urls(it.this) },
    Rule {
        path: "Bundle",
        key: "bdl-9",
        holds: |it| {
            let named = |id: &Object| id.has("system") && id.has("value");
            !it.is("type", "document") || it.this.objects("identifier").any(named)
        },
    },
    Rule { path: "Bundle", key: "bdl-10", holds: |it| !it.is("type", "document") || it.this.text("timestamp").is_some() },
    Rule { path: "Bundle", key: "bdl-11", holds: |it| !it.is("type", "document") || first_is(it.this, "Composition") },
    Rule { path: "Bundle", key: "bdl-12", holds: |it| !it.is("type", "message") || first_is(it.this, "MessageHeader") },
    Rule { path: "Bundle.entry", key: "bdl-5", holds: |it| it.has("resource") || it.has("request") || it.has("response") },
    Rule { path: "Bundle.entry", key: "bdl-8", holds: |it| it.this.text("fullUrl").is_none_or(|url| !url.contains("/_history/")) },
    Rule { path: "CarePlan.activity", key: "cpl-3", holds: |it| !it.has("detail") || !it.has("reference") },
    Rule { path: "CareTeam.participant", key: "ctm-1", holds: |it| !it.has("onBehalfOf") || may_act_for(it.this) },
    Rule { path: "Consent", key: "ppc-1", holds: |it| it.has("policy") || it.has("policyRule") },
    Rule { path: "Consent", key: "ppc-2", holds: |it| it.has("patient") || !scope_is(it.this, "patient-privacy") },
    Rule { path: "Consent", key: "ppc-3", holds: |it| it.has("patient") || !scope_is(it.this, "research") },
    Rule { path: "Consent", key: "ppc-4", holds: |it| it.has("patient") || !scope_is(it.this, "adr") },
    Rule { path: "Consent", key: "ppc-5", holds: |it| it.has("patient") || !scope_is(it.this, "treatment") },
    Rule { path: "Goal.target", key: "gol-1", holds: |it| !it.this.has_any("detail") || it.has("measure") },
    Rule { path: "Group", key: "grp-1", holds: |it| !it.has("member") || it.this.is_true("actual") },
    Rule { path: "List", key: "lst-1", holds: |it| !it.has("emptyReason") || !it.has("entry") },
    Rule {
        path: "List",
        key: "lst-2",
        holds: |it| it.is("mode", "changes") || !it.this.objects("entry").any(|entry| entry.has("deleted")),
    },
    Rule { path: "List", key: "lst-3", holds: |it| it.is("mode", "working") || !it.this.objects("entry").any(|entry| entry.has("date")) },
    Rule { path: "Observation", key: "obs-6", holds: |it| !it.has("dataAbsentReason") || !it.this.has_any("value") },
    Rule { path: "Observation", key: "obs-7", holds: |it| !it.this.has_any("value") || !coded_alike(it) },
    Rule { path: "Observation.referenceRange", key: "obs-3", holds: |it| it.has("low") || it.has("high") || it.has("text") },
    Rule { path: "Organization", key: "org-1", holds: |it| count(it.this, "identifier") + usize::from(it.has("name")) > 0 },
    Rule { path: "Organization.address", key: "org-2", holds: |it| !it.is("use", "home") },
    Rule { path: "Organization.telecom", key: "org-3", holds: |it| !it.is("use", "home") },
    Rule {
        path: "Parameters.parameter",
        key: "inv-1",
        holds: |it| {
            let (value, resource) = (it.this.has_any("value"), it.has("resource"));
            if it.has("part") { !value && !resource } else { value != resource }
        },
    },
    Rule {
        path: "Patient.contact",
        key: "pat-1",
        holds: |it| ["name", "telecom", "address", "organization"].into_iter().any(|name| it.has(name)),
    },
];

/// Every entry has the element when the Bundle is of one of these types, and none when it is not.
fn each_has(it: &Here, name: &str, types: &[&str]) -> bool {
    let wanted = it.this.text("type").is_some_and(|of| types.contains(&of));
    it.this.objects("entry").all(|entry| entry.has(name) == wanted)
}

fn distinct_urls(it: &Object) -> bool {
    let mut seen = HashSet::new();
    it.objects("entry").filter_map(|entry| Some((entry.text("fullUrl")?, entry))).all(|(url, entry)| {
        let version = entry.objects("resource").flat_map(|it| it.objects("meta")).next().and_then(|meta| meta.text("versionId"));
        seen.insert((url, version))
    })
}

fn first_is(it: &Object, name: &str) -> bool {
    it.objects("entry").next().and_then(|entry| entry.objects("resource").next()).and_then(|it| it.text("resourceType")) == Some(name)
}

/// Only a practitioner acts on behalf of an organization. Whoever cannot be told from the reference may be one.
fn may_act_for(it: &Object) -> bool {
    let member = it.objects("member").next().and_then(|member| member.text("reference")).unwrap_or_default();
    !["Patient/", "RelatedPerson/", "PractitionerRole/", "Organization/", "CareTeam/"].iter().any(|other| member.starts_with(other))
}

/// R4 4.0.1 has this placeholder for a system, so the rule is asleep.
fn scope_is(it: &Object, code: &str) -> bool {
    let is = |coding: &Object| coding.text("system") == Some("something") && coding.text("code") == Some(code);
    it.objects("scope").flat_map(|scope| scope.objects("coding")).any(is)
}

/// Has a component a coding of the Observation itself?
fn coded_alike(it: &Here) -> bool {
    fn codings<'a>(it: &'a Object<'a>) -> impl Iterator<Item = [Option<&'a str>; 3]> {
        let of = |coding: &'a Object<'a>| ["system", "code", "version"].map(|name| coding.text(name));
        it.objects("code").flat_map(|code| code.objects("coding")).map(of)
    }
    let own: HashSet<_> = codings(it.resource).collect();
    it.this.objects("component").any(|component| codings(component).any(|coding| own.contains(&coding)))
}
