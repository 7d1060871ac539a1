//! SDK tokens and invitation codes.

use std::sync::{Arc, LazyLock};

use serde_json::json;

use super::{required, user};
use crate::access::Caller;
use crate::api::error::{self, Form};
use crate::api::limits::Limit;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::Did;
use crate::error::{Error, Kind, Result};
use crate::id::UserId;
use crate::ledger::credentials::{self, Pair, Refreshed};
use crate::ledger::documents::instant;
use crate::store::users;
use crate::vault::secret_digest;

fn pair(pair: &Pair) -> serde_json::Value {
    json!({"access_token": pair.access, "token_type": "bearer", "refresh_token": pair.refresh, "expires_in": pair.expires_in_secs})
}

/// `POST /users/{id}/token` with `app_id` and `app_secret`.
pub fn issue(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let body = request.json()?;
    let (id, secret) = (required(&body, "app_id")?, required(&body, "app_secret")?);
    let (who, vault, entry) = (request.param("user").to_owned(), Arc::clone(&app.vault), request.entry.clone());
    let made = app.db.write("token.issue", move |tx| {
        credentials::app_known(tx, &id, &secret)?;
        let not_found = || Error::new(Kind::NotFound, "there is no such user");
        let user = UserId::parse(&who).map_err(|_| not_found())?;
        users::get(tx, user)?.ok_or_else(not_found)?;
        let made = credentials::pair(tx, &vault, user, None)?;
        entry.commit(tx, Did::new(200, format!("user/{user}")))?;
        Ok(made)
    })?;
    Ok(Reply::json(200, &pair(&made)).committed())
}

/// Rotates: the old refresh token is spent, and showing it again revokes all that came of it.
pub fn refresh(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let token = required(&request.json()?, "refresh_token")?;
    let (vault, entry) = (Arc::clone(&app.vault), request.entry.clone());
    let refreshed = app.db.write("token.refresh", move |tx| {
        let refreshed = credentials::refresh(tx, &vault, &token)?;
        match &refreshed {
            Refreshed::Pair(_, user) => entry.commit(tx, Did::new(200, format!("user/{user}")))?,
            Refreshed::Reused(user) => entry.commit(tx, Did::new(401, format!("user/{user}")).refusing(Kind::Reused))?,
            Refreshed::Unknown => {}
        }
        Ok(refreshed)
    })?;
    match refreshed {
        Refreshed::Pair(made, _) => Ok(Reply::json(200, &pair(&made)).committed()),
        Refreshed::Reused(_) => {
            let reused = Error::new(Kind::Reused, "the refresh token was used before; all tokens of its family are revoked");
            Ok(error::reply(&reused, Form::Plain, &request.id).committed())
        }
        Refreshed::Unknown => Err(Error::new(Kind::Unauthenticated, "the refresh token is not valid")),
    }
}

/// 204 whether or not the token is known (RFC 7009).
pub fn revoke(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let body = request.json()?;
    let token = match super::text(&body, "refresh_token")? {
        Some(token) => token,
        None => required(&body, "token")?,
    };
    let entry = request.entry.clone();
    app.db.write("token.revoke", move |tx| {
        credentials::revoke(tx, &token)?;
        entry.commit(tx, Did::new(204, "token"))
    })?;
    Ok(Reply::empty(204).committed())
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const WEEK_MS: i64 = 7 * 86_400_000;

/// A code of 8 letters, good once and for 7 days.
pub fn invite(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let user = user(request, who)?;
    let code: String = app.vault.chance.bytes::<8>()?.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
    let digest = secret_digest(&code);
    let entry = request.entry.clone();
    let expires_at = app.db.write("invite", move |tx| {
        users::get(tx, user)?.ok_or_else(|| Error::new(Kind::NotFound, "there is no such user"))?;
        let expires_at = tx.committed_at() + WEEK_MS;
        users::invitation_insert(tx, &digest, user, expires_at)?;
        entry.commit(tx, Did::new(201, format!("user/{user}")))?;
        Ok(expires_at)
    })?;
    Ok(Reply::json(201, &json!({"code": code, "user_id": user.to_string(), "expires_at": instant(expires_at)})).committed())
}

/// Tries of one address: a code of 40 bits must not be guessed.
static TRIES: LazyLock<Limit> = LazyLock::new(|| Limit::per_minute(5));

pub fn redeem(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    if !TRIES.allows(&request.address) {
        return Err(Error::new(Kind::Throttled, "five codes a minute may be tried"));
    }
    let code = secret_digest(&required(&request.json()?, "code")?.trim().to_uppercase());
    let (vault, entry) = (Arc::clone(&app.vault), request.entry.clone());
    let (made, user) = app.db.write("redeem", move |tx| {
        let unknown = || Error::new(Kind::NotFound, "the code is not valid");
        let user = users::invitation_use(tx, &code, tx.committed_at())?.ok_or_else(unknown)?;
        entry.commit(tx, Did::new(200, format!("user/{user}")))?;
        Ok((credentials::pair(tx, &vault, user, None)?, user))
    })?;
    let mut body = pair(&made);
    body["user_id"] = json!(user.to_string());
    Ok(Reply::json(200, &body).committed())
}
