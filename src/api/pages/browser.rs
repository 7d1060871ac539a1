//! The cookie of a browser: 256 random bits. Before anybody signs in they only bind forms to the browser; signing in makes
//! new ones, so that a cookie somebody else put there is worth nothing.

use std::cell::Cell;

use data_encoding::BASE64URL_NOPAD;

use crate::api::request::Request;
use crate::app::App;
use crate::error::Result;

pub struct Browser {
    /// What the browser sent, if it can be one of ours.
    pub shown: Option<String>,
    /// What it is known by from now on.
    pub secret: String,
    /// Is something bound to it that the browser must be able to show again? Otherwise it is left alone: a form that another
    /// site sends comes without the cookie, and must not lose it.
    pub bound: Cell<bool>,
}

impl Browser {
    pub fn of(app: &App, request: &Request) -> Result<Browser> {
        let name = name(app);
        let pairs = request.headers.iter().filter(|(header, _)| header == "cookie").flat_map(|(_, value)| value.split(';'));
        let mut values = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(known, _)| *known == name).map(|(_, value)| value);
        // Two of one name: one of them is not ours, and nobody can say which.
        let shown = values.next().filter(|value| is_secret(value) && values.next().is_none()).map(str::to_owned);
        let secret = match &shown {
            Some(shown) => shown.clone(),
            None => BASE64URL_NOPAD.encode(&app.vault.chance.bytes::<32>()?),
        };
        Ok(Browser { shown, secret, bound: Cell::new(false) })
    }

    /// Somebody signed in: from now on it is known by another secret.
    pub fn become_new(&mut self, secret: String) {
        self.secret = secret;
        self.bound.set(true);
    }

    /// `Set-Cookie`, when the browser does not have it yet. It goes when the browser is closed.
    pub fn cookie(&self, app: &App) -> Option<String> {
        if !self.bound.get() || self.shown.as_ref() == Some(&self.secret) {
            return None;
        }
        let secure = if https(app) { "; Secure" } else { "" };
        Some(format!("{}={}; Path=/; HttpOnly; SameSite=Lax{secure}", name(app), self.secret))
    }
}

fn is_secret(value: &str) -> bool {
    BASE64URL_NOPAD.decode(value.as_bytes()).is_ok_and(|bytes| bytes.len() == 32)
}

fn https(app: &App) -> bool {
    app.public_url.starts_with("https://")
}

/// A name with `__Host-` is taken from the host itself and over TLS only; on loopback without TLS there is none.
fn name(app: &App) -> &'static str {
    if https(app) { "__Host-firth" } else { "firth" }
}
