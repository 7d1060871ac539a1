//! DOOR actix_web. Extract, call, respond: no SQL, no decision beyond HTTP.
//!
//! `ROUTES` is all there is. Every request goes through `gate`, which authenticates, runs the
//! route's handler on a blocking thread, and writes the audit entry before the first byte leaves.

mod apps;
mod authorize;
mod base;
mod cors;
mod error;
mod fhir;
mod gate;
mod limits;
mod negotiate;
mod oauth;
mod operations;
mod pages;
mod pieces;
mod presented;
mod proxy;
mod readers;
mod request;
mod server;
mod start;
mod tls;
mod unrouted;
mod v1;

pub use apps::is_built as app_is_built;
pub use base::{Base, listen_base};
pub use fhir::cursor::CursorSeal;
pub use request::{Reply, Request};
pub use server::{Listening, Security, bind, block_on, listen, until_told};
pub use tls::tls;

use crate::access::Caller;
use crate::app::App;
use crate::audit::Action;
use crate::error::Result;

/// What a caller must have before the handler runs. Scopes are checked by the handlers of `/fhir`,
/// which know the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// A bearer token of any role that has scopes under `/fhir`.
    Token,
    /// An app's API key.
    App,
    /// An app's API key, or the SDK token of the user in the path.
    Sdk,
}

pub type Handler = fn(&App, &mut Request, Option<&Caller>) -> Result<Reply>;

/// One route: the FHIR word is its name, in the log, the metrics and the audit entry.
pub struct Route {
    pub verb: &'static str,
    pub path: &'static str,
    pub name: &'static str,
    pub need: Need,
    pub action: Action,
    pub to: Handler,
}

macro_rules! routes {
    ($($verb:ident $path:literal $name:literal $need:ident $action:ident $to:path;)*) => {
        pub const ROUTES: &[Route] = &[$(Route { verb: stringify!($verb), path: $path, name: $name, need: Need::$need, action: Action::$action, to: $to }),*];
    };
}

