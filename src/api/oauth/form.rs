//! The parameters of a request to the authorization server: `application/x-www-form-urlencoded` (RFC 6749 appendix B).

use std::collections::HashSet;

use crate::api::negotiate::is_media_type;
use crate::api::request::{Request, decode_pairs};
use crate::error::{Error, Kind, Result};

const TYPE: &str = "application/x-www-form-urlencoded";

/// The one parameter that may be repeated (RFC 8707 section 2).
const REPEATED: &str = "resource";

/// How many bytes the value of a parameter has at most. What is not known is passed over, however long it is.
fn longest(name: &str) -> usize {
    match name {
        "scope" => 8_192,
        // Signed texts.
        "client_assertion" | "token" => 16_384,
        "grant_type" | "code" | "code_verifier" | "redirect_uri" | "refresh_token" | "resource" => 2_048,
        "client_id" | "client_secret" | "client_assertion_type" => 2_048,
        _ => usize::MAX,
    }
}

/// Each name once; what was sent without a value counts as left out (RFC 6749 section 3.2).
#[derive(Clone, Debug)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// The body of a request. `Kind::Parameter` when it is no form, a name stands twice, or something is too long.
    pub fn read(request: &mut Request) -> Result<Form> {
        if !is_media_type(request, TYPE) {
            return Err(Error::new(Kind::Parameter, format!("the parameters are sent in the body as {TYPE}")));
        }
        let body = String::from_utf8(request.small_body()?).map_err(|_| Error::new(Kind::Parameter, "the body is not UTF-8"))?;
        Form::of(decode_pairs(&body)?)
    }

    pub fn of(pairs: Vec<(String, String)>) -> Result<Form> {
        let mut known = HashSet::new();
        for (name, value) in &pairs {
            if value.len() > longest(name) {
                return Err(Error::new(Kind::Parameter, format!("it is longer than {} bytes", longest(name))).at(name.clone()));
            }
            if !known.insert(name.as_str()) && name != REPEATED {
                return Err(Error::new(Kind::Parameter, "the parameter stands twice").at(name.clone()));
            }
        }
        Ok(Form(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect()))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn required(&self, name: &'static str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::new(Kind::Parameter, "the parameter is missing").at(name))
    }

    pub fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once_and_has_a_value() {
        let of = |text: &str| Form::of(decode_pairs(text).unwrap());
        let form = of("a=1&b=&c=x+y%2Bz&resource=r&resource=s").unwrap();
        assert_eq!((form.get("a"), form.get("b"), form.get("c"), form.get("d")), (Some("1"), None, Some("x y+z"), None));
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["r", "s"]);
        for twice in ["a=1&a=1", "a=1&a=", "a=&a=", "%61=1&a=2"] {
            let refused = of(twice).unwrap_err();
            assert_eq!((refused.kind, refused.issues[0].at.as_deref()), (Kind::Parameter, Some("a")), "{twice}");
        }
    }

    #[test]
    fn each_value_has_its_length() {
        let of =
            |name: &str, length: usize| Form::of(vec![(name.to_owned(), "x".repeat(length))]).map(drop).map_err(|e| e.issues[0].at.clone());
        for (name, longest) in [("scope", 8_192), ("client_assertion", 16_384), ("token", 16_384), ("code", 2_048)] {
            assert_eq!((of(name, longest), of(name, longest + 1)), (Ok(()), Err(Some(name.to_owned()))));
        }
        assert_eq!(of("unknown", 100_000), Ok(()));
    }
}
