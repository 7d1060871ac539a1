//! Bundles: <http://hl7.org/fhir/R4/bundle.html>. What concerns one entry and its request; the rules with a key are in
//! `rules`.

use super::issue::{Issues, quoted};
use super::node::Object;
use super::place::Place;
use super::primitive::{is_absolute, scheme};
use super::reference::is_type;

pub(super) fn judge(it: &Object, place: &Place, issues: &mut Issues) {
    let acts = matches!(it.text("type"), Some("batch" | "transaction"));
    let named = matches!(it.text("type"), Some("document" | "message" | "collection" | "searchset"));
    for (n, entry) in it.objects("entry").enumerate() {
        if issues.full() {
            return;
        }
        let place = place.child("entry").at(n);
        full_url(entry, &place, acts, issues);
        if named && entry.has("resource") && !entry.has("fullUrl") {
            issues.add(&place.child("fullUrl"), "required", "The resource has no fullUrl.", "Send its URL, or urn:uuid: and a UUID.");
        }
        if let Some(request) = entry.objects("request").next().filter(|_| acts) {
            judge_request(request, entry, &place, issues);
        }
    }
}

/// It is absolute; a URL that ends with a type and an id ends with those of the resource.
fn full_url(entry: &Object, place: &Place, acts: bool, issues: &mut Issues) {
    let place = place.child("fullUrl");
    let Some(url) = entry.text("fullUrl").filter(|url| !url.is_empty()) else { return };
    if !is_absolute(url) {
        return issues.add(&place, "value", "The fullUrl is not absolute.", "Send an absolute URL or urn:uuid: and a UUID.");
    }
    let creates = acts && entry.objects("request").any(|it| it.text("method") == Some("POST"));
    let resource = entry.objects("resource").next().and_then(|it| Some((it.text("resourceType")?, it.text("id")?)));
    let mut parts = url.rsplit('/');
    let (id, name) = (parts.next(), parts.next().filter(|name| is_type(name)));
    let web = matches!(scheme(url), Some("http" | "https"));
    if web && !creates && name.is_some() && resource.is_some_and(|resource| Some(resource) != name.zip(id)) {
        issues.add(&place, "value", "The fullUrl ends with another type and id than the resource has.", "Make both the same.");
    }
}

fn judge_request(request: &Object, entry: &Object, place: &Place, issues: &mut Issues) {
    let here = place.child("request");
    let has = entry.has("resource");
    match request.text("method") {
        Some(method @ ("POST" | "PUT" | "PATCH")) if !has && !is_operation(request) => {
            issues.add(&place.child("resource"), "required", format!("An entry with {method} has no resource."), "Send the resource.");
        }
        Some(method @ ("GET" | "HEAD" | "DELETE")) if has => {
            issues.add(&place.child("resource"), "structure", format!("An entry with {method} has a resource."), "Remove the resource.");
        }
        _ => {}
    }
    let Some(url) = request.text("url").filter(|url| !url.is_empty()) else { return };
    let path = url.split('?').next().unwrap_or_default();
    if scheme(url).is_some() || path.starts_with('/') || path.split('/').any(|part| part == "..") {
        let says = format!("{} is no path below the base of the server.", quoted(url));
        issues.add(&here.child("url"), "value", says, "Send Type, Type/id or Type?search, without the base and without a leading slash.");
    }
}

/// An operation may be called without a body.
fn is_operation(request: &Object) -> bool {
    request.text("url").is_some_and(|url| url.split(['/', '?']).any(|part| part.starts_with('$')))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::fhir::validate::tests::{fine, with, wrong};

    fn bundle(kind: &str, entry: Value) -> Value {
        json!({"resourceType": "Bundle", "type": kind, "entry": [entry]})
    }

    #[test]
    fn a_full_url_is_that_of_the_resource() {
        let entry = |url: &str| bundle("collection", json!({"fullUrl": url, "resource": {"resourceType": "Patient", "id": "1"}}));
        for url in ["http://a/Patient/1", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "http://a/b"] {
            fine(entry(url));
        }
        for url in ["Patient/1", "http://a/Patient/2", "http://a/Group/1", "urn:uuid:1"] {
            wrong(entry(url), &["Bundle.entry[0].fullUrl"]);
        }
        wrong(bundle("collection", json!({"resource": {"resourceType": "Patient"}})), &["Bundle.entry[0].fullUrl"]);
        wrong(
            bundle(
                "batch",
                json!({"resource": {"resourceType": "Patient", "gender": "x"}, "request": {"method": "POST", "url": "Patient"}}),
            ),
            &["Bundle.entry[0].resource.gender"],
        );
    }

    #[test]
    fn a_request_fits_its_resource() {
        let entry =
            |method: &str, url: &str, more: Value| bundle("transaction", with(json!({"request": {"method": method, "url": url}}), more));
        let resource = || json!({"resource": {"resourceType": "Patient"}});
        for (method, url) in [("POST", "Patient"), ("PUT", "Patient/1"), ("PUT", "Patient?identifier=http://a|..")] {
            fine(entry(method, url, resource()));
            wrong(entry(method, url, json!({})), &["Bundle.entry[0].resource"]);
        }
        fine(entry("POST", "Patient/$merge", json!({})));
        for (method, url) in [("GET", "Patient?name=a"), ("DELETE", "Patient/1")] {
            fine(entry(method, url, json!({})));
            wrong(entry(method, url, resource()), &["Bundle.entry[0].resource"]);
        }
        for url in ["//evil/", "/Patient/1", "../../admin", "http://a/Patient/1", "Patient/../1"] {
            wrong(entry("PUT", url, resource()), &["Bundle.entry[0].request.url"]);
        }
        wrong(entry("TRACE", "Patient/1", json!({})), &["Bundle.entry[0].request.method"]);
        fine(entry(
            "POST",
            "Observation",
            json!({"resource": {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": "Patient?identifier=a"}}}),
        ));
    }
}
