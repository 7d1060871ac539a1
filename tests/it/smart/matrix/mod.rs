//! What somebody tries who may see one patient only. Each attempt is made in every way there is to ask.

mod changes;
mod constraints;
mod emergency;
mod expiry;
mod grants;
mod hidden;
mod references;
mod rows;
mod tokens;
mod unserved;
mod withdrawal;
mod world;
mod writes;
