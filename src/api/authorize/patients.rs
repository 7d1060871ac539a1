//! Whose record an app is for: the launch says it, the person is the patient, or the person chooses among those whose record
//! the person's role and care team open.

use serde_json::Value;

use super::asked::Asked;
use super::offer::Offered;
use crate::access::{Interaction, Role, Whom};
use crate::api::pages::Searched;
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::id::PatientId;
use crate::ledger::sessions::SignedIn;
use crate::policy::{Policy, Visible};
use crate::search::{self, Handling, Query, Terms, Type};
use crate::store::listing::{Look, Page, Position, page};
use crate::store::resources::{Reader, version};
use crate::store::{Tx, keys};

/// Who the patient of a request is.
pub enum Chosen {
    /// It needs none.
    Nobody,
    One(String),
    ByThePerson,
    /// There is one and the person may not see the record, or the person may see none; why.
    Hidden(&'static str),
}

/// Patients on a page of the picker.
const ON_A_PAGE: u32 = 20;

pub fn established(app: &App, of: (&Asked, &Offered), who: &SignedIn) -> Result<Chosen> {
    let (asked, offered) = of;
    if let Some((_, launch)) = &asked.launch {
        return Ok(match sees(app, who, offered.role, &launch.patient)? {
            true => Chosen::One(launch.patient.clone()),
            false => Chosen::Hidden("The person may not see the patient of this launch."),
        });
    }
    if !offered.needs_patient {
        return Ok(Chosen::Nobody);
    }
    match app.db.read("patients", |tx| app.callers.person(tx, who, offered.role, app.clock.now()))?.whom {
        Whom::Everybody => Ok(Chosen::ByThePerson),
        Whom::Patients(patients) => Ok(match patients.as_ref() {
            [] => Chosen::Hidden("The person may see no patient."),
            [one] => Chosen::One(one.to_string()),
            _ => Chosen::ByThePerson,
        }),
    }
}

/// May the person see this patient's record?
pub fn sees(app: &App, who: &SignedIn, role: Role, patient: &str) -> Result<bool> {
    let Ok(id) = PatientId::parse(patient) else { return Ok(false) };
    app.db.read("patient.sees", |tx| {
        let Some((_, whose)) = keys::person(tx, id)?.into_iter().next() else { return Ok(false) };
        Ok(app.callers.person(tx, who, role, app.clock.now())?.whom.has(whose.now))
    })
}

/// The Patients that the person may have by this interaction.
fn visible(tx: &mut Tx<'_>, app: &App, of: (&SignedIn, Role), interaction: Interaction) -> Result<Visible> {
    Policy::of(&app.callers.person(tx, of.0, of.1, app.clock.now())?).visible(Type::Patient, interaction)
}

/// A patient in a list: what tells two of one name apart, and no more. What is not known is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: String,
    pub name: String,
    pub born: String,
    pub sex: String,
    /// The last digits of a record number.
    pub identifier: String,
}

/// Rows, where the next page begins, and the query for the audit entry.
pub struct Found {
    pub rows: Vec<Row>,
    pub next: Option<(i64, String, String)>,
    pub asked: String,
}

/// The patients that fit, of those whom the person may see. `Kind::Parameter` names the field that cannot be read.
pub fn find(app: &App, who: &SignedIn, role: Role, searched: &Searched) -> Result<Found> {
    let query = query(app, searched)?;
    let after = searched.after.as_ref().map(position).transpose()?;
    let base = format!("{}/fhir", app.public_url);
    let page = app.db.read("patient.pick", |tx| {
        let visible = visible(tx, app, (who, role), Interaction::Search)?;
        let look = Look { query: &query, visible: &visible, vault: &app.vault, base: &base, after, horizon: i64::MAX };
        page(tx, &look)
    })?;
    Ok(Found {
        rows: rows(&page)?,
        next: page.next.map(|at| (at.key, at.tie.to_string(), at.more.to_string())),
        asked: search::canonical(&query),
    })
}

fn query(app: &App, searched: &Searched) -> Result<Query> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for word in searched.name.split_whitespace() {
        pairs.push(("name".into(), escaped(word)));
    }
    for (name, value) in [("birthdate", &searched.birthdate), ("identifier", &searched.identifier)] {
        if !value.is_empty() {
            pairs.push((name.into(), escaped(value)));
        }
    }
    pairs.push(("_count".into(), ON_A_PAGE.to_string()));
    let base = format!("{}/fhir", app.public_url);
    search::parse(Type::Patient, &pairs, &Terms { handling: Handling::Strict, base: &base, now: app.clock.now() })
}

