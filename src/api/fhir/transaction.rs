//! transaction (https://hl7.org/fhir/R4/http.html#transaction): a Bundle that is done as a whole, or not at all.

use std::cell::Cell;
use std::collections::HashMap;

use std::collections::BTreeMap;

use super::batch::{self, answered};
use super::{base, caller, criteria, write};
use crate::access::{Caller, Emergency, Interaction};
use crate::api::negotiate::{self, Return};
use crate::api::request::{Reply, Request, asked, decode_pairs};
use crate::app::App;
use crate::audit::{self, Action, Did};
use crate::error::{Error, Kind as Wrong, Result};
use crate::fhir::body::resources;
use crate::fhir::interaction::{self, Answered, Entry, Incoming, Kind, Links, Method, conditional, order, references, response};
use crate::fhir::outcome;
use crate::fhir::validate::{self, Options, object};
use crate::id::DocumentId;
use crate::ledger::conditional::Criteria;
use crate::ledger::idempotency::once;
use crate::ledger::patch::Patch;
use crate::ledger::resources::{Effect, IfMatch, Written};
use crate::ledger::submitted::{self, refused};
use crate::ledger::transaction::{Act, Content, Step, run};
use crate::policy::Policy;
use crate::search::Type;
use crate::store::keys::Whose;

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &["_format"])?;
    let body = write::body(app, request, "a Bundle is sent as application/fhir+json")?;
    let options = Options { expected: Some("Bundle"), ..write::options(app) };
    let judged = validate::validate(&body, &options).map(|_| ());
    let text = str::from_utf8(&body).map_err(|_| Error::new(Wrong::Syntax, "the body is not UTF-8"))?;
    let tree = object(text);
    if tree.as_ref().is_some_and(|tree| tree.text("type") == Some("batch")) {
        (request.entry.action, request.entry.route) = (Action::Batch, "batch".to_owned());
    }
    if let Err(issues) = judged
        && !tree.as_ref().is_some_and(|tree| batch::judges_alone(tree, &issues))
    {
        return Err(refused(issues));
    }
    let tree = tree.ok_or_else(|| Error::bug("a Bundle that was judged is not JSON"))?;
    let base = base(app);
    let limits = interaction::Options { base: &base, entries: app.config.max_bundle_entries };
    let incoming = interaction::read(&tree, &limits).map_err(refused)?;
    match incoming.kind {
        Kind::Batch => batch::run(app, request, who, &incoming),
        Kind::Transaction => {
            let told = who.emergencies.iter().filter(|one| incoming.entries.iter().any(|entry| tells(entry, one)));
            request.entry.patients.extend(told.map(|one| one.now.to_string()));
            transaction(app, request, who, (&incoming, &resources(text)))
        }
    }
}

/// That a transaction fails, and where, may tell of whom an emergency opens when it reads; and a request that names the
/// patient is marked whatever it does.
fn tells(entry: &Entry<'_>, of: &Emergency) -> bool {
    let reads = matches!(entry.method, Method::Get | Method::Head);
    let (url, unless) = (batch::url(entry), entry.if_none_exist.unwrap_or_default());
    reads || [of.asked, of.now].iter().map(ToString::to_string).any(|id| url.contains(&id) || unless.contains(&id))
}

