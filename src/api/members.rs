//! Does a member stand twice in an object? serde_json takes the last one without a word, a proxy before us the first.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The first member of a JSON text that its object has already, at any depth; `None` for text that is not JSON, too.
pub fn twice(text: &[u8]) -> Option<String> {
    let mut found = None;
    // What is wrong with the text besides is said by who reads it.
    let _ = Look(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(text));
    found
}

/// Looks through one value.
struct Look<'f>(&'f mut Option<String>);

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if let Some(again) = names.replace(name) {
                self.0.get_or_insert(again);
            }
            map.next_value_seed(Look(&mut *self.0))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Look(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::twice;

    #[test]
    fn a_member_that_stands_twice_is_named() {
        let table = [
            (r#"{"a":1,"b":2.50,"c":-3,"d":1e400,"e":null,"f":"x","g":[true]}"#, None),
            (r#"{"a":1,"b":2,"a":1}"#, Some("a")),
            (r#"{"a":1,"\u0061":1}"#, Some("a")),
            (r#"{"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":1}]}"#, None),
            (r#"{"a":[{"b":1,"c":{"x":0,"x":0}}],"a":1}"#, Some("x")),
            (r#"["a","a"]"#, None),
            (r#"{"a":1,"a":"#, Some("a")),
            ("no JSON", None),
        ];
        for (text, named) in table {
            assert_eq!(twice(text.as_bytes()).as_deref(), named, "{text}");
        }
    }
}
