//! `GET /fhir/openapi.json`: an OpenAPI description (https://spec.openapis.org/oas/v3.1.0) of `/fhir` and `/api/v1`, from
//! the tables that serve them. A route that is in `ROUTES` is in it; a line of `TOLD` says more of it.
//!
//! What may be asked of a type depends on the type, so `/fhir/{type}` is written out for each; the other paths have the
//! type as a parameter.

use serde_json::{Map, Value, json};

use super::metadata::documented;
use crate::access::Caller;
use crate::api::request::{Reply, Request};
use crate::api::{Need, ROUTES, Route, negotiate};
use crate::app::App;
use crate::error::Result;
use crate::search::Type;
use crate::search::params::RESULT_PARAMS;

/// What the table of routes does not say of a route: its name, a summary, the statuses when all is well, its parameters
/// besides those of the path, the schema of its body, and that of its answer.
struct Told(&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const TOLD: &[Told] = &[
    Told("capabilities", "CapabilityStatement", "200", "metadata-mode _format", "", "Resource"),
    Told("openapi", "This description", "200", "_format", "", "Object"),
    Told("smart-configuration", "Where the authorization server is", "200", "", "", "Object"),
    Told("search", "Search", "200", "Prefer", "Form", "Resource"),
    Told("create", "Create, also by a condition", "200 201", "If-None-Exist Idempotency-Key Prefer _format", "Resource", "Resource"),
    Told("transaction", "Batch or transaction", "200", "Idempotency-Key Prefer _format", "Resource", "Resource"),
    Told(
        "update",
        "Update, also as create and by a condition",
        "200 201",
        "If-Match If-Unmodified-Since Prefer _format",
        "Resource",
        "Resource",
    ),
    Told("patch", "Patch, also by a condition", "200", "If-Match If-Unmodified-Since Prefer _format", "Patch", "Resource"),
    Told("delete", "Delete, also by a condition", "204", "If-Match If-Unmodified-Since _format", "", ""),
    Told("read", "Read", "200 304", "If-None-Match If-Modified-Since _format", "", "Resource"),
    Told("vread", "Read one version", "200 304", "If-None-Match If-Modified-Since _format", "", "Resource"),
    Told("history", "Versions, newest first", "200", "_count _since _at _format", "", "Resource"),
    Told("history-type", "Versions of a type, newest first", "200", "_count _since _at _format", "", "Resource"),
    Told("history-system", "Versions of everything, newest first", "200", "_count _since _at _format", "", "Resource"),
    Told("validate", "Judge without storing", "200", "mode profile If-Match _format", "Optional", "Resource"),
    Told("user-create", "Make a user and its Patient", "201", "", "Fields", "User"),
    Told("user-list", "List users", "200", "page limit sort_by sort_order search email external_user_id", "", "Users"),
    Told("user-read", "Read a user", "200", "", "", "User"),
    Told("user-update", "Change a user", "200", "", "Fields", "User"),
    Told("user-delete", "Delete a user without data", "200", "", "", "User"),
    Told("token-issue", "Tokens for a user's SDK", "200", "", "AppSecret", "Tokens"),
    Told("invitation", "A code for a user, good once", "201", "", "", "Invitation"),
    Told("redeem", "Tokens for a code", "200", "", "Code", "Tokens"),
    Told("token-refresh", "New tokens for a refresh token", "200", "", "Refresh", "Tokens"),
    Told("token-revoke", "Revoke a token", "204", "", "Revoke", ""),
    Told("sync", "Upload", "202", "", "Upload", "Accepted"),
    Told("upload-read", "What became of an upload", "200", "", "", "Outcome"),
    Told("sdk-logs", "What an SDK reports of itself", "202", "", "Logs", "Object"),
];

/// Parameters that are no search parameters: their key, where they stand, their name, and what they do.
const PARAMETERS: &[(&str, &str, &str, &str)] = &[
    ("metadata-mode", "query", "mode", "full or normative."),
    ("mode", "query", "mode", "create, update, delete or profile; without one the resource alone is judged."),
    ("profile", "query", "profile", "The canonical URL of a profile that the resource must keep as well."),
    ("_since", "query", "_since", "Only versions of this instant or later."),
    ("_at", "query", "_at", "Only versions that were the current one then."),
    ("If-Match", "header", "If-Match", "The ETag of the version that is changed; another one is 412."),
    ("If-Unmodified-Since", "header", "If-Unmodified-Since", "412 when there is something newer; without If-Match."),
    ("If-None-Match", "header", "If-None-Match", "The ETag of what the client has; the same is 304."),
    ("If-Modified-Since", "header", "If-Modified-Since", "304 when there is nothing newer."),
    ("If-None-Exist", "header", "If-None-Exist", "A search; what answers it is returned instead of a new resource."),
    ("Idempotency-Key", "header", "Idempotency-Key", "Sent again with the same key and body, the request is answered as before."),
    ("Prefer", "header", "Prefer", "return=minimal, representation or OperationOutcome; handling=lenient or strict."),
    ("page", "query", "page", "From 1."),
    ("limit", "query", "limit", "From 1 to 100."),
    ("sort_by", "query", "sort_by", "created_at, first_name, last_name or email."),
    ("sort_order", "query", "sort_order", "desc or asc."),
    ("search", "query", "search", "Part of a name or an email."),
    ("email", "query", "email", "The whole email."),
    ("external_user_id", "query", "external_user_id", "The id of the app's own system."),
];

/// Members of JSON objects: `?` may be left out or null, `#` is a whole number, `*` a list, `!` a boolean, `{}` an object.
const SCHEMAS: &[(&str, &str)] = &[
    ("Resource", "resourceType"),
    ("Object", ""),
    ("Fields", "external_user_id? first_name? last_name? email? patient_id?"),
    ("User", "id patient_id created_at external_user_id? first_name? last_name? email?"),
    ("Users", "items* total# page# limit# pages# has_next! has_prev!"),
    ("AppSecret", "app_id app_secret"),
    ("Code", "code"),
    ("Refresh", "refresh_token"),
    ("Revoke", "refresh_token? token?"),
    ("Tokens", "access_token token_type refresh_token expires_in# user_id?"),
    ("Invitation", "code user_id expires_at"),
    ("Upload", "provider data{} sdkVersion? syncTimestamp?"),
    ("Accepted", "status_code# response user_id upload_id"),
    (
        "Outcome",
        "upload_id run_id provider source? stage status items_total# items_processed# stored# unchanged# corrected# refused* \
         started_at? ended_at?",
    ),
    ("Logs", "events*"),
    ("Refusal", "detail issue* request_id"),
];

pub fn handler(app: &App, request: &mut Request, _: Option<&Caller>) -> Result<Reply> {
    let pairs = request.pairs()?;
    negotiate::json_only(request, &pairs)?;
    negotiate::only_these(request, &pairs, &["_format"])?;
    // As the CapabilityStatement it says nothing of anybody.
    Ok(Reply { audited: true, ..Reply::json(200, &description(&app.public_url)) })
}

fn description(url: &str) -> Value {
    let mut paths = Map::new();
    for route in ROUTES.iter().filter(|route| route.path.starts_with("/fhir") || route.path.starts_with("/api/")) {
        for of in types(route) {
            let path = of.map_or_else(|| route.path.to_owned(), |of| route.path.replace("{type}", of.name()));
            paths.entry(path).or_insert_with(|| json!({}))[route.verb.to_ascii_lowercase()] = operation(route, of);
        }
    }
    let schemas: Map<String, Value> = SCHEMAS.iter().map(|(name, members)| ((*name).to_owned(), schema(members))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Firth",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "FHIR R4 server for wearable data",
            "description": "GET /fhir/metadata says the same of /fhir as a CapabilityStatement, and more.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "smart": {"type": "openIdConnect", "openIdConnectUrl": format!("{url}/.well-known/openid-configuration")},
                "key": {"type": "apiKey", "in": "header", "name": "X-Open-Wearables-API-Key"},
            },
            "parameters": parameters(),
            "schemas": schemas,
            "responses": {
                "OperationOutcome": {"description": "A refusal as OperationOutcome", "content": content(true, "Resource")},
                "Refusal": {"description": "A refusal", "content": content(false, "Refusal")},
            },
        },
    })
}

