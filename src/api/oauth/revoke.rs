//! `POST /oauth/revoke` (RFC 7009): a client gives back a refresh token or an access token. Either ends the grant with all
//! its tokens.

use std::sync::Arc;

use super::form::Form;
use super::proof;
use crate::access::Caller;
use crate::api::request::{Reply, Request};
use crate::app::App;
use crate::audit::Did;
use crate::error::Result;
use crate::id::GrantId;
use crate::ledger::{access_tokens, grants};

/// 200 whether or not the token is known (section 2.2).
pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let form = Form::read(request)?;
    let client = proof::alone(app, request, &form)?;
    let token = form.required("token")?.to_owned();
    let now = app.clock.now();
    // An access token says its grant; one that has expired has nothing left to revoke.
    let signed = access_tokens::verify(&app.keys, &token, &app.public_url, now).ok().and_then(|claims| GrantId::parse(&claims.sid).ok());
    let (vault, entry, client) = (Arc::clone(&app.vault), request.entry.clone(), client.id);
    app.db.write("token.revoke", move |tx| {
        let held = match signed {
            Some(id) => grants::get(tx, &vault, id)?,
            None => grants::of_refresh(tx, &vault, &token, tx.committed_at())?.map(|(held, _)| held),
        };
        let mut resource = "token".to_owned();
        if let Some(held) = held.filter(|held| held.by.client == client) {
            grants::revoke(tx, held.id)?;
            resource = format!("grant/{}", held.id);
        }
        entry.commit(tx, Did::new(200, resource))
    })?;
    Ok(Reply::empty(200).committed())
}