/// A value with what means something in a search taken for what it is (R4 "Escaping Search Parameters").
fn escaped(value: &str) -> String {
    value.chars().flat_map(|c| if matches!(c, '\\' | ',' | '|' | '$') { vec!['\\', c] } else { vec![c] }).collect()
}

fn position((key, tie, more): &(i64, String, String)) -> Result<Position> {
    let number = |text: &str| text.parse().map_err(|_| Error::bug("a place in a list of patients cannot be read"));
    Ok(Position { key: *key, tie: number(tie)?, more: number(more)? })
}

fn rows(page: &Page) -> Result<Vec<Row>> {
    let texts = page.items.iter().map(|item| page.json(item));
    texts.map(|text| serde_json::from_str::<Value>(text).map(|patient| row(&patient)).map_err(Error::bug)).collect()
}

/// The patient of this id as the person may see it.
pub fn summary(app: &App, who: &SignedIn, role: Role, patient: &str) -> Result<Row> {
    let gone = || Error::new(Kind::Invalid, "There is no such patient, or you may not see the record.");
    let found = app.db.read("patient.read", |tx| {
        let visible = visible(tx, app, (who, role), Interaction::Read)?;
        version(tx, Reader { vault: &app.vault, templates: &app.templates, visible: &visible }, (Type::Patient, patient, None))
    });
    // Who may not read the type is not told more than the id.
    let found = match found {
        Err(e) if e.kind == Kind::Forbidden => return Ok(row(&serde_json::json!({"id": patient}))),
        found => found?,
    };
    let found = found.filter(|found| !found.deleted).ok_or_else(gone)?;
    Ok(row(&serde_json::from_str(&found.json).map_err(Error::bug)?))
}

/// The name of a patient whom the person may see, if there is one.
pub fn name_of(app: &App, who: &SignedIn, role: Role, patient: &str) -> Result<Option<String>> {
    match summary(app, who, role, patient) {
        Err(e) if e.kind == Kind::Invalid => Ok(None),
        row => Ok(Some(row?.name).filter(|name| !name.is_empty())),
    }
}

fn row(patient: &Value) -> Row {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let identifiers = patient["identifier"].as_array().into_iter().flatten();
    // The server's own numbers tell nobody anything.
    let identifier = identifiers.filter(|one| one["system"] != crate::fhir::audit_event::USER).find_map(|one| one["value"].as_str());
    Row {
        id: text(&patient["id"]),
        name: name(patient),
        born: text(&patient["birthDate"]),
        sex: text(&patient["gender"]),
        identifier: identifier.map(ending).unwrap_or_default(),
    }
}

/// The usual or official name, else the first.
fn name(patient: &Value) -> String {
    let names: Vec<&Value> = patient["name"].as_array().into_iter().flatten().collect();
    let of = |wanted: &str| names.iter().copied().find(|name| name["use"] == wanted);
    let Some(name) = of("usual").or_else(|| of("official")).or_else(|| names.first().copied()) else { return String::new() };
    let given = name["given"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let parts: Vec<&str> = given.chain(name["family"].as_str()).collect();
    if parts.is_empty() { name["text"].as_str().unwrap_or_default().to_owned() } else { parts.join(" ") }
}

/// Four characters at most, and never a whole short number.
fn ending(value: &str) -> String {
    let letters: Vec<char> = value.chars().collect();
    let shown = letters.len().saturating_sub(1).min(4);
    format!("\u{2026}{}", letters[letters.len() - shown..].iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_tells_two_of_one_name_apart() {
        let patient = json!({"id": "a", "name": [{"use": "nickname", "text": "Bo"}, {"use": "official", "given": ["Ana", "Maria"], "family": "Sol"}],
            "birthDate": "1987-03", "gender": "female", "identifier": [{"system": "urn:firth:user", "value": "u"}, {"value": "MRN-004711"}]});
        let row = row(&patient);
        assert_eq!((&*row.name, &*row.born, &*row.sex, &*row.identifier), ("Ana Maria Sol", "1987-03", "female", "\u{2026}4711"));
        let bare = super::row(&json!({"id": "b", "name": [{"text": "Bo"}], "identifier": [{"value": "12"}]}));
        assert_eq!((&*bare.name, &*bare.born, &*bare.identifier), ("Bo", "", "\u{2026}2"));
        assert_eq!(super::row(&json!({})).name, "");
    }

    #[test]
    fn what_is_typed_is_no_syntax() {
        assert_eq!(escaped(r"a,b|c$d\e"), r"a\,b\|c\$d\\e");
    }
}