/// The types for which a route is written out; one without a type when it is not.
fn types(route: &Route) -> Vec<Option<Type>> {
    if route.path != "/fhir/{type}" {
        return vec![None];
    }
    offered(route).map(Some).collect()
}

/// What is written has the types that clients write. `$validate` speaks of writes, and an AuditEvent has no history.
fn offered(route: &Route) -> impl Iterator<Item = Type> {
    let all = !["validate", "history-type"].contains(&route.name) && (route.verb == "GET" || route.path.ends_with("/_search"));
    Type::ALL.iter().copied().filter(move |of| all || of.is_document())
}

fn operation(route: &Route, of: Option<Type>) -> Value {
    let fhir = route.path.starts_with("/fhir");
    let has_body = ["POST", "PUT", "PATCH"].contains(&route.verb);
    let unknown =
        Told(route.name, route.name, "200", "", if fhir { "Resource" } else { "Object" }, if fhir { "Resource" } else { "Object" });
    let Told(_, summary, statuses, asks, body, answer) = TOLD.iter().find(|told| told.0 == route.name).unwrap_or(&unknown);
    let path = of.map_or_else(|| route.path.to_owned(), |of| route.path.replace("{type}", of.name()));
    let words: Vec<&str> = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut made = json!({
        "operationId": format!("{}-{}", route.verb.to_ascii_lowercase(), words.join("-")),
        "summary": of.map_or_else(|| (*summary).to_owned(), |of| format!("{summary}: {}", of.name())),
        "tags": [if fhir { "FHIR" } else { "Users and uploads" }],
        "parameters": path_parameters(route, &path).into_iter().chain(asked(route, of, asks)).collect::<Vec<_>>(),
        "responses": responses(fhir, statuses, answer),
        "security": match route.need {
            Need::Nothing => json!([]),
            Need::Token => json!([{"bearer": []}, {"smart": []}]),
            Need::App | Need::Sdk => json!([{"key": []}, {"bearer": []}]),
        },
    });
    if has_body && !body.is_empty() {
        made["requestBody"] = match *body {
            "Form" => json!({"content": {"application/x-www-form-urlencoded": {
                "schema": {"type": "object", "additionalProperties": {"type": "string"}, "description": "The parameters of the search by GET."}}}}),
            "Optional" => json!({"description": "The resource, or a Parameters with it", "content": content(fhir, "Resource")}),
            "Patch" => json!({"required": true, "content": {
                "application/json-patch+json": {"schema": {"type": "array", "items": {"type": "object"}}},
                "application/fhir+json": {"schema": {"$ref": "#/components/schemas/Resource"}}}}),
            name => json!({"required": true, "content": content(fhir, name)}),
        };
        // What a Binary holds (https://hl7.org/fhir/R4/binary.html#rest).
        if of == Some(Type::Binary) && *body == "Resource" {
            made["requestBody"]["content"]["*/*"] = json!({});
        }
    }
    made
}

