//! Whose data a user may have: the patient rule of the role, made of what the resources say now.
//!
//! *care-team* is the patients of active CareTeams that the user, a PractitionerRole of the user or an Organization of
//! such a role takes part in; the members of the Groups that are the subject of such a team; and those of the Groups that
//! the user manages. *self* is the user's own Patient, or the one that the user's RelatedPerson stands by.

use std::collections::BTreeSet;

use crate::access::{Moment, Party, PatientRule, Period, Role, Whom};
use crate::clock::Millis;
use crate::error::{Error, Kind, Result};
use crate::fhir::validate::{Object, object};
use crate::id::PatientId;
use crate::policy::Visible;
use crate::search::{Bounds, Criterion, DateRange, Filter, Reference, Type, reference};
use crate::store::document_search::{Ask, Order};
use crate::store::{Tx, keys, listing};
use crate::vault::Vault;

/// Whose data, who the user is in the words of resources, and until when both are so.
#[derive(Clone, Debug)]
pub struct Panel {
    pub whom: Whom,
    pub party: Party,
    pub until: Option<Millis>,
}

/// More patients than this no query would carry: a role of theirs is one of all patients.
const PATIENTS_MAX: usize = 10_000;
const DOCUMENTS_MAX: i64 = 20_000;
/// How far an Organization's `partOf` is followed.
const PARENTS_MAX: usize = 8;

/// Everybody, or these patients, of those who are merged the one into whom. `fhir_user` is `Practitioner/ID`, `Patient/ID`,
/// `PractitionerRole/ID` or `RelatedPerson/ID`; without one there is nobody whose own or whose patients they could be.
pub fn patients(tx: &mut Tx<'_>, vault: &Vault, role: Role, fhir_user: Option<&str>, now: Millis) -> Result<Whom> {
    Ok(panel(tx, vault, role, fhir_user, now)?.whom)
}

/// The same with all that it was made of.
pub fn panel(tx: &mut Tx<'_>, vault: &Vault, role: Role, fhir_user: Option<&str>, now: Millis) -> Result<Panel> {
    let mut find = Find { tx, vault, moment: Moment::new(now), party: Party::default(), teams: Vec::new() };
    if let Some((kind, id)) = fhir_user.and_then(reference::stored) {
        find.user(kind, id)?;
    }
    let whom = match role.rule() {
        PatientRule::All => Whom::Everybody,
        PatientRule::None => Whom::nobody(),
        PatientRule::Own => find.own()?,
        PatientRule::CareTeam => find.cared_for()?,
    };
    Ok(Panel { whom, party: find.party, until: find.moment.until() })
}

/// The period of an element: its end is the last moment that the end's precision says.
pub(super) fn period(of: &Object<'_>, element: &str) -> Period {
    let found = of.objects(element).next();
    let date = |name: &str| found.and_then(|period| period.text(name)).and_then(DateRange::stored).map(DateRange::millis);
    Period { start: date("start").map(|(lo, _)| lo), end: date("end").map(|(_, hi)| hi) }
}

/// The resource of this server that an element points to.
pub(super) fn pointed<'o>(of: &'o Object<'_>, element: &str) -> Option<(&'o str, &'o str)> {
    reference::stored(of.objects(element).next()?.text("reference")?)
}

struct Find<'t, 'c> {
    tx: &'t mut Tx<'c>,
    vault: &'t Vault,
    moment: Moment,
    party: Party,
    /// Active CareTeams that the user takes part in.
    teams: Vec<String>,
}

impl Find<'_, '_> {
    /// The user and what the user is in. A role that is over, or says what only its author understands, counts for nothing.
    fn user(&mut self, kind: &str, id: &str) -> Result<()> {
        self.party.add(kind, id);
        let roles = match kind {
            "Practitioner" => self.pointing(Type::PractitionerRole, "practitioner", &[(kind.to_owned(), id.to_owned())])?,
            "PractitionerRole" => self.one(Type::PractitionerRole, id)?.into_iter().collect(),
            _ => Vec::new(),
        };
        let mut organizations = Vec::new();
        for text in &roles {
            let Some(role) = object(text) else { continue };
            if !plain(&role) || is_false(&role, "active") || !self.moment.covered_by(period(&role, "period")) {
                continue;
            }
            self.party.add("PractitionerRole", role.text("id").unwrap_or_default());
            if let Some(("Practitioner", id)) = pointed(&role, "practitioner") {
                self.party.add("Practitioner", id);
            }
            organizations.extend(pointed(&role, "organization").filter(|(kind, _)| *kind == "Organization").map(|(_, id)| id.to_owned()));
        }
        organizations.iter().try_for_each(|id| self.organization(id))
    }

    /// An Organization and those that it is part of.
    fn organization(&mut self, id: &str) -> Result<()> {
        let mut next = Some(id.to_owned());
        for _ in 0..PARENTS_MAX {
            let Some(id) = next.take().filter(|id| !self.party.is("Organization", id)) else { break };
            self.party.add("Organization", &id);
            let text = self.one(Type::Organization, &id)?;
            next = text.as_deref().and_then(object).and_then(|one| pointed(&one, "partOf").map(|(_, id)| id.to_owned()));
        }
        Ok(())
    }

