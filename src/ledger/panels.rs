//! Whose data a user may have: the patient rule of the role, made of what the resources say now.
//!
//! *care-team* is the patients of active CareTeams that the user, a PractitionerRole of the user or the Organization of
//! such a role takes part in (an Organization above it does not count, nor does a role that is over); the members of the
//! Groups that are the subject of such a team; and those of the Groups that the user manages. *self* is the user's own
//! Patient, or the one that the user's RelatedPerson stands by.

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
    let mut find = Find { tx, vault, moment: Moment::new(now), party: Party::default(), caring: Vec::new() };
    if let Some((kind, id)) = fhir_user.and_then(reference::stored) {
        find.user(kind, id)?;
    }
    // A Consent may name a CareTeam whatever the rule is.
    let subjects = find.teams()?;
    let whom = match role.rule() {
        PatientRule::All => Whom::Everybody,
        PatientRule::None => Whom::nobody(),
        PatientRule::Own => find.own()?,
        PatientRule::CareTeam => find.cared_for(subjects)?,
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
    /// As whom the user takes part in a team or manages a Group: less than all that a Consent may name the user by.
    caring: Vec<(String, String)>,
}

impl Find<'_, '_> {
    /// The user and what the user is in. Whoever signed in as one role cares for nobody by another: a Consent may name the
    /// person by it all the same.
    fn user(&mut self, kind: &str, id: &str) -> Result<()> {
        self.party.add(kind, id);
        let own = if kind == "PractitionerRole" { self.one(Type::PractitionerRole, id)? } else { None };
        let practitioner = match kind {
            "Practitioner" => Some(id.to_owned()),
            _ => own.as_deref().and_then(object).and_then(|role| person(&role)),
        };
        // Whoever is a role is that role only while it lasts.
        if kind != "PractitionerRole" {
            self.cares(kind, id);
        }
        if let Some(role) = &own {
            self.role(role, true)?;
        }
        let Some(practitioner) = practitioner else { return Ok(()) };
        self.party.add("Practitioner", &practitioner);
        for role in self.pointing(Type::PractitionerRole, "practitioner", &[("Practitioner".to_owned(), practitioner)])? {
            self.role(&role, own.is_none())?;
        }
        Ok(())
    }

    /// A role that is over counts for nothing. Of one that says what only its author understands it is not certain.
    fn role(&mut self, text: &str, cares: bool) -> Result<()> {
        let Some(role) = object(text) else { return Ok(()) };
        if is_false(&role, "active") || !self.moment.covered_by(period(&role, "period")) {
            return Ok(());
        }
        if !plain(&role) {
            self.party.unsure = true;
            return Ok(());
        }
        let organization = pointed(&role, "organization").filter(|(kind, _)| *kind == "Organization").map(|(_, id)| id.to_owned());
        let id = role.text("id").unwrap_or_default();
        if cares {
            self.cares("PractitionerRole", id);
            person(&role).iter().for_each(|id| self.cares("Practitioner", id));
            self.caring.extend(organization.iter().map(|id| ("Organization".to_owned(), id.clone())));
        }
        self.party.add("PractitionerRole", id);
        organization.map_or(Ok(()), |id| self.organization(&id))
    }

    fn cares(&mut self, kind: &str, id: &str) {
        self.party.add(kind, id);
        self.caring.push((kind.to_owned(), id.to_owned()));
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

    /// The subjects of the active CareTeams that the user takes part in; the teams themselves are noted.
    fn teams(&mut self) -> Result<Vec<(String, String)>> {
        let mut subjects = Vec::new();
        for text in self.pointing(Type::CareTeam, "participant", &self.caring.clone())? {
            let Some(team) = object(&text) else { continue };
            if team.text("status") != Some("active") || !self.moment.covered_by(period(&team, "period")) {
                continue;
            }
            if !plain(&team) || !team.objects("participant").all(plain) {
                self.party.unsure = true;
            }
            if !plain(&team) || !team.objects("participant").any(|one| self.takes_part(one)) {
                continue;
            }
            self.party.add("CareTeam", team.text("id").unwrap_or_default());
            subjects.extend(pointed(&team, "subject").map(|(kind, id)| (kind.to_owned(), id.to_owned())));
        }
        Ok(subjects)
    }

    fn cared_for(&mut self, subjects: Vec<(String, String)>) -> Result<Whom> {
        let (mut patients, mut groups) = (BTreeSet::new(), BTreeSet::new());
        for (kind, id) in subjects {
            match kind.as_str() {
                "Patient" => drop(patients.insert(id)),
                "Group" => drop(groups.insert(id)),
                _ => {}
            }
        }
        for id in groups {
            if let Some(text) = self.one(Type::Group, &id)? {
                self.members(&text, &mut patients);
            }
        }
        // A Group that an Organization manages is not that of each who works there.
        let managers: Vec<_> = self.caring.iter().filter(|(kind, _)| kind != "Organization").cloned().collect();
        for text in self.pointing(Type::Group, "managing-entity", &managers)? {
            self.members(&text, &mut patients);
        }
        self.people(patients)
    }

    fn takes_part(&mut self, participant: &Object<'_>) -> bool {
        let member = pointed(participant, "member");
        let named =
            plain(participant) && member.is_some_and(|(kind, id)| self.caring.iter().any(|(own, own_id)| own == kind && own_id == id));
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

/// The Practitioner of a PractitionerRole.
fn person(role: &Object<'_>) -> Option<String> {
    pointed(role, "practitioner").filter(|(kind, _)| *kind == "Practitioner").map(|(_, id)| id.to_owned())
}

fn is_false(of: &Object<'_>, element: &str) -> bool {
    of.get(element) == Some(&crate::fhir::validate::Node::Boolean(false))
}

/// Is it without what changes its meaning in a way that is not known here?
pub(super) fn plain(of: &Object<'_>) -> bool {
    of.get("modifierExtension").is_none() && of.get("implicitRules").is_none()
}
