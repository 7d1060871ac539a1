//! The authorization server (docs/oauth.md): OAuth 2.0 and OpenID Connect as SMART App Launch 2.2 profiles them.

pub mod brands;
pub mod discovery;
mod form;
pub mod introspect;
mod key_sets;
pub mod launch;
mod proof;
pub mod register;
pub mod revoke;
mod service;
pub mod token;

pub use discovery::resource_metadata;
