//! Links from one entry of a transaction to another: <https://hl7.org/fhir/R4/http.html#trules>, the paragraph on
//! references; <https://hl7.org/fhir/R4/bundle.html#references>.

use std::collections::HashMap;

use super::walk::{Role, each};
use super::write::{self, Changed};
use super::{narrative, resource_type, scheme};
use crate::fhir::validate::{Object, Pointer};

/// What the sender of a transaction calls its resources, and what they are called here.
#[derive(Clone, Debug, Default)]
pub struct Links {
    at: HashMap<String, (String, u32)>,
}

impl Links {
    /// `name` is a `fullUrl`, or a conditional reference (`Patient?identifier=x`) that was looked up. It is `to`
    /// (`Patient/1`) from now on, in that version.
    pub fn put(&mut self, name: impl Into<String>, to: impl Into<String>, version: u32) {
        self.at.insert(name.into(), (to.into(), version));
    }

    /// What becomes of a link in the entry with this `fullUrl`. A version stays one, and is the one that the resource
    /// has now. None when the link leads to no other entry.
    pub fn resolve(&self, full_url: Option<&str>, link: &str) -> Option<String> {
        if scheme(link).is_some() || link.contains('?') {
            return self.named(link);
        }
        // Relative: what stands beside the entry on the server that it comes from.
        let base = full_url.and_then(base)?;
        self.named(&format!("{base}/{link}"))
    }

    fn named(&self, link: &str) -> Option<String> {
        if let Some((to, _)) = self.at.get(link) {
            return Some(to.clone());
        }
        let (name, _) = link.split_once("/_history/").filter(|(_, version)| !version.contains(['/', '#', '?']))?;
        self.at.get(name).map(|(to, version)| format!("{to}/_history/{version}"))
    }
}

/// The base of `http://a/Patient/1`: `http://a`.
fn base(full_url: &str) -> Option<&str> {
    let (rest, _) = full_url.rsplit_once('/')?;
    let (base, name) = rest.rsplit_once('/')?;
    let web = matches!(scheme(full_url), Some("http" | "https"));
    (web && resource_type(name).is_some()).then_some(base)
}

/// Type and search of a conditional reference: `Patient?identifier=x`.
pub fn conditional(reference: &str) -> Option<(&'static str, &str)> {
    let (name, query) = reference.split_once('?')?;
    resource_type(name).zip(Some(query).filter(|query| !query.is_empty()))
}

/// Every literal reference of a resource and of those in it, but those to the latter: in this order, `at` as FHIRPath
/// from the resource on.
pub fn references(tree: &Object) -> Vec<Pointer> {
    let mut found = Vec::new();
    each(tree, &mut |way, role, node| {
        let to = node.text().filter(|text| role == Role::Reference && !text.is_empty() && !text.starts_with('#'));
        found.extend(to.map(|to| Pointer { at: way.to_string(), to: to.to_owned() }));
    });
    found
}

/// The text of a resource, with those links replaced that `resolve` answers. It is asked for each reference, uri, url,
/// oid and uuid, and each `href` and `src` of a narrative, with the whole text of it; not for links inside of the
/// resource (`#a`), and for a search (`Patient?identifier=x`) only where it is a reference.
pub fn rewrite<'t>(tree: &'t Object<'t>, resolve: &dyn Fn(&str) -> Option<String>) -> String {
    let link = |text: &str| match text.starts_with('#') || scheme(text).is_none() && text.contains('?') {
        true => None,
        false => resolve(text),
    };
    let mut changed = Changed::new();
    each(tree, &mut |_, role, node| {
        let Some(text) = node.text() else { return };
        let new = match role {
            Role::Reference if text.starts_with('#') => None,
            Role::Reference => resolve(text),
            Role::Uri => link(text),
            // A path would be none of the type, and the resource could not be sent back as it was read.
            Role::Urn => link(text).filter(|new| new.starts_with("urn:")),
            Role::Narrative => narrative::replaced(text, &link),
        };
        changed.extend(new.map(|new| (std::ptr::from_ref(node), new)));
    });
    write::changed(tree, &changed)
}

#[cfg(test)]
mod tests {
    use super::super::tests::checked;
    use super::*;

    const UUID: &str = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520";

    fn links() -> Links {
        let mut links = Links::default();
        links.put(UUID, "Patient/1", 1);
        links.put("urn:oid:1.2.3", "Device/2", 1);
        links.put("http://old/fhir/Patient/23", "Patient/3", 4);
        links.put("Patient?identifier=http://a|x", "Patient/5", 9);
        links
    }

    #[test]
    fn names_lead_to_what_is_stored() {
        let links = links();
        let entry = Some("http://old/fhir/Observation/7");
        for (within, link, to) in [
            (None, UUID, Some("Patient/1")),
            (entry, UUID, Some("Patient/1")),
            (None, "http://old/fhir/Patient/23", Some("Patient/3")),
            (None, "http://old/fhir/Patient/23/_history/1", Some("Patient/3/_history/4")),
            (entry, "Patient/23", Some("Patient/3")),
            (entry, "Patient/23/_history/1", Some("Patient/3/_history/4")),
            (None, "Patient?identifier=http://a|x", Some("Patient/5")),
            (None, "Patient/23", None),
            (Some(UUID), "Patient/23", None),
            (Some("http://other/fhir/Observation/7"), "Patient/23", None),
            (Some("http://old/fhir/x"), "Patient/23", None),
            (entry, "Patient/24", None),
            (None, "http://old/fhir/Patient/23#a", None),
            (None, "http://old/fhir/Patient/23/_history/1#a", None),
            (None, "http://old/fhir/Patient/23/$everything", None),
            (None, "Patient?identifier=http://a|y", None),
        ] {
            assert_eq!(links.resolve(within, link).as_deref(), to, "{within:?} {link}");
        }
    }

