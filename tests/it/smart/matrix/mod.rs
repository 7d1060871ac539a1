//! What somebody tries who may see one patient only. Each attempt is made in every way there is to ask.

mod grants;
mod hidden;
mod rows;
mod unserved;
mod world;
mod writes;
