//! search-type by GET and by POST _search (https://hl7.org/fhir/R4/http.html#search).

use serde_json::Value;

use super::cursor::CursorSeal;
use super::{base, caller, patients, resource};
use crate::access::{Caller, Interaction};
use crate::api::negotiate;
use crate::api::request::{Reply, Request, decode_pairs};
use crate::app::App;
use crate::audit::events;
use crate::error::{Error, Issue, Kind, Result};
use crate::fhir::bundle::{self, Mode};
use crate::fhir::outcome;
use crate::id::PatientId;
use crate::policy::{Policy, Visible};
use crate::search::{self, Criterion, Filter, Query, SortKey, Terms, Type, canonical};
use crate::store::listing::{self, Item, Look, Page};
use crate::store::resources::{Reader, version};
use crate::store::{Tx, keys, observations};

pub fn handler(app: &App, request: &mut Request, who: Option<&Caller>) -> Result<Reply> {
    let who = caller(who)?;
    let of = resource(request.param("type"))?;
    let policy = Policy::of(who);
    let visible = policy.visible(of, Interaction::Search)?;
    let pairs = asked(request)?;
    negotiate::json_only(request, &pairs)?;
    let base = base(app);
    let query = search::parse(of, &pairs, &Terms { handling: negotiate::handling(request), base: &base, now: app.clock.now() })?;
    let asked = canonical(&query);
    let seal = CursorSeal::of(app, who, of, &asked);
    let after = query.cursor.as_deref().map(|text| seal.open(text)).transpose()?;
    // Only a walk of the feed must not pass what is still being committed; the rest reads the latest commit.
    let horizon = if walks_feed(&query) { app.db.settled()? } else { i64::MAX };
    let (page, includes, whose) = if of == Type::AuditEvent {
        let page = events::search(&app.index, &app.public_url, (app.clock.now(), &visible), (&query, after))?;
        let whose = page.patients;
        (page.page, Vec::new(), whose)
    } else {
        let look = Look { query: &query, visible: &visible, vault: &app.vault, base: &base, after, horizon };
        app.db.read("search", |tx| {
            let page = match of {
                Type::Observation => observations::page(tx, &look, &app.templates, who.role.is_system())?,
                _ => listing::page(tx, &look)?,
            };
            let includes = include(tx, app, (&policy, &look), &page)?;
            let shelves = page.items.iter().map(|item| item.shelf).chain(includes.iter().map(|item| item.shelf));
            let mut whose = patients(tx, &page.owners, shelves)?;
            whose.extend(searched(tx, who, &query)?);
            Ok((page, includes, whose))
        })?
    };
    let body = render(&base, (&query, &asked), &seal, (page, &includes))?;
    let mut reply = Reply::fhir(200, body).about(of.name(), whose);
    if request.verb == "POST" {
        reply.asked = Some(format!("{}?{asked}", request.uri));
    }
    Ok(reply)
}

fn walks_feed(query: &Query) -> bool {
    query.sort.is_some_and(|sort| sort.key == SortKey::LastUpdated) || query.filters_on("_lastUpdated").next().is_some()
}

/// Those whom an emergency opens to the caller and of whom something might have been found: a number alone tells of them,
/// too, and so does an empty Bundle.
fn searched(tx: &mut Tx<'_>, who: &Caller, query: &Query) -> Result<Vec<String>> {
    let mut open = if query.resource.is_shared() { Vec::new() } else { who.emergencies.to_vec() };
    for named in query.filters.iter().filter_map(|filter| alone(query.resource, filter)) {
        if open.is_empty() {
            break;
        }
        let people = keys::people(tx, &named)?;
        open.retain(|one| people.contains(&one.now));
    }
    Ok(open.iter().map(|one| one.now.to_string()).collect())
}

/// The Patients of whom alone something answers the filter; None when it does not say.
fn alone(of: Type, filter: &Filter) -> Option<Vec<PatientId>> {
    let says = match of {
        Type::Patient => filter.param == "_id",
        // What it is about may be several patients'.
        Type::Provenance => false,
        _ => ["patient", "subject"].contains(&filter.param),
    };
    let named = |criterion: &Criterion| match criterion {
        Criterion::Id(id) => Some(PatientId::parse(id).ok()),
        Criterion::Reference(reference) => Some(reference.patient()),
        _ => None,
    };
    let named: Option<Vec<Option<PatientId>>> = filter.any.iter().map(named).collect();
    named.filter(|_| says && !filter.not).map(|ids| ids.into_iter().flatten().collect())
}

