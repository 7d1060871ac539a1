//! What a search finds: every resource is looked at, by paths of the model's own.

use serde_json::Value;

use super::dates::{self, NEVER, Span};
use super::params::Param;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Id,
    Identifier,
    /// A CodeableConcept or Coding.
    Coding,
    /// A code, and the system that its binding implies.
    Code(&'static str),
    Bool,
    /// The types that count.
    Refer(&'static [&'static str]),
    Text,
    Date,
}

/// One parameter of a query: any of the values will do.
#[derive(Clone, Debug)]
pub struct Filter {
    pub param: Param,
    pub modifier: Option<&'static str>,
    pub values: Vec<String>,
}

impl Filter {
    /// As it stands in a URL.
    pub fn text(&self) -> String {
        let modifier = self.modifier.map(|modifier| format!(":{modifier}")).unwrap_or_default();
        let values: Vec<String> = self.values.iter().map(|value| encoded(value)).collect();
        format!("{}{modifier}={}", self.param.0, values.join(","))
    }

    pub fn holds(&self, base: &str, id: &str, body: &Value) -> bool {
        match self.modifier {
            Some("missing") => self.values.iter().any(|value| (value == "true") != has(self.param, body)),
            Some("not") => !self.values.iter().any(|value| self.finds(value, base, (id, body))),
            _ => self.values.iter().any(|value| self.finds(value, base, (id, body))),
        }
    }

    fn finds(&self, value: &str, base: &str, of: (&str, &Value)) -> bool {
        let ((_, way, paths), (id, body)) = (self.param, of);
        match way {
            Way::Id => value == id,
            Way::Text if self.modifier == Some("exact") => texts(paths, body).iter().any(|text| text == value),
            Way::Text => texts(paths, body).iter().any(|text| folded(text).starts_with(&folded(value))),
            Way::Date => spans(paths, body).into_iter().any(|there| dates::answers(value, there)),
            Way::Refer(kinds) => references(kinds, paths, base, body).iter().any(|(kind, there)| {
                let asked = value.strip_prefix(base).map_or(value, |rest| rest.trim_start_matches('/'));
                let (asked_kind, asked_id) = asked.split_once('/').map_or((self.modifier, asked), |(kind, id)| (Some(kind), id));
                asked_id == there && asked_kind.is_none_or(|asked| asked == kind)
            }),
            _ => tokens(self.param, body).iter().any(|(system, code)| {
                let code_is = |asked: &str| asked == code || way == Way::Identifier && is_uuid(asked) && asked.to_lowercase() == *code;
                match value.split_once('|') {
                    None => code_is(value),
                    Some(("", asked)) => system.is_none() && code_is(asked),
                    Some((asked, "")) => system.as_deref() == Some(asked),
                    Some((asked_system, asked)) => system.as_deref() == Some(asked_system) && code_is(asked),
                }
            }),
        }
    }
}

/// Is there anything in the element, found by it or not?
fn has((name, way, paths): Param, body: &Value) -> bool {
    let counts = |value: &&Value| match (name, value["reference"].as_str()) {
        // Only what leads to a Patient, here or elsewhere.
        ("patient", to) => to.is_some_and(|to| to.split('/').any(|part| part == "Patient")),
        _ => true,
    };
    way == Way::Id || all(paths, body).iter().any(counts)
}

pub fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

/// Everything at the end of a way, lists opened.
fn at<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![value];
    for step in path.split('.').filter(|step| !step.is_empty()) {
        found = found
            .into_iter()
            .filter_map(|value| value.get(step))
            .flat_map(|value| value.as_array().map_or(vec![value], |all| all.iter().collect()))
            .collect();
    }
    found
}

fn all<'v>(paths: &[&str], body: &'v Value) -> Vec<&'v Value> {
    paths.iter().flat_map(|path| at(body, path)).collect()
}

pub fn texts(paths: &[&str], body: &Value) -> Vec<String> {
    all(paths, body).into_iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Without case and without the accents that the model writes.
fn folded(text: &str) -> String {
    let plain = |letter: char| match letter {
        'ü' | 'ú' => "u".to_owned(),
        'é' => "e".to_owned(),
        'ñ' => "n".to_owned(),
        'ø' => "o".to_owned(),
        'ß' => "ss".to_owned(),
        letter => letter.to_string(),
    };
    text.to_lowercase().chars().map(plain).collect()
}

pub fn tokens(param: Param, body: &Value) -> Vec<(Option<String>, String)> {
    let word = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
    let mut found = Vec::new();
    for value in all(param.2, body) {
        match param.1 {
            Way::Identifier => {
                let fold = |value: String| if is_uuid(&value) { value.to_lowercase() } else { value };
                found.extend(word(value, "value").map(|code| (word(value, "system"), fold(code))));
            }
            Way::Coding => {
                let codings = value["coding"].as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                found.extend(codings.iter().filter_map(|coding| Some((word(coding, "system"), word(coding, "code")?))));
            }
            Way::Code(system) => found.extend(value.as_str().map(|code| (Some(system.to_owned()), code.to_owned()))),
            Way::Bool => found.push((Some("http://terminology.hl7.org/CodeSystem/special-values".to_owned()), value.to_string())),
            _ => {}
        }
    }
    found
}

pub fn spans(paths: &[&str], body: &Value) -> Vec<Span> {
    let one = |value: &Value| match value.as_str() {
        Some(text) => dates::there(text),
        None => Span {
            from: value["start"].as_str().map_or(-NEVER, |start| dates::there(start).from),
            until: value["end"].as_str().map_or(NEVER, |end| dates::there(end).until),
        },
    };
    all(paths, body).into_iter().map(one).collect()
}

/// The type and id of references to this server.
pub fn references(kinds: &[&str], paths: &[&str], base: &str, body: &Value) -> Vec<(String, String)> {
    let here = |value: &Value| here(value["reference"].as_str()?, base).map(|(kind, id, _)| (kind, id));
    all(paths, body).into_iter().filter_map(here).filter(|(kind, _)| kinds.contains(&kind.as_str())).collect()
}

/// Type, id and version, when the text points to this server.
pub fn here(text: &str, base: &str) -> Option<(String, String, Option<String>)> {
    let local = text.strip_prefix(base).map_or(text, |rest| rest.trim_start_matches('/'));
    if local.contains(':') || local.starts_with('#') {
        return None;
    }
    let mut parts = local.split('/').map(str::to_owned);
    Some((parts.next()?, parts.next()?, parts.nth(1)))
}
