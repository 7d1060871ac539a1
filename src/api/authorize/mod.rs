//! `/oauth/authorize` by GET and by POST (RFC 6749 section 4.1.1, SMART App Launch 2.2 "Obtain authorization code"): who
//! asks, and whether it may be answered where it says. What is wrong before that is known is shown on a page and sent
//! nowhere; the rest goes to the app's `redirect_uri`.

mod asked;
mod next;
mod offer;
mod patients;
mod redirect;

pub use asked::Asked;
pub use next::{agreed, client_name, find, picked, signed_in};
pub use offer::Offered;
pub use patients::{Found, Row, name_of, summary};

use super::pages::{see_other, visited};
use super::request::{Reply, Request, decode_pairs};
use crate::access::Caller;
use crate::app::App;
use crate::error::{Error, Kind, Result};

/// The parameters of an authorization request, each at most once.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(pairs: Vec<(String, String)>) -> Parameters {
        // A parameter without a value counts as left out (RFC 6749 section 3.1).
        Parameters(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first of the names that stands twice; of what nobody here reads that is no fault.
    pub fn twice<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.0.iter().filter(|(known, _)| known == name).count() > 1)
    }
}

/// By GET: the parameters stand in the query.
pub fn by_get(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let parameters = Parameters::read(decode_pairs(&visit.request.query)?);
        next::begin(visit, &parameters)
    })
}

/// By POST (SMART capability `authorize-post`). Browsers send the cookie of a session with no form of another site, but
/// with the GET that follows: so the same request is answered there.
pub fn by_post(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    visited(app, request, |visit| {
        let body = visit.request.small_body()?;
        let query = String::from_utf8(body).map_err(|_| Error::new(Kind::Syntax, "the form is not UTF-8"))?;
        // What is badly encoded is refused here and not taken along.
        decode_pairs(&query)?;
        let safe = query.bytes().all(|byte| byte.is_ascii_graphic());
        if !safe || query.len() > LONGEST {
            return Err(Error::new(Kind::Invalid, format!("The form is not percent-encoded, or longer than {LONGEST} bytes.")));
        }
        Ok(see_other(&format!("{}/oauth/authorize?{query}", app.public_url)))
    })
}

/// The longest query that is taken along.
const LONGEST: usize = 16 * 1024;
