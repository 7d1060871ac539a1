//! `firth serve --demo`: a throw-away store, three people with a day of data each, tokens for everybody.
//!
//! The data comes in through the door: the demo is an HTTP client of its own listener. Only apps and
//! tokens are made from inside, as `firth app create` and `firth token issue` make them.

mod client;
mod folder;
mod load;
mod page;
mod payload;
mod people;
mod smart;

pub use folder::prepare;
pub use load::start;