fn transaction(app: &App, request: &Request, who: &Caller, bundle: (&Incoming<'_>, &[Option<&str>])) -> Result<Reply> {
    let (incoming, texts) = bundle;
    let links = own_links(app, incoming)?;
    let order = order(incoming);
    let entries: Vec<&Entry<'_>> = order.iter().filter_map(|at| incoming.entries.get(*at)).collect();
    let policy = Policy::of(who);
    let steps = entries.iter().map(|entry| {
        let text = texts.get(entry.index).copied().flatten();
        step(app, &policy, (entry, text), &links).map_err(|e| batch::placed(e, entry.index))
    });
    let steps: Vec<Step> = steps.collect::<Result<_>>()?;
    // What is read last, after all is written, and could not be read at all, is refused before anything is.
    for (entry, step) in entries.iter().zip(&steps).filter(|(_, step)| matches!(step.act, Act::Read(_) | Act::Other)) {
        let made_here =
            |other: &Step| matches!(other.act, Act::Update(_)) && step.id.is_some() && (other.of, &other.id) == (step.of, &step.id);
        let later = matches!(step.act, Act::Read(_)) || (batch::is_served(entry) && steps.iter().any(made_here));
        match batch::refusal(app, request, who, entry) {
            // Whether it is there is judged when all is written.
            Err(e) if later && matches!(e.kind, Wrong::NotFound | Wrong::Gone) => {}
            judged => judged?,
        }
    }
    let notes = entries.iter().zip(&steps).map(|(entry, step)| note(app, request, (entry, step)));
    let notes: Vec<Option<audit::Entry>> = notes.collect::<Result<_>>()?;
    let (writing, key) = (write::Writing::of(app, who), write::idempotency(app, request, who)?);
    let done = app.db.write("transaction", move |tx| {
        let writer = writing.writer();
        let done = once(tx, &writer, key.as_ref(), |tx| run(tx, &writer, &steps))?;
        for (written, note) in done.iter().zip(&notes) {
            let (Some(written), Some(note)) = (written, note) else { continue };
            let patients = written.patient.map(Whose::named).unwrap_or_default();
            let resource = format!("{}/{}", written.of.name(), written.id);
            note.commit(tx, Did { patients, ..Did::new(write::status(written.effect), resource) })?;
        }
        Ok(done)
    })?;
    let mut answers: Vec<(usize, Answered)> = Vec::with_capacity(entries.len());
    for (entry, written) in entries.iter().zip(done) {
        answers.push((
            entry.index,
            match written {
                Some(written) => of_written(app, request, written),
                None => batch::one(app, request, who, entry)?,
            },
        ));
    }
    answers.sort_by_key(|(index, _)| *index);
    let answers: Vec<Answered> = answers.into_iter().map(|(_, answered)| answered).collect();
    // The effects have their entries; this one says that they were asked for together.
    Ok(Reply::fhir(200, response(Kind::Transaction, &answers)).about("Bundle", Vec::new()))
}

/// What the audit log will say of a step that writes, as if it had come alone.
fn note(app: &App, request: &Request, of: (&Entry<'_>, &Step)) -> Result<Option<audit::Entry>> {
    let (entry, step) = of;
    let action = match step.act {
        Act::Create(_) => Action::Create,
        Act::Update(_) => Action::Update,
        Act::Patch(_) => Action::Patch,
        Act::Delete => Action::Delete,
        Act::Read(_) | Act::Other => return Ok(None),
    };
    let query = asked(action, (batch::verb(entry.method), &batch::url(entry)), entry.if_none_exist);
    Ok(Some(audit::Entry { action, query, ..request.entry.again(app.entry_id()?) }))
}

/// What the entries are called.
struct Own {
    /// All of them, to know which resources have links to others.
    all: Links,
    /// Those whose ids are known before the transaction begins.
    known: Links,
    /// The ids of those that a create without criteria makes.
    new: HashMap<usize, DocumentId>,
}

fn own_links(app: &App, incoming: &Incoming<'_>) -> Result<Own> {
    let mut own = Own { all: Links::default(), known: Links::default(), new: HashMap::new() };
    for entry in &incoming.entries {
        let made = entry.method == Method::Post && entry.if_none_exist.is_none();
        let new = if made { Some(DocumentId::from_random(app.vault.chance.bytes()?)) } else { None };
        own.new.extend(new.map(|id| (entry.index, id)));
        let Some(full_url) = entry.full_url else { continue };
        own.all.put(full_url, "", 1);
        let of = entry.target.resource_type.filter(|_| matches!(entry.method, Method::Post | Method::Put));
        let id = new.map(|id| id.to_string()).or_else(|| entry.target.id.map(str::to_owned));
        if let (Some(of), Some(id)) = (of, id) {
            own.known.put(full_url, format!("{of}/{id}"), 1);
        }
    }
    Ok(own)
}

fn step(app: &App, policy: &Policy, of: (&Entry<'_>, Option<&str>), links: &Own) -> Result<Step> {
    let (entry, text) = of;
    let target = &entry.target;
    let plain = target.operation.is_none() && !target.history;
    let kind = target.resource_type.map(super::resource).transpose()?;
    let read = matches!(entry.method, Method::Get | Method::Head);
    let (Some(kind), true) = (kind, plain || read) else {
        if read {
            return Ok(reading(entry, Type::Patient, Act::Other));
        }
        return Err(Error::new(Wrong::Invalid, "this request is not part of a transaction; send it alone or in a batch"));
    };
    if !read {
        super::written(kind)?;
    }
    let asks = if entry.if_none_exist.is_some() { "ifNoneExist" } else { "url" };
    let does = match entry.method {
        Method::Put | Method::Patch => Some(Interaction::Update),
        Method::Delete => Some(Interaction::Delete),
        Method::Get | Method::Head | Method::Post => None,
    };
    let search = |query: &str| -> Result<Criteria> {
        let found = decode_pairs(query).and_then(|pairs| criteria(app, policy, (kind, does), &pairs));
        found.map_err(|e| e.at(format!("Bundle.entry[{}].request.{asks}", entry.index)))
    };
    let content = || -> Result<Content> { content(app, policy, (kind, entry, text.unwrap_or_default()), links) };
    let may = |interaction| policy.may(kind, interaction);
    let act = match entry.method {
        Method::Get | Method::Head => {
            may(if target.id.is_some() { Interaction::Read } else { Interaction::Search })?;
            match target.id {
                Some(_) if plain => Act::Read(target.version.map(|version| version.parse().unwrap_or(u32::MAX))),
                _ => Act::Other,
            }
        }
        Method::Post => {
            may(Interaction::Create)?;
            write::no_version(entry.if_match)?;
            Act::Create(content()?)
        }
        Method::Put => may(Interaction::Update).and_then(|()| Ok(Act::Update(content()?)))?,
        Method::Patch => may(Interaction::Update).and_then(|()| Ok(Act::Patch(patch(entry, text.unwrap_or_default())?)))?,
        Method::Delete => may(Interaction::Delete).map(|()| Act::Delete)?,
    };
    let found_by = if read { None } else { entry.if_none_exist.or(target.query) };
    let id = if matches!(act, Act::Create(_)) { None } else { target.id.map(str::to_owned) };
    Ok(Step {
        id,
        new_id: links.new.get(&entry.index).copied(),
        criteria: found_by.map(search).transpose()?,
        if_match: match (entry.method, entry.if_match, entry.if_none_match) {
            (Method::Put, None, Some("*")) => Some(IfMatch::Absent),
            (_, if_match, _) => if_match.map(write::versions).transpose()?,
        },
        ..reading(entry, kind, act)
    })
}

fn reading(entry: &Entry<'_>, of: Type, act: Act) -> Step {
    let full_url = entry.full_url.map(str::to_owned);
    Step { index: entry.index, full_url, of, id: entry.target.id.map(str::to_owned), new_id: None, criteria: None, if_match: None, act }
}

fn content(app: &App, policy: &Policy, of: (Type, &Entry<'_>, &str), links: &Own) -> Result<Content> {
    let (kind, entry, text) = of;
    let Some(tree) = entry.resource else { return Err(Error::new(Wrong::Invalid, "the entry has no resource")) };
    let mut searches: BTreeMap<String, Criteria> = BTreeMap::new();
    for pointer in references(tree) {
        if let Some((name, query)) = conditional(&pointer.to) {
            let found =
                criteria(app, policy, (super::resource(name)?, None), &decode_pairs(query)?).map_err(|e| e.at(pointer.at.clone()))?;
            let (said, at) = (pointer.to.clone(), pointer.at.clone());
            searches.entry(said.clone()).or_insert(Criteria { said, at, ..found });
        }
    }
    let (linked, late) = (Cell::new(false), Cell::new(!searches.is_empty()));
    let rewritten = interaction::rewrite(tree, &|link| {
        links.all.resolve(entry.full_url, link)?;
        linked.set(true);
        // A link to a version is one to what the version will be.
        let known = links.known.resolve(entry.full_url, link).filter(|_| !link.contains("/_history/"));
        late.set(late.get() || known.is_none());
        known
    });
    if late.get() {
        return Ok(Content::Linked(text.to_owned(), searches.into_values().collect()));
    }
    let submitted =
        submitted::read(kind, if linked.get() { rewritten.as_bytes() } else { text.as_bytes() }, &base(app), write::options(app))?;
    Ok(Content::Ready(Box::new(submitted)))
}

/// A Parameters resource, or a Binary that holds a JSON Patch.
fn patch(entry: &Entry<'_>, text: &str) -> Result<Patch> {
    match batch::json_patch(entry)? {
        Some(json) => Ok(Patch::Json(json)),
        None => Ok(Patch::FhirPath(text.as_bytes().to_vec())),
    }
}

fn of_written(app: &App, request: &Request, written: Written) -> Answered {
    let name = format!("{}/{}", written.of.name(), written.id);
    let status = write::status(written.effect);
    let stands = !matches!(written.effect, Effect::Deleted | Effect::Nothing);
    // A Bundle of many is answered shortly unless more is asked for.
    let returned = negotiate::preferred_return(request).unwrap_or(Return::Minimal);
    let resource = written.json.filter(|_| stands && returned == Return::Representation);
    let outcome = (stands && returned == Return::Outcome).then(|| outcome::done(&format!("{name} has version {}", written.version)));
    let known = written.version > 0;
    let answer = Answered {
        full_url: stands.then(|| format!("{}/{name}", base(app))),
        status,
        location: stands.then(|| format!("{name}/_history/{}", written.version)),
        version: known.then_some(written.version),
        last_modified: known.then_some(written.committed_at),
        resource,
        outcome,
    };
    answered(answer)
}