    fn own(&mut self) -> Result<Whom> {
        let own = match self.party.user() {
            Some(("Patient", id)) => Some(id.to_owned()),
            Some(("RelatedPerson", id)) => {
                let id = id.to_owned();
                let text = self.one(Type::RelatedPerson, &id)?;
                let related = text.as_deref().and_then(object).filter(|one| plain(one) && !is_false(one, "active"));
                let related = related.filter(|one| self.moment.covered_by(period(one, "period")));
                related.and_then(|one| pointed(&one, "patient").filter(|(kind, _)| *kind == "Patient").map(|(_, id)| id.to_owned()))
            }
            _ => None,
        };
        self.people(own.into_iter().collect())
    }

    fn cared_for(&mut self) -> Result<Whom> {
        if self.party.named.is_empty() {
            return Ok(Whom::nobody());
        }
        let (mut patients, mut groups) = (BTreeSet::new(), BTreeSet::new());
        for text in self.pointing(Type::CareTeam, "participant", &self.party.named.clone())? {
            let Some(team) = object(&text) else { continue };
            if !plain(&team) || team.text("status") != Some("active") || !self.moment.covered_by(period(&team, "period")) {
                continue;
            }
            if !team.objects("participant").any(|one| self.takes_part(one)) {
                continue;
            }
            self.teams.extend(team.text("id").map(str::to_owned));
            match pointed(&team, "subject") {
                Some(("Patient", id)) => drop(patients.insert(id.to_owned())),
                Some(("Group", id)) => drop(groups.insert(id.to_owned())),
                _ => {}
            }
        }
        for id in groups {
            if let Some(text) = self.one(Type::Group, &id)? {
                self.members(&text, &mut patients);
            }
        }
        // A Group that an Organization manages is not that of each who works there.
        let managers: Vec<_> = self.party.named.iter().filter(|(kind, _)| kind != "Organization").cloned().collect();
        for text in self.pointing(Type::Group, "managing-entity", &managers)? {
            self.members(&text, &mut patients);
        }
        for team in std::mem::take(&mut self.teams) {
            self.party.add("CareTeam", &team);
        }
        self.people(patients)
    }

    fn takes_part(&mut self, participant: &Object<'_>) -> bool {
        let member = pointed(participant, "member");
        let named = plain(participant) && member.is_some_and(|(kind, id)| self.party.is(kind, id));
        named && self.moment.covered_by(period(participant, "period"))
    }

    /// The Patients who are in a Group now. One that only describes has no members.
    fn members(&mut self, text: &str, patients: &mut BTreeSet<String>) {
        let Some(group) = object(text) else { return };
        if !plain(&group) || is_false(&group, "active") {
            return;
        }
        for member in group.objects("member") {
            if let Some(("Patient", id)) = pointed(member, "entity")
                && plain(member)
                && !member.is_true("inactive")
                && self.moment.covered_by(period(member, "period"))
            {
                patients.insert(id.to_owned());
            }
        }
    }

    /// Those of the ids who are here, as the one whom each is now.
    fn people(&mut self, ids: BTreeSet<String>) -> Result<Whom> {
        let ids: Vec<PatientId> = ids.iter().filter_map(|id| PatientId::parse(id).ok()).collect();
        let mut patients = keys::people(self.tx, &ids)?;
        patients.sort_unstable();
        patients.dedup();
        if patients.len() > PATIENTS_MAX {
            let says = format!("more than {PATIENTS_MAX} patients are in the user's care; a role with patients = \"all\" is for that");
            return Err(Error::new(Kind::Forbidden, says));
        }
        Ok(Whom::Patients(patients.into()))
    }

    /// The texts of the live documents of a type whose parameter names one of these.
    fn pointing(&mut self, of: Type, param: &'static str, to: &[(String, String)]) -> Result<Vec<String>> {
        let known = |(kind, id): &(String, String)| {
            Type::parse(kind).map(|kind| Criterion::Reference(Reference { kind: Some(kind.name()), id: id.clone() }))
        };
        self.found(of, Filter::any(param, to.iter().filter_map(known).collect()))
    }

    fn one(&mut self, of: Type, id: &str) -> Result<Option<String>> {
        Ok(self.found(of, Filter::any("_id", vec![Criterion::Id(id.to_owned())]))?.pop())
    }

    fn found(&mut self, resource: Type, filter: Filter) -> Result<Vec<String>> {
        if filter.any.is_empty() {
            return Ok(Vec::new());
        }
        let ask = Ask {
            resource,
            visible: &Visible::everything(resource),
            filters: &[filter],
            bounds: Bounds::default(),
            committed: Bounds::default(),
            order: Order::Committed,
            descending: true,
            after: None,
            limit: DOCUMENTS_MAX,
        };
        Ok(listing::first(self.tx, self.vault, &ask)?.into_iter().map(|(_, _, text)| text).collect())
    }
}

fn is_false(of: &Object<'_>, element: &str) -> bool {
    of.get(element) == Some(&crate::fhir::validate::Node::Boolean(false))
}

/// Is it without what changes its meaning in a way that is not known here?
pub(super) fn plain(of: &Object<'_>) -> bool {
    of.get("modifierExtension").is_none() && of.get("implicitRules").is_none()
}
