//! The text of a resource as it is kept: what the client wrote without white space between its tokens, members in their
//! order and numbers and strings letter for letter, and holes for what the server sets (`id`, `meta.versionId`,
//! `meta.lastUpdated`: https://hl7.org/fhir/R4/resource.html#Meta).

/// Stands before the letter of a hole; JSON text never holds a control character.
const HOLE: char = '\u{1}';

/// A text with its holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(String);

impl Body {
    /// `text` is one JSON object that was judged before, with each name once.
    pub fn of(text: &str) -> Body {
        let members = members(text);
        let named = |name: &str| members.iter().any(|(key, _)| is(key, name));
        let (has_id, has_meta) = (named("id"), named("meta"));
        let mut out = Out::new(text.len() + 64);
        for (key, value) in &members {
            if is(key, "id") {
                out.hole("id", 'i');
            } else if is(key, "meta") {
                out.meta(value);
            } else {
                out.member(key, value);
            }
            let (is_type, is_id) = (is(key, "resourceType"), is(key, "id"));
            if is_type && !has_id {
                out.hole("id", 'i');
            }
            if (is_id || (is_type && !has_id)) && !has_meta {
                out.meta("{}");
            }
        }
        out.text.push('}');
        Body(out.text)
    }

    /// With more labels behind those of `meta.security`, each the text of a Coding.
    pub fn labelled(&self, more: &[&str]) -> Body {
        let mut out = Out::new(self.0.len() + 128);
        for (key, value) in members(&self.0) {
            if !is(key, "meta") {
                out.member(key, value);
                continue;
            }
            let (security, rest): (Vec<_>, Vec<_>) = members(value).into_iter().partition(|(key, _)| is(key, "security"));
            let all: Vec<&str> = security.iter().flat_map(|(_, value)| items(value)).chain(more.iter().copied()).collect();
            out.comma();
            out.text.push_str("\"meta\":{");
            out.first = true;
            rest.iter().for_each(|(key, value)| out.member(key, value));
            out.member("\"security\"", &format!("[{}]", all.join(",")));
            out.text.push('}');
        }
        out.text.push('}');
        Body(out.text)
    }

    /// The text of one version.
    pub fn text(&self, id: &str, version: u32, last_updated: &str) -> String {
        let mut out = String::with_capacity(self.0.len() + id.len() + 48);
        let mut parts = self.0.split(HOLE);
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            match part.split_at_checked(1) {
                Some(("i", rest)) => [id, rest].iter().for_each(|text| out.push_str(text)),
                Some(("u", rest)) => [last_updated, rest].iter().for_each(|text| out.push_str(text)),
                Some((_, rest)) => [version.to_string().as_str(), rest].iter().for_each(|text| out.push_str(text)),
                None => {}
            }
        }
        out
    }
}

/// An object that is being written.
struct Out {
    text: String,
    first: bool,
}

impl Out {
    fn new(capacity: usize) -> Out {
        let mut text = String::with_capacity(capacity);
        text.push('{');
        Out { text, first: true }
    }

    fn comma(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.text.push(',');
        }
    }

    fn member(&mut self, key: &str, value: &str) {
        self.comma();
        self.text.push_str(key);
        self.text.push(':');
        compact(&mut self.text, value);
    }

    fn hole(&mut self, name: &str, letter: char) {
        self.comma();
        for piece in ["\"", name, "\":\""] {
            self.text.push_str(piece);
        }
        self.text.extend([HOLE, letter, '"']);
    }

    /// What the client says of tags, profiles and labels stays.
    fn meta(&mut self, value: &str) {
        self.comma();
        self.text.push_str("\"meta\":{");
        self.first = true;
        self.hole("versionId", 'v');
        self.hole("lastUpdated", 'u');
        for (key, value) in members(value) {
            if !["versionId", "_versionId", "lastUpdated", "_lastUpdated"].iter().any(|name| is(key, name)) {
                self.member(key, value);
            }
        }
        self.text.push('}');
    }
}

/// Is a key, as it is quoted in the text, this name? One that is escaped means the same.
fn is(key: &str, name: &str) -> bool {
    if key.contains('\\') {
        return serde_json::from_str::<String>(key).is_ok_and(|key| key == name);
    }
    key.get(1..key.len().saturating_sub(1)) == Some(name)
}

/// The members of an object: key with its quotes, and the text of the value.
fn members(text: &str) -> Vec<(&str, &str)> {
    items(text).into_iter().filter_map(member).collect()
}

/// A key ends at the first quote that is not escaped.
fn member(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    let (key, rest) = text.split_at_checked(end?.0 + 1)?;
    Some((key, rest.trim_start().strip_prefix(':')?.trim_start()))
}

/// What stands between the commas of an object or array.
fn items(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut in_string, mut escaped, mut from) = (0usize, false, false, 0usize);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            in_string = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' if depth == 0 => (depth, from) = (1, at + 1),
            b'{' | b'[' => depth += 1,
            _ if depth == 1 && (closes || byte == b',') => {
                found.extend(text.get(from..at).map(str::trim).filter(|item| !item.is_empty()));
                from = at + 1;
                depth -= usize::from(closes);
            }
            _ if closes => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

