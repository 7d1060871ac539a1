//! A naive model drives the server with what chance gives and agrees with every answer.
//!
//! `FIRTH_MODEL_SEED` repeats a run; `FIRTH_LONG=1` makes it ten times as long.

#![expect(clippy::result_large_err, reason = "a model is plain, not fast")]

mod ask;
mod bodies;
mod bundles;
mod dates;
pub mod dice;
mod draw;
mod find;
mod got;
mod params;
mod patch;
mod run;
mod transact;
mod world;

use std::env;

use run::Run;

/// Interactions of one run.
const STEPS: usize = 2_500;

/// What each run must have met, whatever the seed.
const MET: &[&str] = &[
    "create 201",
    "create 400 request.invalid",
    "create 422 reference.not-found",
    "create if none 201 none",
    "create if none 200 one",
    "create if none 412 resource.many-match many",
    "create if none 412 request.no-criteria",
    "update 200",
    "update 200 unchanged",
    "update 201",
    "update 400 request.invalid",
    "update 422 reference.not-found",
    "update 422 request.unprocessable",
    "update if match 200",
    "update if match 412 resource.precondition",
    "update where 200 one",
    "update where 201 none",
    "update where 201 none, with id",
    "update where 412 resource.many-match many",
    "delete 204",
    "delete 204 again",
    "delete 204 never was",
    "delete 409 resource.referenced",
    "delete if match 204",
    "delete if match 412 resource.precondition",
    "delete where 204 none",
    "delete where 204 one",
    "delete where 412 resource.many-match many",
    "delete where 412 request.no-criteria",
    "read 200",
    "read 304",
    "read 404 resource.not-found",
    "read 410 resource.deleted",
    "vread 200",
    "vread 404 resource.not-found",
    "vread 410 resource.deleted",
    "history 200",
    "history 404 resource.not-found",
    "history of a type 200",
    "history of all 200",
    "json patch 200",
    "json patch 400 request.invalid",
    "json patch 404 resource.not-found",
    "fhirpath patch 200",
    "fhirpath patch 400 request.invalid",
    "json patch 200 unchanged",
    "patch where 200 one",
    "patch where 404 resource.not-found none",
    "patch where 412 resource.many-match many",
    "transaction 200",
    "transaction 400 request.invalid rolled back",
    "transaction 404 resource.not-found rolled back by the last entry",
    "transaction 409 resource.referenced rolled back by the last entry",
    "transaction 412 resource.many-match rolled back",
    "transaction 412 resource.precondition rolled back by the last entry",
    "transaction 422 reference.not-found rolled back by the last entry",
    "batch 200",
    "search 200 none",
    "search 200 some",
    "search by form 200 none",
    "search by form 200 some",
];

fn seed() -> u64 {
    let said = env::var("FIRTH_MODEL_SEED").ok().map(|text| text.parse().expect("FIRTH_MODEL_SEED is a whole number"));
    said.unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as u64)
}

both! {
    fn the_server_agrees_with_a_naive_model(server) {
        let steps = if env::var_os("FIRTH_LONG").is_some() { 10 * STEPS } else { STEPS };
        let mut run = Run::new(server, seed());
        for _ in 0..steps {
            run.step();
        }
        run.ends(MET);
    }
}
