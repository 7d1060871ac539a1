//! The parameters of a request to the authorization server: `application/x-www-form-urlencoded` (RFC 6749 appendix B).

use crate::api::negotiate::is_media_type;
use crate::api::request::{Request, decode_pairs};
use crate::error::{Error, Kind, Result};

const TYPE: &str = "application/x-www-form-urlencoded";

/// The one parameter that may be repeated (RFC 8707 section 2).
const REPEATED: &str = "resource";

/// Each name once; what was sent without a value counts as left out (RFC 6749 section 3.2).
#[derive(Clone, Debug)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// The body of a request. `Kind::Parameter` when it is no form or a name stands twice.
    pub fn read(request: &mut Request) -> Result<Form> {
        if !is_media_type(request, TYPE) {
            return Err(Error::new(Kind::Parameter, format!("the parameters are sent in the body as {TYPE}")));
        }
        let body = String::from_utf8(request.small_body()?).map_err(|_| Error::new(Kind::Parameter, "the body is not UTF-8"))?;
        Form::of(decode_pairs(&body)?)
    }

    pub fn of(pairs: Vec<(String, String)>) -> Result<Form> {
        for (n, (name, _)) in pairs.iter().enumerate() {
            if name != REPEATED && pairs[..n].iter().any(|(other, _)| other == name) {
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
}