/// The parameters of the URL, and with POST those of the form.
fn asked(request: &mut Request) -> Result<Vec<(String, String)>> {
    let mut pairs = request.pairs()?;
    if request.verb == "POST" {
        if request.header("content-encoding").is_some_and(|coding| !coding.trim().eq_ignore_ascii_case("identity")) {
            return Err(Error::new(Kind::MediaType, "a form is not compressed; send it without Content-Encoding"));
        }
        let form = negotiate::is_media_type(request, "application/x-www-form-urlencoded");
        let body = request.small_body()?;
        if !form && !body.is_empty() {
            return Err(Error::new(Kind::MediaType, "a search by POST takes application/x-www-form-urlencoded"));
        }
        let text = String::from_utf8(body).map_err(|_| Error::new(Kind::Syntax, "the form is not UTF-8"))?;
        pairs.extend(decode_pairs(&text)?);
    }
    Ok(pairs)
}

/// What the references of the page point to, as far as the caller may read and see it; each once.
fn include(tx: &mut Tx<'_>, app: &App, asks: (&Policy, &Look<'_>), page: &Page) -> Result<Vec<Item>> {
    let (policy, look) = asks;
    // What is included is read and found. A type that the token's scopes do not open is left out, as a resource that is
    // hidden is.
    let both = |of: Type| policy.both(of, (Interaction::Read, Interaction::Search)).ok();
    let opened: Vec<(Type, Visible)> =
        look.query.includes.iter().filter_map(|include| Some((include.target, both(include.target)?))).collect();
    let includes = look.query.includes.iter().filter(|include| opened.iter().any(|(of, _)| *of == include.target));
    let includes: Vec<search::Include> = includes.copied().collect();
    let mut wanted: Vec<String> = Vec::new();
    for item in &page.items {
        if includes.is_empty() {
            break;
        }
        let document: Value = serde_json::from_str(page.json(item)).map_err(Error::bug)?;
        for include in &includes {
            let element = if include.param == "patient" && item.resource == "Observation" { "subject" } else { include.param };
            if let Some(reference) = document[element]["reference"].as_str()
                && reference.starts_with(include.target.name())
                && !wanted.iter().any(|known| known == reference)
            {
                wanted.push(reference.to_owned());
            }
        }
    }
    let mut items = Vec::new();
    for reference in wanted {
        let Some((kind, id)) = reference.split_once('/') else { continue };
        let Some((of, visible)) = opened.iter().find(|(of, _)| of.name() == kind) else { continue };
        let (of, reader) = (*of, Reader { vault: &app.vault, templates: &app.templates, visible });
        if let Some(found) = version(tx, reader, (of, id, None))?.filter(|found| !found.deleted) {
            items.push(Item { resource: of.name(), id: id.to_owned(), json: found.json, shelf: found.shelf, seen: found.seen });
        }
    }
    Ok(items)
}

fn render(base: &str, query: (&Query, &str), seal: &CursorSeal<'_>, found: (Page, &[Item])) -> Result<String> {
    let ((query, asked), (page, includes)) = (query, found);
    let own = format!("{base}/{}?{asked}", query.resource.name());
    let mut links = vec![("self", own.clone())];
    if let Some(next) = page.next {
        links.push(("next", format!("{own}&{}={}", search::params::CURSOR, seal.seal(next)?)));
    }
    let ignored: Vec<Issue> =
        query.ignored.iter().map(|name| Issue::new(format!("the parameter {name} was ignored"), Some(name.clone()))).collect();
    let mut entries = page.entries;
    for item in includes {
        entries.push((item.resource, &item.id), Mode::Include, |out| out.push_str(&item.json));
    }
    if let Some(ignored) = outcome::warning(&ignored) {
        entries.push_unnamed(&ignored, Mode::Outcome);
    }
    Ok(bundle::searchset(page.total, &links, entries))
}
