//! The members that every record of an SDK upload has, whatever it measures.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::envelope::Provider;
use crate::error::Kind;
use crate::fhir::stamp::{self, Stamp};
use crate::mapping::tree::{Known, Token, Tree};
use crate::mapping::{Record, Refusal, Source};

/// The longest id, unit or device text we take.
const TEXT_MAX: usize = 256;

/// The record's `source` that was read last. Most records of an upload have the same.
#[derive(Default)]
pub struct Sources {
    text: String,
    source: Arc<Source>,
}

impl Sources {
    /// What `Tree::parse` need not read again.
    pub fn known(&self) -> Option<Known<'_>> {
        (!self.text.is_empty()).then_some(Known { name: "source", text: &self.text })
    }

    fn read(&mut self, tree: &Tree<'_>) -> Result<Arc<Source>, Refusal> {
        let Some(id) = given(tree, 0, "source") else { return Ok(Arc::default()) };
        let text = tree.raw(id);
        if text == self.text {
            return Ok(Arc::clone(&self.source));
        }
        if tree.node(id).token != Token::Object {
            return Err(Refusal::new(Kind::JsonShape, "an object is expected").at("$.source"));
        }
        let source = Arc::new(source(tree, id)?);
        self.text.clear();
        self.text.push_str(text);
        self.source = Arc::clone(&source);
        Ok(source)
    }
}

/// Reads what all records share. `kind` is the record's type.
pub fn record<'a>(tree: Tree<'a>, kind: &'a str, provider: Provider, sources: &mut Sources) -> Result<Record<'a>, Refusal> {
    let zone = text(&tree, 0, "zoneOffset")?;
    if let Some(kind) = zone.as_deref().and_then(|zone| stamp::zone(zone).err()) {
        return Err(Refusal::new(kind, "an offset is written like +01:00").at("$.zoneOffset"));
    }
    let start = time(&tree, "startDate", zone.as_deref())?.ok_or_else(|| missing("$.startDate"))?;
    let end = time(&tree, "endDate", zone.as_deref())?;
    if end.is_some_and(|end| end.instant() < start.instant()) {
        return Err(Refusal::new(Kind::TimeReversed, "endDate is before startDate").at("$.endDate"));
    }
    let own = |name: &str| -> Result<Option<String>, Refusal> {
        let id = text(&tree, 0, name)?.filter(|id| !id.is_empty());
        Ok(id.map(|id| if is_uuid(&id) { id.to_ascii_lowercase() } else { id.into_owned() }))
    };
    let (id, parent) = (own("id")?, own("parentId")?);
    let source = sources.read(&tree)?;
    Ok(Record { kind, system: provider.system(), id, parent, start, end, zone, source, tree })
}

/// A UUID with hyphens. HealthKit writes its own in capitals, others in small letters, and it is one id
/// (RFC 9562, 4); any other id is what its letters are.
fn is_uuid(id: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    id.len() == 36 && id.bytes().enumerate().all(fits)
}

/// A mapping that lacks the end does not know what we call it.
pub fn located(mut refusal: Refusal) -> Refusal {
    if refusal.kind == Kind::FieldMissing {
        refusal.at.get_or_insert_with(|| "$.endDate".to_owned());
    }
    refusal
}

/// The record's type: `type`, or in lists without types its `stage`.
pub fn kind<'a>(tree: &Tree<'a>) -> Cow<'a, str> {
    let word = |name| given(tree, 0, name).and_then(|id| tree.string(id));
    word("type").or_else(|| word("stage")).unwrap_or_default()
}

/// The same of a record that is JSON but no tree may hold; empty when it cannot be told.
pub fn refused_kind(text: &str) -> String {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        kind: Option<String>,
        stage: Option<String>,
    }
    // What is read as these members may also be an array's elements.
    let typed = text.starts_with('{').then(|| serde_json::from_str::<Typed>(text).ok()).flatten();
    typed.and_then(|typed| typed.kind.or(typed.stage)).filter(|kind| !kind.contains('\0')).unwrap_or_default()
}

fn source(tree: &Tree<'_>, id: usize) -> Result<Source, Refusal> {
    let word = |name: &str| Ok(text(tree, id, name)?.filter(|word| !word.is_empty()).map(Cow::into_owned));
    let bundle = word("bundleIdentifier")?;
    Ok(Source {
        app: bundle.or(word("appId")?),
        app_name: word("name")?,
        app_version: word("version")?,
        os_version: os_version(tree, id),
        manufacturer: word("deviceManufacturer")?,
        model: word("deviceModel")?,
        product_type: word("productType")?,
        device_id: word("deviceId")?,
        device_name: word("deviceName")?,
        device_type: word("deviceType")?,
        hardware_version: word("deviceHardwareVersion")?,
        software_version: word("deviceSoftwareVersion")?,
        recording_method: word("recordingMethod")?,
    })
}

/// `{"majorVersion": 17, "minorVersion": 6, "patchVersion": 1}` as `17.6.1`.
fn os_version(tree: &Tree<'_>, source: usize) -> Option<String> {
    let version = given(tree, source, "operatingSystemVersion")?;
    let parts = ["majorVersion", "minorVersion", "patchVersion"].into_iter().map_while(|name| {
        let part = tree.raw(given(tree, version, name)?);
        (part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit())).then_some(part)
    });
    let parts: Vec<&str> = parts.collect();
    (!parts.is_empty()).then(|| parts.join("."))
}

/// A member that is there and not null.
fn given(tree: &Tree<'_>, id: usize, name: &str) -> Option<usize> {
    tree.member(id, name).filter(|id| tree.node(*id).token != Token::Null)
}

fn missing(at: &str) -> Refusal {
    Refusal::new(Kind::FieldMissing, "the field is missing or null").at(at)
}

fn text<'a>(tree: &Tree<'a>, id: usize, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
    let Some(member) = given(tree, id, name) else { return Ok(None) };
    let at = || if id == 0 { format!("$.{name}") } else { format!("$.source.{name}") };
    let broken = || match tree.node(member).token {
        Token::Text => "the string has half a surrogate pair, which is no character",
        _ => "a string is expected",
    };
    let text = tree.string(member).ok_or_else(|| Refusal::new(Kind::JsonShape, broken()).at(at()))?;
    if text.len() > TEXT_MAX {
        return Err(Refusal::new(Kind::FieldTooLong, format!("at most {TEXT_MAX} bytes")).at(at()));
    }
    Ok(Some(text))
}

fn time(tree: &Tree<'_>, name: &str, zone: Option<&str>) -> Result<Option<Stamp>, Refusal> {
    let Some(member) = given(tree, 0, name) else { return Ok(None) };
    let refuse = |kind: Kind| Refusal::new(kind, kind.wire().remedy).at(format!("$.{name}"));
    let text = tree.string(member).ok_or_else(|| refuse(Kind::TimeInvalid))?;
    Stamp::parse(&text, zone).map(Some).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_read_where_the_record_is_not() {
        let deep = format!(r#"{{"x":{}{},"type":"t"}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for (text, kind) in [
            (deep.as_str(), "t"),
            (r#"{"a":1,"a":2,"stage":"s"}"#, "s"),
            (r#"{"type":"t","stage":"s","n":"\u0000","v":1e999}"#, "t"),
            (r#"{"type":"t","type":"u"}"#, ""),
            (r#"{"type":"t\u0000"}"#, ""),
            (r#"{"type":7,"a":1,"a":1}"#, ""),
            (r#"["t","\u0000"]"#, ""),
        ] {
            assert_eq!(refused_kind(text), kind, "{text:.60}");
        }
    }
}
