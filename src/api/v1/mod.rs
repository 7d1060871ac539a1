//! The contract of the wearable SDKs and of an app's backend, field for field.

pub mod logs;
pub mod sync;
pub mod tokens;
pub mod users;

use crate::access::Caller;
use crate::api::request::Request;
use crate::error::{Error, Kind, Result};
use crate::id::UserId;

/// The user in the path, if the caller may act for it. An SDK token learns nothing of other users:
/// a foreign one and an unknown one are the same 403. An API key gets 404 for an unknown one.
fn user(request: &Request, who: Option<&Caller>) -> Result<UserId> {
    let who = who.ok_or_else(|| Error::new(Kind::Unauthenticated, "no token was sent"))?;
    match UserId::parse(request.param("user")) {
        Ok(user) => who.may_act_for(user).map(|()| user),
        Err(_) if who.user.is_some() => Err(Error::new(Kind::Forbidden, "the token does not belong to this user")),
        Err(_) => Err(Error::new(Kind::NotFound, "there is no such user")),
    }
}

/// A text member of a JSON body; `null` and absent are the same.
fn text(body: &serde_json::Map<String, serde_json::Value>, name: &str) -> Result<Option<String>> {
    match body.get(name) {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::new(Kind::Unprocessable, format!("{name} must be a text")).at(name)),
    }
}

fn required(body: &serde_json::Map<String, serde_json::Value>, name: &str) -> Result<String> {
    text(body, name)?.ok_or_else(|| Error::new(Kind::Unprocessable, format!("{name} is missing")).at(name))
}
