//! `GET /oauth/brands`: who runs this server, as people know it (SMART App Launch 2.2, User-access Brands).

use data_encoding::HEXLOWER;

use crate::access::Caller;
use crate::api::request::{FHIR_JSON, Reply, Request};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::fhir::brands;
use crate::vault::digest;

pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let none = || Error::new(Kind::NotFound, "no brand is published here: the settings file has no table [brand]");
    let brand = app.config.brand.as_ref().ok_or_else(none)?;
    let body = brands::bundle(brand, &app.public_url).to_string();
    let tag = format!("W/\"{}\"", HEXLOWER.encode(&digest(&[body.as_bytes()])[..8]));
    let known = request.header("if-none-match").is_some_and(|tags| tags.split(',').any(|one| [tag.as_str(), "*"].contains(&one.trim())));
    let reply = if known {
        Reply::empty(304)
    } else {
        Reply { status: 200, content_type: FHIR_JSON.into(), body: body.into_bytes(), ..Reply::default() }
    };
    // It says nothing of anybody.
    Ok(Reply { audited: true, ..reply }.with("etag", tag).with("cache-control", "public, max-age=300"))
}
