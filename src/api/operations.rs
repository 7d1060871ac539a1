//! Health, readiness and metrics.

use serde_json::json;

use super::request::{Reply, Request};
use crate::access::Caller;
use crate::app::App;
use crate::audit::{Action, Entry, Receipt};
use crate::error::{Error, Kind, Result};
use crate::store::{audit, keys, uploads};
use crate::telemetry;

/// The process is up.
pub fn healthz(_: &App, _: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    Ok(unaudited(Reply::json(200, &json!({"status": "up"}))))
}

/// The database answers, the keys are open, the audit writer commits.
pub fn readyz(app: &App, _: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let database = app.db.read("ready", keys::store_id).is_ok_and(|id| id.is_some());
    let keys = app.vault.day("ready", 0, &[]).is_ok();
    // On PostgreSQL the entries go to the same database.
    let audit = (app.db.audit_is_apart() || database) && (app.log.healthy() || recovered(app));
    let word = |ok: bool| if ok { "up" } else { "down" };
    let status = if database && keys && audit { 200 } else { 503 };
    Ok(unaudited(Reply::json(
        status,
        &json!({"status": word(status == 200), "database": word(database), "keys": word(keys), "audit": word(audit)}),
    )))
}

/// After a failure only an entry tells whether the log can be written again; without requests nobody else would try.
fn recovered(app: &App) -> bool {
    app.entry_id().is_ok_and(|id| {
        let mut entry = Entry::new(id, Action::Activity, "readyz");
        entry.request.clone_from(&entry.id);
        app.log.append(&entry).and_then(Receipt::wait).is_ok()
    })
}

/// Prometheus text.
pub fn metrics(app: &App, _: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let inbox = app.db.read("metrics", uploads::jobs_waiting)?;
    let mut backlog = app.db.read("metrics", audit::pending_count)?;
    if app.db.audit_is_apart() {
        backlog += app.db.read_audit(audit::pending_count)?;
    }
    metrics::gauge!("firth_inbox_depth").set(inbox as f64);
    metrics::gauge!("firth_audit_backlog").set(backlog as f64);
    if let Some(apart) = app.clocks_apart()? {
        metrics::gauge!("firth_database_clock_offset_seconds").set(apart as f64 / 1_000.0);
    }
    let text = telemetry::metrics().ok_or_else(|| Error::new(Kind::Busy, "metrics are not recorded"))?;
    Ok(unaudited(Reply { status: 200, content_type: "text/plain; version=0.0.4".into(), body: text.into_bytes(), ..Reply::default() }))
}

/// Probes come every few seconds and show nothing of anybody: they are logged, not audited.
fn unaudited(reply: Reply) -> Reply {
    Reply { audited: true, ..reply }
}