routes! {
    GET    "/"                                           "start"           Nothing Activity      start::handler;
    GET    "/docs/{page}"                                "docs"            Nothing Activity      start::docs;
    GET    "/healthz"                                    "healthz"         Nothing Activity      operations::healthz;
    GET    "/readyz"                                     "readyz"          Nothing Activity      operations::readyz;
    GET    "/metrics"                                    "metrics"         Nothing Activity      operations::metrics;
    GET    "/.well-known/oauth-authorization-server"     "oauth-metadata"  Nothing Read          oauth::discovery::metadata;
    GET    "/.well-known/oauth-authorization-server/{issuer:.+}" "oauth-metadata" Nothing Read    oauth::discovery::metadata;
    GET    "/.well-known/openid-configuration"           "oauth-metadata"  Nothing Read          oauth::discovery::metadata;
    GET    "/.well-known/openid-configuration/{issuer:.+}" "oauth-metadata" Nothing Read          oauth::discovery::metadata;
    GET    "/.well-known/oauth-protected-resource"       "resource-metadata" Nothing Read        oauth::discovery::resource;
    GET    "/.well-known/oauth-protected-resource/{resource:.+}" "resource-metadata" Nothing Read oauth::discovery::resource;
    POST   "/oauth/token"                                "token"           Nothing Credential    oauth::token::handler;
    POST   "/oauth/introspect"                           "introspect"      Nothing Credential    oauth::introspect::handler;
    POST   "/oauth/revoke"                               "revoke"          Nothing Credential    oauth::revoke::handler;
    POST   "/oauth/register"                             "register"        Nothing Credential    oauth::register::handler;
    POST   "/oauth/launch"                               "launch"          Token   Credential    oauth::launch::handler;
    GET    "/oauth/jwks"                                 "jwks"            Nothing Read          oauth::discovery::jwks;
    GET    "/oauth/brands"                               "brands"          Nothing Read          oauth::brands::handler;
    GET    "/fhir/.well-known/smart-configuration"       "smart-configuration" Nothing Read      oauth::discovery::smart;
    GET    "/oauth/authorize"                            "authorize"       Nothing Activity      authorize::by_get;
    POST   "/oauth/authorize"                            "authorize"       Nothing Activity      authorize::by_post;
    POST   "/oauth/patient"                              "patient-picker"  Nothing Search        pages::patient;
    POST   "/oauth/consent"                              "consent"         Nothing Credential    pages::consent;
    GET    "/sign-in"                                    "sign-in-page"    Nothing Activity      pages::open;
    POST   "/sign-in"                                    "sign-in"         Nothing SignIn        pages::sign_in;
    POST   "/sign-in/code"                               "sign-in"         Nothing SignIn        pages::code;
    POST   "/sign-in/password"                           "new-password"    Nothing SignIn        pages::first_password;
    GET    "/sign-in/upstream"                           "sign-in-upstream" Nothing Activity     pages::upstream;
    POST   "/sign-out"                                   "sign-out"        Nothing SignOut       pages::sign_out;
    GET    "/account"                                    "account"         Nothing Activity      pages::account;
    GET    "/account/password"                           "account"         Nothing Activity      pages::new_password;
    POST   "/account/revoke"                             "grant-revoke"    Nothing Credential    pages::revoke;
    GET    "/pages/firth.css"                            "style"           Nothing Activity      pages::style;
    GET    "/apps/{app}"                                 "app"             Nothing Activity      apps::folder;
    GET    "/apps/{app}/"                                "app"             Nothing Activity      apps::file;
    GET    "/apps/{app}/{file}"                          "app"             Nothing Activity      apps::file;
    GET    "/fhir/metadata"                              "capabilities"    Nothing Read          fhir::metadata::handler;
    GET    "/fhir/openapi.json"                          "openapi"         Nothing Read          fhir::openapi::handler;
    GET    "/fhir/_history"                              "history-system"  Token   HistorySystem fhir::changes::of_system;
    GET    "/fhir/{type}"                                "search"          Token   Search        fhir::search::handler;
    GET    "/fhir/{type}/_history"                       "history-type"    Token   HistoryType   fhir::changes::of_type;
    POST   "/fhir/{type}/_search"                        "search"          Token   Search        fhir::search::handler;
    POST   "/fhir"                                       "transaction"     Token   Transaction   fhir::transaction::handler;
    POST   "/fhir/{type}"                                "create"          Token   Create        fhir::create::handler;
    PUT    "/fhir/{type}"                                "update"          Token   Update        fhir::update::by_criteria;
    PATCH  "/fhir/{type}"                                "patch"           Token   Patch         fhir::patch::by_criteria;
    DELETE "/fhir/{type}"                                "delete"          Token   Delete        fhir::delete::by_criteria;
    POST   "/fhir/{type}/$validate"                      "validate"        Token   Operation     fhir::validate::handler;
    POST   "/fhir/{type}/{id}/$validate"                 "validate"        Token   Operation     fhir::validate::handler;
    GET    "/fhir/{type}/{id}/$validate"                 "validate"        Token   Operation     fhir::validate::handler;
    POST   "/fhir/Patient/$merge"                        "merge"           Token   Operation     fhir::merge::handler;
    POST   "/fhir/Patient/{id}/$break-glass"             "break-glass"     Token   EmergencyStart fhir::break_glass::handler;
    POST   "/fhir/Patient/{id}/$unmerge"                 "unmerge"         Token   Operation     fhir::merge::unmerge;
    PUT    "/fhir/{type}/{id}"                           "update"          Token   Update        fhir::update::handler;
    PATCH  "/fhir/{type}/{id}"                           "patch"           Token   Patch         fhir::patch::handler;
    DELETE "/fhir/{type}/{id}"                           "delete"          Token   Delete        fhir::delete::handler;
    GET    "/fhir/{type}/{id}"                           "read"            Token   Read          fhir::read::handler;
    GET    "/fhir/{type}/{id}/_history"                  "history"         Token   History       fhir::history::handler;
    GET    "/fhir/{type}/{id}/_history/{version}"        "vread"           Token   Vread         fhir::read::handler;
    POST   "/api/v1/users"                               "user-create"     App     Create        v1::users::create;
    GET    "/api/v1/users"                               "user-list"       App     Search        v1::users::list;
    GET    "/api/v1/users/{user}"                        "user-read"       App     Read          v1::users::read;
    PATCH  "/api/v1/users/{user}"                        "user-update"     App     Update        v1::users::patch;
    DELETE "/api/v1/users/{user}"                        "user-delete"     App     Delete        v1::users::delete;
    POST   "/api/v1/users/{user}/token"                  "token-issue"     Nothing Credential    v1::tokens::issue;
    POST   "/api/v1/users/{user}/invitation-code"        "invitation"      App     Credential    v1::tokens::invite;
    POST   "/api/v1/invitation-code/redeem"              "redeem"          Nothing Credential    v1::tokens::redeem;
    POST   "/api/v1/token/refresh"                       "token-refresh"   Nothing Credential    v1::tokens::refresh;
    POST   "/api/v1/token/revoke"                        "token-revoke"    Nothing Credential    v1::tokens::revoke;
    POST   "/api/v1/sdk/users/{user}/sync"               "sync"            Sdk     Upload        v1::sync::handler;
    GET    "/api/v1/sdk/users/{user}/uploads/{upload}"   "upload-read"     Sdk     Read          v1::sync::read;
    POST   "/api/v1/sdk/users/{user}/logs"               "sdk-logs"        Sdk     Upload        v1::logs::handler;
}

/// The CapabilityStatement as it would be served under this base, without a date that changes.
pub fn capability(base: &str) -> Result<String> {
    fhir::metadata::statement(base, 0, true)
}
