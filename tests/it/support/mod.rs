//! Servers, databases and actors for the tests.

pub mod actors;
pub mod browser;
pub mod http;
pub mod oauth;
pub mod payload;
pub mod postgres;
pub mod received;
pub mod server;
#[macro_use]
pub mod within;

pub use actors::{Bundle, Person};
pub use http::{Client, Reply};
pub use server::{Backend, TestServer};

/// Makes a test of each backend: `both! { fn name(server) { ... } }`, or with settings
/// `both! { fn name(server, "FIRTH_MAX_UPLOAD_BYTES" = "4096") { ... } }`.
macro_rules! both {
    ($(#[$meta:meta])* fn $name:ident($server:ident $(, $setting:literal = $value:expr)*) $body:block) => {
        each_backend! {
            $(#[$meta])* fn $name($server: |backend| $crate::support::TestServer::start(backend, &[$(($setting, $value)),*])) $body
        }
    };
}

/// The same on whatever server the closure starts.
macro_rules! each_backend {
    ($(#[$meta:meta])* fn $name:ident($server:ident: $start:expr) $body:block) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn run(backend: $crate::support::Backend) {
                let Some(server) = ($start)(backend) else { return };
                let $server = &server;
                $body
            }

            #[test]
            fn sqlite() {
                run($crate::support::Backend::Sqlite);
            }

            #[test]
            fn postgres() {
                run($crate::support::Backend::Postgres);
            }
        }
    };
}
