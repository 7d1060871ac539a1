//! Verbs that act on a store: through the running server's control socket, or alone under its lock.

use serde_json::{Value, json};

use super::{Ingest, MappingVerb, Where, settings};
use crate::app::{self, App};
use crate::clock::Clock;
use crate::control;
use crate::error::{Error, Kind, Result};
use crate::ingest;
use crate::mapping::Mappings;
use crate::store;
use crate::vault::Sealing;

/// Prints what the store answers.
pub fn tell(place: &Where, order: &Value) -> Result<()> {
    let config = settings::read(place)?;
    let mut order = order.clone();
    order["operator"] = json!(settings::operator());
    let answer = match control::ask(&config.data_dir, &order)? {
        Some(answer) => answer,
        None => {
            let _lock = app::lock(&config.data_dir)?;
            let app = App::build(config, Clock::system(), Sealing::Aes256Gcm)?;
            let answer = control::carry_out(&app, &order);
            app.db.settle();
            answer?
        }
    };
    print!("{answer}");
    Ok(())
}

pub fn ingest(place: &Where, options: &Ingest) -> Result<()> {
    if options.replay {
        return tell(place, &json!({"verb": "ingest replay"}));
    }
    let (Some(file), Some(provider), Some(patient)) = (&options.file, &options.provider, &options.patient) else {
        return Err(Error::new(Kind::Usage, "ingest takes FILE --provider P --patient ID, or --replay"));
    };
    let file = std::fs::canonicalize(file).map_err(|e| Error::new(Kind::Usage, format!("{} cannot be read: {e}", file.display())))?;
    tell(place, &json!({"verb": "ingest", "file": file.to_string_lossy(), "provider": provider, "patient": patient}))
}

pub fn migrate(place: &Where, dry_run: bool) -> Result<()> {
    let config = settings::read(place)?;
    let store::Place::Postgres(url) = app::place(&config) else {
        println!("SQLite migrates itself when it is opened");
        return Ok(());
    };
    let names = store::migrate_postgres(&url, dry_run)?;
    let word = if dry_run { "would apply" } else { "applied" };
    if names.is_empty() {
        println!("the schema is up to date");
    }
    for name in names {
        println!("{word} {name}");
    }
    Ok(())
}

pub fn mapping(place: &Where, what: &MappingVerb) -> Result<()> {
    let config = settings::read(place)?;
    let load = |dir: Option<&std::path::Path>| dir.map_or_else(Mappings::shipped, Mappings::with_dir);
    match what {
        MappingVerb::Check { dir } => {
            let mappings = load(dir.as_deref().or(config.mappings_dir.as_deref()))?;
            println!("{} mappings are right", mappings.iter().count());
        }
        MappingVerb::Coverage => {
            for row in load(config.mappings_dir.as_deref())?.coverage() {
                println!("{}\t{}\t{}\t{}", row.provider, row.list, row.kind, row.mapping.unwrap_or_else(|| row.reason.says().to_owned()));
            }
        }
        MappingVerb::Run { file } => show(&load(config.mappings_dir.as_deref())?, file)?,
    }
    Ok(())
}

/// One line a record: what it becomes, or why it is refused.
fn show(mappings: &Mappings, file: &std::path::Path) -> Result<()> {
    let open = || {
        std::fs::File::open(file)
            .map(std::io::BufReader::new)
            .map_err(|e| Error::new(Kind::Usage, format!("{} cannot be read: {e}", file.display())))
    };
    let envelope = ingest::check(open()?)?;
    ingest::read(open()?, envelope.provider, mappings, &mut |judged| {
        let line = match &judged.outcome {
            Ok(made) => json!({"list": judged.list, "index": judged.index, "type": judged.kind, "observations": made.iter().map(|m| json!({
                "metric": m.metric(), "mapping": m.shape().source, "start": m.start.to_string(), "end": m.end.map(|end| end.to_string()),
                "code": m.shape().codes.first().map(|code| &code.code), "value": m.slots.iter().map(|slot| slot.as_ref().map(ToString::to_string)).collect::<Vec<_>>(),
            })).collect::<Vec<_>>()}),
            Err(refusal) => {
                json!({"list": judged.list, "index": judged.index, "type": judged.kind, "refused": refusal.kind.wire().code, "reason": refusal.reason, "at": refusal.at})
            }
        };
        println!("{line}");
        Ok(())
    })
}
