//! Which constraints a scope may carry: those that every way to a resource can judge.

use crate::access::{By, Offered, Scopes};
use crate::error::Result;
use crate::search::{self, Handling, How, Terms, Type};

/// A scope is no URL of one server: a reference in it is `Type/id`.
pub(super) const BASE: &str = "";

/// What `param=value` is on a type: tokens, references and dates of the table of search parameters. An opened resource, a
/// sample and an AuditEvent are judged by the same values as they are searched by, so each of them is enforced.
pub fn offer(resource: &str, param: &str, value: &str) -> Offered {
    let known = Type::parse(resource).and_then(|of| Some((of, of.search().param(param)?)));
    let Some((of, known)) = known else { return Offered::Nothing };
    let by = match known.how {
        How::Id | How::Token => By::Token,
        How::Date | How::BirthDate => By::Date,
        How::Reference => By::Reference,
        How::Text | How::Uri => return Offered::OtherKind,
    };
    let terms = Terms { handling: Handling::Strict, base: BASE, now: 0 };
    match search::parse(of, &[(param.to_owned(), value.to_owned())], &terms) {
        Ok(_) => Offered::By(by),
        Err(refused) => Offered::Unreadable(refused.says().to_string()),
    }
}

/// Scopes separated by blanks, as a token carries them; `Kind::Invalid` names the first that cannot be enforced.
pub fn scopes(text: &str) -> Result<Scopes> {
    Scopes::granular(text, &offer)
}
