//! R4 search (https://hl7.org/fhir/R4/search.html) without a database: a query string becomes a
//! `Query`, a resource becomes index rows, and both speak of the same values.
//!
//! `params` is the table of what is offered; `parse` reads a query with it and refuses the rest;
//! there is one file per parameter type. Pure: the time and the server's base URL are arguments.

pub mod answers;
pub mod birth;
pub mod cursor;
pub mod date;
mod escape;
pub mod index;
pub mod params;
pub mod parse;
pub mod query;
pub mod reference;
mod result;
pub mod string;
mod table;
pub mod token;
#[cfg(test)]
mod vectors;

pub use answers::Opened;
pub use cursor::Cursor;
pub use date::{Bounds, DateRange, Nanos, Prefix, When};
pub use index::{CODED, INDEX_VERSION, IndexRow, SPECIAL, codings, index, present};
pub use params::{How, Include, Param, Path, Type};
pub use parse::{Handling, Terms, parse};
pub use query::{Criterion, Filter, Query, Sort, SortKey, Total, canonical, criteria, self_link_params};
pub use reference::Reference;
pub use result::count;
pub use string::{Text, normal};
pub use token::{System, Token, folded};
