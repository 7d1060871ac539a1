//! `firth access review`: emergency access that nobody has looked at yet, and what was done with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{noted, plain, text};
use crate::app::App;
use crate::audit::{BREAK_THE_GLASS, Did, Entry, entries};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::GrantId;
use crate::ledger::break_glass::{self, Facts};
use crate::ledger::documents::instant;
use crate::ledger::{accounts, clients};
use crate::store::break_glass::Row;

pub(super) fn review(app: &App, order: &Value, entry: &Entry) -> Result<String> {
    match text(order, "close") {
        Some(id) => close(app, &id, &text(order, "disposition").unwrap_or_default(), entry),
        None => list(app, entry),
    }
}

fn close(app: &App, id: &str, disposition: &str, entry: &Entry) -> Result<String> {
    let unknown = |_| Error::new(Kind::NotFound, format!("'{id}' is not the id of a break-glass access; firth access review shows them"));
    let id = GrantId::parse(id).map_err(unknown)?;
    if disposition.trim().is_empty() {
        return Err(Error::new(Kind::Usage, "a review says what was found; add --disposition TEXT"));
    }
    let (vault, entry, disposition) = (Arc::clone(&app.vault), entry.clone(), disposition.trim().to_owned());
    app.db.write("break-glass.review", move |tx| {
        let patient = break_glass::close(tx, &vault, id, &disposition)?;
        entry.commit(tx, Did { patients: vec![patient.to_string()], ..Did::new(200, format!("break-glass/{id}")) })
    })?;
    Ok(format!("closed {id}\n"))
}

/// A line each: id, since when, until when, account, client, Patient, reason; below it, after a tab, a line for each access.
fn list(app: &App, entry: &Entry) -> Result<String> {
    let open = app.db.read("break-glass.review", |tx| {
        let mut open = Vec::new();
        for (row, facts) in break_glass::unreviewed(tx, &app.vault)? {
            let account = accounts::get(tx, &app.vault, row.account)?.map(|account| account.facts.name);
            let client = clients::get(tx, &app.vault, row.client)?.map(|client| client.facts.name);
            open.push((row, facts, account, client));
        }
        Ok(open)
    })?;
    let mut out = String::new();
    for (row, facts, account, client) in &open {
        out.push_str(&line(row, facts, (account.as_deref(), client.as_deref())));
        for access in accesses(app, row)? {
            let what = access.query.as_deref().or(access.resource.as_deref()).unwrap_or_default();
            out.push_str(&format!("\t{}\t{}\t{}\t{}\n", instant(access.recorded), access.route, access.status, plain(what)));
        }
    }
    let patients: BTreeSet<String> = open.iter().map(|(row, ..)| row.patient.to_string()).collect();
    noted(app, &Entry { patients: patients.into_iter().collect(), ..entry.clone() })?;
    Ok(out)
}

fn line(row: &Row, facts: &Facts, names: (Option<&str>, Option<&str>)) -> String {
    let account = names.0.map_or_else(|| row.account.to_string(), str::to_owned);
    let user = facts.fhir_user.as_deref().map(|user| format!(" ({user})")).unwrap_or_default();
    let client = names.1.map_or_else(|| row.client.to_string(), str::to_owned);
    let times = (instant(row.granted_at), instant(row.expires_at));
    let (account, client, reason) = (plain(&account), plain(&client), plain(&facts.reason));
    format!("{}\t{}\t{}\t{account}{user}\t{client}\tPatient/{}\t{reason}\n", row.id, times.0, times.1, row.patient)
}

/// What the user did with the client under it.
fn accesses(app: &App, row: &Row) -> Result<Vec<Entry>> {
    /// A request that began in time may end a little later.
    const GRACE: Millis = 60_000;
    let (account, client) = (row.account.to_string(), row.client.to_string());
    let all = entries(&app.index, row.patient, (row.granted_at, row.expires_at + GRACE))?;
    let own = |entry: &Entry| {
        entry.purpose.as_deref() == Some(BREAK_THE_GLASS)
            && entry.account.as_ref() == Some(&account)
            && entry.client.as_ref() == Some(&client)
            && entry.route != "break-glass"
            && entry.route != "break-glass-end"
    };
    Ok(all.into_iter().filter(own).collect())
}
