//! Break-glass: in an emergency a clinician sees one patient more, to read alone, for an hour; somebody looks at it
//! afterwards.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::sealed::{self, Row as Place};
use crate::access::{Caller, Emergency, Interaction, Moment, PatientRule};
use crate::audit::{Action, BREAK_THE_GLASS, Did, Entry};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::id::{AccountId, ClientId, EntryId, GrantId, PatientId};
use crate::policy::Policy;
use crate::search::Type;
use crate::store::break_glass::{self as rows, Asker, Row};
use crate::store::{Db, Tx, documents, keys};
use crate::vault::Vault;

/// How long it lasts.
pub const LASTS: Millis = 3_600_000;
/// How old the sign-in may be.
pub const FRESH: Millis = 300_000;
/// The characters that a reason has at least.
pub const REASON_MIN: usize = 10;
const REASON_MAX: usize = 2_000;

/// Why, and as whom; sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    pub reason: String,
    pub role: String,
    pub fhir_user: Option<String>,
}

/// What was found when it was looked at; sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Review {
    disposition: String,
}

/// Who may ask for it: somebody who signed in, with a role of care-team and a token that reads something of patients, and is
/// not held to one patient by it.
pub fn asker(who: &Caller) -> Result<(AccountId, ClientId)> {
    let refused = |says: &str| Err(Error::new(Kind::Forbidden, says));
    let (Some(account), Some(client)) = (who.account, who.client) else {
        return refused("break-glass is for users who signed in; this token has none");
    };
    if who.role.rule() != PatientRule::CareTeam {
        return refused("break-glass is for roles that see the patients in their care");
    }
    let policy = Policy::of(who);
    let reads = |of: &Type| !of.is_shared() && [Interaction::Read, Interaction::Search].iter().any(|how| policy.may(*of, *how).is_ok());
    if !Type::ALL.iter().any(reads) {
        return refused("the token reads nothing of a patient; ask for scopes of user/");
    }
    if who.context.is_some() {
        return refused("the token is limited to one patient by its scopes; ask for scopes of user/");
    }
    Ok((account, client))
}

/// `Kind::Unprocessable` for a reason that is none.
pub fn reason(text: &str) -> Result<String> {
    let text = text.trim();
    let at = |e: Error| e.at("Parameters.parameter.where(name='reason')");
    if text.chars().count() < REASON_MIN {
        return Err(at(Error::new(
            Kind::Unprocessable,
            format!("the reason has fewer than {REASON_MIN} characters; say what the emergency is"),
        )));
    }
    if text.len() > REASON_MAX {
        return Err(at(Error::new(Kind::Unprocessable, format!("the reason is longer than {REASON_MAX} bytes"))));
    }
    Ok(text.to_owned())
}

/// RFC 9470: the sign-in must be fresh.
pub fn fresh(who: &Caller, now: Millis) -> Result<()> {
    match who.auth_time {
        Some(at) if now - at < FRESH => Ok(()),
        _ => Err(Error::new(Kind::SignInStale, format!("the sign-in is older than {} minutes", FRESH / 60_000))),
    }
}

/// Opens the patient to the user of this client; answers until when, and the patient's ids.
pub fn begin(tx: &mut Tx<'_>, vault: &Vault, who: &Caller, asked: (&str, &str)) -> Result<(Millis, Vec<String>)> {
    let ((account, client), (id, reason)) = (asker(who)?, asked);
    let none = || Error::new(Kind::NotFound, format!("there is no Patient/{id}"));
    let patient = PatientId::parse(id).map_err(|_| none())?;
    // One who was deleted has nothing to be seen.
    if documents::live_shelves(tx, Type::Patient, &[patient.0])?.is_empty() {
        return Err(none());
    }
    let facts = Facts { reason: reason.to_owned(), role: who.role.name().to_owned(), fhir_user: who.fhir_user.clone() };
    let id = GrantId::from_random(vault.chance.bytes()?);
    let now = tx.committed_at();
    let sealed = sealed::seal(vault, place(&id), &facts)?;
    let (granted_at, expires_at) = (now, now + LASTS);
    rows::insert(tx, &Row { id, account, client, patient, sealed, granted_at, expires_at, ended_at: None, reviewed_at: None })?;
    Ok((expires_at, named(tx, patient)?))
}