    #[test]
    fn conditional_references_are_told_apart() {
        assert_eq!(conditional("Patient?identifier=a|b"), Some(("Patient", "identifier=a|b")));
        for text in ["Patient/1", "Patient?", "Nothing?a=b", "http://a/Patient?a=b", UUID] {
            assert_eq!(conditional(text), None, "{text}");
        }
    }

    /// A resource with a number for each link that is replaced, and a UUID where it stays.
    const RESOURCE: &str = concat!(
        r#"{"resourceType":"Observation","text":{"status":"additional","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">"#,
        r##"<a href=\"<2>\">UUID</a><img src='#c'/></div>"},"##,
        r#""contained":[{"resourceType":"Observation","id":"c","status":"final","code":{"text":"UUID"},"subject":{"reference":"<4>"}}],"#,
        r#""extension":[{"url":"http://a","valueReference":{"reference":"<3>"}},{"url":"http://a","valueCanonical":"UUID"},"#,
        r#"{"url":"http://a","valueUuid":"UUID"},{"url":"http://a","valueString":"UUID"},{"url":"http://a","valueUrl":"<6>"},"#,
        r#"{"url":"http://a","valueUrl":"http://a#frag"},"#,
        r#"{"url":"http://a","_valueDate":{"extension":[{"url":"http://a","valueReference":{"reference":"<7>"}}]}}],"#,
        r#""identifier":[{"system":"urn:ietf:rfc:3986","value":"UUID"}],"status":"final","code":{"text":"x"},"#,
        r#""subject":{"reference":"<0>","display":"UUID"},"performer":[{"reference":"<5>"},{"reference":"<8>"}],"#,
        r#""valueQuantity":{"value":0.1000,"extension":[{"url":"http://a","valueDecimal":-0},{"url":"http://a","valueDecimal":1e5}]},"#,
        r##""device":{"reference":"<1>"},"hasMember":[{"reference":"#c"},{"reference":"Observation/other"}]}"##
    );

    fn resource(links: [&str; 9]) -> String {
        let text = RESOURCE.replace("UUID", UUID);
        links.iter().enumerate().fold(text, |text, (n, link)| text.replace(&format!("<{n}>"), link))
    }

    fn before() -> String {
        resource([
            UUID,
            "urn:oid:1.2.3",
            UUID,
            UUID,
            "http://old/fhir/Patient/23",
            "Patient?identifier=http://a|x",
            UUID,
            UUID,
            "http://old/fhir/Patient/23/_history/1",
        ])
    }

    #[test]
    fn links_are_replaced_wherever_they_stand() {
        let text = before();
        let request = r#"{"method":"POST","url":"Observation"}"#;
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{request},"resource":{text}}}]}}"#);
        let bundle = checked(&bundle);
        let entry = super::super::read(&bundle.tree, &Default::default()).unwrap().entries.remove(0);
        let tree = entry.resource.unwrap();
        let links = links();
        let after = rewrite(tree, &|link| links.resolve(entry.full_url, link));
        let wanted = resource([
            "Patient/1",
            "Device/2",
            "Patient/1",
            "Patient/1",
            "Patient/3",
            "Patient/5",
            "Patient/1",
            "Patient/1",
            "Patient/3/_history/4",
        ]);
        assert_eq!(after, wanted);
        assert_eq!(rewrite(tree, &|_| None), text);
        assert_eq!(write::changed(tree, &Changed::new()), text);
        // What was rewritten stands by itself.
        assert!(crate::fhir::validate::validate(after.as_bytes(), &Default::default()).is_ok());
    }

    #[test]
    fn what_is_asked_for_is_whole_and_no_fragment() {
        let text = before();
        let text = text.replace("\"Patient?identifier=http://a|x\"", "\"Patient/9\"");
        let checked = checked(&text);
        let asked = std::cell::RefCell::new(Vec::new());
        rewrite(&checked.tree, &|link| {
            asked.borrow_mut().push(link.to_owned());
            None
        });
        let asked = asked.into_inner();
        assert!(asked.iter().all(|link| !link.starts_with('#')), "{asked:?}");
        assert!(asked.contains(&"http://a#frag".to_owned()) && asked.contains(&"Observation/other".to_owned()));
        assert_eq!(asked.iter().filter(|link| **link == UUID).count(), 6);
    }

    #[test]
    fn references_are_found_with_their_place() {
        let text = before().replace("Patient?identifier=http://a|x", "Patient/9");
        let checked = checked(&text);
        let found: Vec<(String, String)> = references(&checked.tree).into_iter().map(|it| (it.at, it.to)).collect();
        let wanted = [
            ("Observation.contained[0].subject.reference", "http://old/fhir/Patient/23"),
            ("Observation.extension[0].value.reference", UUID),
            ("Observation.extension[6].value.extension[0].value.reference", UUID),
            ("Observation.subject.reference", UUID),
            ("Observation.performer[0].reference", "Patient/9"),
            ("Observation.performer[1].reference", "http://old/fhir/Patient/23/_history/1"),
            ("Observation.device.reference", "urn:oid:1.2.3"),
            ("Observation.hasMember[1].reference", "Observation/other"),
        ];
        assert_eq!(found, wanted.map(|(at, to)| (at.to_owned(), to.to_owned())));
        assert_eq!(references(&checked.tree), checked.pointers);
    }
}