fn path_parameters(route: &Route, path: &str) -> Vec<Value> {
    let names = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let schema = |name: &str| match name {
        "type" => json!({"type": "string", "enum": offered(route).map(Type::name).collect::<Vec<_>>()}),
        "id" => json!({"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"}),
        "version" => json!({"type": "integer", "minimum": 1}),
        _ => json!({"type": "string", "format": "uuid"}),
    };
    names.map(|name| json!({"name": name, "in": "path", "required": true, "schema": schema(name)})).collect()
}

/// References to the parameters of the query and the headers. A search, and what is done by a condition, takes those of
/// its type.
fn asked(route: &Route, of: Option<Type>, asks: &str) -> Vec<Value> {
    let by_search = of.filter(|_| route.name != "create");
    let own = by_search.iter().flat_map(|of| of.search().params.iter().map(|param| format!("{}.{}", of.name(), param.name)));
    let shaping = RESULT_PARAMS.iter().filter(|_| of.is_some() && route.name == "search").map(|param| param.name.to_owned());
    // A condition has no parameter that shapes an answer.
    let asks = asks.split_whitespace().filter(|ask| by_search.is_none() || *ask != "_format").map(str::to_owned);
    own.chain(shaping).chain(asks).map(|key| json!({"$ref": format!("#/components/parameters/{key}")})).collect()
}

fn parameters() -> Value {
    let mut all = Map::new();
    for of in Type::ALL.iter().map(|of| of.search()) {
        for param in &of.params {
            // Given more than once, all must hold.
            all.insert(
                format!("{}.{}", of.resource.name(), param.name),
                json!({"name": param.name, "in": "query", "description": documented(param), "style": "form", "explode": true,
                    "schema": {"type": "array", "items": {"type": "string"}}}),
            );
        }
    }
    for param in RESULT_PARAMS {
        let kind = if param.fhir_type == "number" { "integer" } else { "string" };
        all.insert(param.name.to_owned(), json!({"name": param.name, "in": "query", "description": param.doc, "schema": {"type": kind}}));
    }
    for (key, place, name, says) in PARAMETERS {
        all.insert((*key).to_owned(), json!({"name": name, "in": place, "description": says, "schema": {"type": "string"}}));
    }
    Value::Object(all)
}

fn responses(fhir: bool, statuses: &str, answer: &str) -> Value {
    let mut all = Map::new();
    for status in statuses.split(' ') {
        let says = match status {
            "201" => "Created",
            "202" => "Accepted, and durable",
            "204" => "Done; no content",
            "304" => "The client has it",
            _ => "OK",
        };
        let mut one = json!({"description": says});
        if !answer.is_empty() && !["204", "304"].contains(&status) {
            one["content"] = content(fhir, answer);
        }
        all.insert(status.to_owned(), one);
    }
    let refusal = if fhir { "OperationOutcome" } else { "Refusal" };
    all.insert("default".into(), json!({"$ref": format!("#/components/responses/{refusal}")}));
    Value::Object(all)
}

fn content(fhir: bool, name: &str) -> Value {
    let kind = if fhir && name != "Object" { "application/fhir+json" } else { "application/json" };
    json!({kind: {"schema": {"$ref": format!("#/components/schemas/{name}")}}})
}

fn schema(members: &str) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for member in members.split_whitespace() {
        let name = member.trim_end_matches(['?', '#', '*', '!', '{', '}']);
        let kind = match &member[name.len()..] {
            "?" => json!({"type": ["string", "null"]}),
            "#" => json!({"type": "integer"}),
            "*" => json!({"type": "array"}),
            "!" => json!({"type": "boolean"}),
            "{}" => json!({"type": "object"}),
            _ => json!({"type": "string"}),
        };
        properties.insert(name.to_owned(), kind);
        if !member.ends_with('?') {
            required.push(name);
        }
    }
    json!({"type": "object", "properties": properties, "required": required})
}
