//! JSON objects in which no name stands twice, at any depth.
//!
//! serde_json keeps the last of two equal names, another parser may keep the first: RFC 7515 section 4 and RFC 7519
//! section 4 let a verifier refuse both, and we do.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{Seconds, Why};

pub(super) type Object = Map<String, Value>;

/// One JSON object and nothing after it.
pub(super) fn object(text: &[u8]) -> Result<Object, Why> {
    serde_json::from_slice::<Once>(text).map_err(|_| "not JSON, or a name stands twice in an object")?;
    serde_json::from_slice(text).map_err(|_| "not a JSON object")
}

/// A string member that must be there.
pub(super) fn text<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.get(name)?.as_str()
}

/// A NumericDate. RFC 7519 section 2 allows fractions, which are cut: `exp` becomes earlier by them, never later.
pub(super) fn seconds(object: &Object, name: &str) -> Result<Option<Seconds>, Why> {
    const NEVER: f64 = 1e12;
    match object.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(at) if (0.0..NEVER).contains(&at) => Ok(Some(at as Seconds)),
            _ => Err("a time is not a number of seconds since 1970"),
        },
    }
}

/// Reads a value only to see that each name stands once.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Once, D::Error> {
        from.deserialize_any(Names)
    }
}

struct Names;

/// serde_json reads an object of this one name as the JSON in its string, which nobody would have looked at.
const RAW: &str = "$serde_json::private::RawValue";

impl<'de> Visitor<'de> for Names {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == RAW || !seen.insert(name) {
                return Err(A::Error::custom("a name stands twice"));
            }
            map.next_value::<Once>()?;
        }
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Once, A::Error> {
        while items.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_once_at_every_depth() {
        for good in ["{}", r#"{"a":1,"b":[{"a":1},{"a":1.5e3}],"c":null,"d":{"a":true}}"#] {
            assert!(object(good.as_bytes()).is_ok(), "{good}");
        }
        let bad = [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"a":1,"a":1}}"#,
            r#"{"x":[[{"a":1,"a":1}]]}"#,
            r#"{"x":{"$serde_json::private::RawValue":"{\"a\":1,\"a\":2}"}}"#,
            "[]",
            "1",
            "\"a\"",
            "null",
            "",
            "{} {}",
            "{}x",
            "{\"a\":\"\u{1}\"}",
        ];
        for bad in bad {
            assert!(object(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
        assert!(object("{\"a\":".repeat(500).as_bytes()).is_err());
    }

    #[test]
    fn times_are_seconds() {
        let of = |value: &str| seconds(&object(format!("{{\"exp\":{value}}}").as_bytes()).unwrap(), "exp");
        assert_eq!(of("12"), Ok(Some(12)));
        assert_eq!(of("1562262618.99"), Ok(Some(1_562_262_618)));
        for bad in ["-1", "1e300", "1e12", "\"12\"", "null", "[12]", "true", "{}"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds(&Object::new(), "exp"), Ok(None));
    }
}