/// The ids of the person, for the log: of the Patient that was asked for, and of those merged with it.
fn named(tx: &mut Tx<'_>, patient: PatientId) -> Result<Vec<String>> {
    Ok(keys::person(tx, patient)?.into_iter().map(|(_, whose)| whose.born.to_string()).collect())
}

fn place(id: &GrantId) -> Place<'_> {
    Place { kind: "break-glass", id: &id.0, version: 1 }
}

/// Whom the user may see with the client for now. Who that is is asked each time: a merge that is taken back parts them.
pub fn of(tx: &mut Tx<'_>, who: (AccountId, ClientId), moment: &mut Moment) -> Result<Vec<Emergency>> {
    let mut open = Vec::new();
    for (asked, expires_at) in rows::of(tx, who, moment.now())? {
        moment.ends(expires_at);
        open.extend(keys::people(tx, &[asked])?.into_iter().map(|now| Emergency { asked, now }));
    }
    open.sort_unstable();
    open.dedup();
    Ok(open)
}

/// Records the end of those whose hour is over.
pub fn end_due(db: &Db, vault: &Arc<Vault>, now: Millis) -> Result<()> {
    if db.read("break-glass.due", |tx| rows::due(tx, now))?.is_empty() {
        return Ok(());
    }
    let vault = Arc::clone(vault);
    db.write("break-glass.end", move |tx| rows::due(tx, now)?.iter().try_for_each(|row| end(tx, &vault, row)))
}

/// Ends at once those of a user or a client that may do nothing any more, or something else.
pub fn end_of(tx: &mut Tx<'_>, vault: &Vault, of: Asker) -> Result<()> {
    let now = tx.committed_at();
    rows::lasting(tx, of, now)?.iter().try_for_each(|row| end(tx, vault, row))
}

/// Ends one, with its own entry (DCM 110138).
fn end(tx: &mut Tx<'_>, vault: &Vault, row: &Row) -> Result<()> {
    let now = tx.committed_at();
    if !rows::end(tx, row, now)? {
        return Ok(());
    }
    let facts: Facts = sealed::open(vault, place(&row.id), &row.sealed)?;
    let mut entry = Entry::new(EntryId::at(now, vault.chance.bytes()?), Action::EmergencyStop, "break-glass-end");
    entry.request.clone_from(&entry.id);
    entry.account = Some(row.account.to_string());
    entry.client = Some(row.client.to_string());
    entry.role = Some(facts.role);
    entry.fhir_user = facts.fhir_user;
    entry.purpose = Some(BREAK_THE_GLASS.to_owned());
    let patients = named(tx, row.patient)?;
    entry.commit(tx, Did { patients, ..Did::new(200, format!("Patient/{}", row.patient)) })
}

/// Those that nobody has reviewed.
pub fn unreviewed(tx: &mut Tx<'_>, vault: &Vault) -> Result<Vec<(Row, Facts)>> {
    let open = |row: Row| {
        let facts = sealed::open(vault, place(&row.id), &row.sealed)?;
        Ok((row, facts))
    };
    rows::unreviewed(tx)?.into_iter().map(open).collect()
}

/// Closes one with what was found; one that still lasts ends with it. Answers its patient.
pub fn close(tx: &mut Tx<'_>, vault: &Vault, id: GrantId, disposition: &str) -> Result<PatientId> {
    let row = rows::unreviewed(tx)?.into_iter().find(|row| row.id == id);
    let none = || Error::new(Kind::NotFound, "there is no such emergency access to review; firth access review lists them");
    let row = row.ok_or_else(none)?;
    end(tx, vault, &row)?;
    let review = sealed::seal(vault, Place { kind: "break-glass-review", ..place(&id) }, &Review { disposition: disposition.to_owned() })?;
    if rows::review(tx, id, &review)? { Ok(row.patient) } else { Err(none()) }
}