/// The texts of the labels that a resource has.
pub fn labels(resource: &str) -> Vec<&str> {
    let member = |text, name| members(text).into_iter().find(|(key, _)| is(key, name)).map_or("", |(_, value)| value);
    items(member(member(resource, "meta"), "security"))
}

/// The texts of the resources of a Bundle, entry by entry.
pub fn resources(bundle: &str) -> Vec<Option<&str>> {
    let entries = members(bundle).into_iter().find(|(key, _)| is(key, "entry")).map_or("", |(_, value)| value);
    items(entries)
        .into_iter()
        .map(|entry| members(entry).into_iter().find(|(key, _)| is(key, "resource")).map(|(_, value)| value))
        .collect()
}

/// Without the white space between tokens.
fn compact(out: &mut String, text: &str) {
    let (mut in_string, mut escaped, mut from) = (false, false, 0);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            in_string = byte != b'"' || escaped;
            escaped = byte == b'\\' && !escaped;
        } else if byte == b'"' {
            in_string = true;
        } else if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            out.push_str(text.get(from..at).unwrap_or_default());
            from = at + 1;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(of: &str) -> String {
        Body::of(of).text("x", 3, "2026-01-01T00:00:00.000Z")
    }

    const SET: &str = r#""versionId":"3","lastUpdated":"2026-01-01T00:00:00.000Z""#;

    #[test]
    fn what_the_server_sets_is_set_where_it_stood() {
        assert_eq!(
            text(r#" { "status" : "final", "resourceType":"Observation" } "#),
            format!(r#"{{"status":"final","resourceType":"Observation","id":"x","meta":{{{SET}}}}}"#)
        );
        assert_eq!(
            text(r#"{"resourceType":"Basic","meta":{"lastUpdated":"1999","tag":[{"code":"a b"}],"versionId":"9"},"id":"y"}"#),
            format!(r#"{{"resourceType":"Basic","meta":{{{SET},"tag":[{{"code":"a b"}}]}},"id":"x"}}"#)
        );
        assert_eq!(
            text(r#"{"\u0069d":"y","resourceType":"Basic","contained":[{"id":"in","meta":{"versionId":"7"}}]}"#),
            format!(r#"{{"id":"x","meta":{{{SET}}},"resourceType":"Basic","contained":[{{"id":"in","meta":{{"versionId":"7"}}}}]}}"#)
        );
    }

    #[test]
    fn numbers_and_strings_stay_letter_for_letter() {
        let kept = r#""a":[0.1000,-0,1E5, {"b" : "\" , } \\" }],"c":"\u00e9\n { } ","d":"\\""#;
        let compact = r#""a":[0.1000,-0,1E5,{"b":"\" , } \\"}],"c":"\u00e9\n { } ","d":"\\""#;
        assert_eq!(
            text(&format!(r#"{{"resourceType":"Basic","id":"y",{kept}}}"#)),
            format!(r#"{{"resourceType":"Basic","id":"x","meta":{{{SET}}},{compact}}}"#)
        );
    }

    #[test]
    fn labels_are_added_behind_those_that_are_there() {
        let more = [r#"{"code":"R"}"#, r#"{"code":"V,]"}"#];
        for (meta, had) in [("", ""), (r#","meta":{"security":[ {"code" : "N"} ],"tag":[]}"#, r#"{"code":"N"},"#)] {
            let body = Body::of(&format!(r#"{{"resourceType":"Basic","id":"y"{meta},"text":{{"div":"a, b"}}}}"#)).labelled(&more);
            let text = body.text("x", 3, "2026-01-01T00:00:00.000Z");
            let tag = if had.is_empty() { "" } else { r#","tag":[]"# };
            assert_eq!(
                text,
                format!(
                    r#"{{"resourceType":"Basic","id":"x","meta":{{{SET}{tag},"security":[{had}{{"code":"R"}},{{"code":"V,]"}}]}},"text":{{"div":"a, b"}}}}"#
                )
            );
            assert_eq!(labels(&text)[labels(&text).len() - 2..], more);
        }
        assert!(labels(r#"{"resourceType":"Basic"}"#).is_empty());
    }

    proptest! {
        #[test]
        fn the_rest_of_any_object_is_what_it_was(strings in prop::collection::vec(any::<String>(), 1..5)) {
            let mut object = serde_json::json!({"resourceType": "Basic", "id": "y"});
            for (n, one) in strings.iter().enumerate() {
                object[format!("k{n}{one}")] = serde_json::json!({"deep": [one, {"x": null}]});
            }
            let pretty = serde_json::to_string_pretty(&object).unwrap();
            let mut read: serde_json::Value = serde_json::from_str(&text(&pretty)).unwrap();
            read.as_object_mut().unwrap().shift_remove("meta");
            object["id"] = serde_json::json!("x");
            prop_assert_eq!(read, object);
        }
    }
}
