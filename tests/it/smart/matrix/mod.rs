//! What somebody tries who may see one patient only. Each attempt is made in every way there is to ask.

mod emergency;
mod expiry;
mod grants;
mod hidden;
mod rows;
mod tokens;
mod unserved;
mod withdrawal;
mod world;
mod writes;
