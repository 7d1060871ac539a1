//! All mappings of this server: the shipped ones, and those of FIRTH_MAPPINGS_DIR over them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compile::Mapping;
use super::coverage::{Known, Reason, Row};
use super::shipped::SHIPPED;
use crate::error::{Error, Kind, Result};
use crate::fhir::shape::ValueShape;

/// The name of the file that lists a source's types.
const TYPES: &str = "types.yaml";

/// Loaded, linted, indexed. Cheap to ask.
#[derive(Debug, Default)]
pub struct Mappings {
    all: Vec<Arc<Mapping>>,
    known: Vec<(String, Known)>,
    /// provider, list
    index: HashMap<String, HashMap<String, ByType>>,
}

#[derive(Debug, Default)]
struct ByType {
    types: HashMap<String, Arc<Mapping>>,
    every: Option<Arc<Mapping>>,
}

impl Mappings {
    /// The files that are compiled into the binary.
    pub fn shipped() -> Result<Mappings> {
        let mut mappings = Mappings::default();
        for (file, text) in SHIPPED {
            mappings.add(file, text)?;
        }
        mappings.index()
    }

    /// The shipped files, and every `*.yaml` of `dir` and its direct folders in order of name. A file with the
    /// id of a shipped one replaces it; it may not change the metric keys. `Kind::MappingInvalid` names
    /// file, line, rule and remedy; `Kind::Setting` when the directory cannot be read.
    pub fn with_dir(dir: &Path) -> Result<Mappings> {
        let mut mappings = Mappings::default();
        for (file, text) in SHIPPED {
            mappings.add(file, text)?;
        }
        for path in files(dir, 1)? {
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            mappings.add(&path.to_string_lossy(), &text)?;
        }
        mappings.index()
    }

    /// The mapping for a record, None when there is none. `kind` is the record's type.
    pub fn find(&self, provider: &str, list: &str, kind: &str) -> Option<&Arc<Mapping>> {
        let by_type = self.index.get(provider)?.get(list)?;
        by_type.types.get(kind).or(by_type.every.as_ref())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Mapping>> {
        self.all.iter()
    }

    /// Every known source type: mapped, or the reason why not. Mapped types that no list knows come last.
    pub fn coverage(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (_, known) in &self.known {
            for provider in &known.providers {
                for (list, kinds) in &known.lists {
                    for (kind, reason) in kinds {
                        let mapping = self.find(provider, list, kind).map(|mapping| mapping.id.clone());
                        let reason = if mapping.is_some() { Reason::Mapped } else { *reason };
                        rows.push(Row { provider: provider.clone(), list: list.clone(), kind: kind.clone(), mapping, reason });
                    }
                }
            }
        }
        for mapping in &self.all {
            for (provider, kind) in mapping.providers.iter().flat_map(|provider| mapping.types.iter().map(move |kind| (provider, kind))) {
                if !rows.iter().any(|row| row.provider == *provider && row.list == mapping.list && row.kind == *kind) {
                    let mapping_id = Some(mapping.id.clone());
                    rows.push(Row {
                        provider: provider.clone(),
                        list: mapping.list.clone(),
                        kind: kind.clone(),
                        mapping: mapping_id,
                        reason: Reason::Mapped,
                    });
                }
            }
        }
        rows
    }

    fn add(&mut self, file: &str, text: &str) -> Result<()> {
        if file.rsplit(['/', '\\']).next() == Some(TYPES) {
            self.known.push((file.to_owned(), Known::parse(file, text)?));
            return Ok(());
        }
        let mapping = Arc::new(Mapping::parse(file, text)?);
        match self.all.iter_mut().find(|one| one.id == mapping.id) {
            None => self.all.push(mapping),
            Some(old) if SHIPPED.iter().any(|(shipped, _)| *shipped == old.file) => {
                if !old.metrics().eq(mapping.metrics()) {
                    let what =
                        format!("{} has other metric keys than {}, and with them stored samples would be doubled", mapping.id, old.file);
                    return Err(rule(file, "metric", &what, "keep the metric keys, or take another id and other types"));
                }
                *old = mapping;
            }
            Some(old) => return Err(rule(file, "id", &format!("{} is also the id of {}", mapping.id, old.file), "take another id")),
        }
        Ok(())
    }

    /// Checks what one file alone cannot show, and builds the index.
    fn index(mut self) -> Result<Mappings> {
        let mut units: HashMap<&str, (Vec<&str>, &str)> = HashMap::new();
        for mapping in &self.all {
            for (shape, metric) in mapping.with_metrics() {
                let here = codes_of(shape);
                let (there, file) = units.entry(metric).or_insert((here.clone(), &mapping.file));
                if *there != here {
                    let what = format!("the metric {metric} has other units in {file}");
                    return Err(rule(&mapping.file, "metric", &what, "use the same unit, or another metric key"));
                }
            }
        }
        for mapping in &self.all {
            for provider in &mapping.providers {
                let by_type = self.index.entry(provider.clone()).or_default().entry(mapping.list.clone()).or_default();
                let mut taken = if mapping.types.is_empty() { by_type.every.replace(Arc::clone(mapping)) } else { None };
                for kind in &mapping.types {
                    taken = by_type.types.insert(kind.clone(), Arc::clone(mapping)).or(taken);
                }
                if let Some(other) = taken {
                    let what = format!("{} already maps a type of {provider} {}", other.file, mapping.list);
                    return Err(rule(&mapping.file, "types", &what, &format!("use the id {} to replace it", other.id)));
                }
            }
        }
        self.check_known()?;
        Ok(self)
    }

    /// `mapped` in a types file must be true.
    fn check_known(&self) -> Result<()> {
        for (file, known) in &self.known {
            let all = known.lists.iter().flat_map(|(list, kinds)| kinds.iter().map(move |(kind, reason)| (list, kind, reason)));
            for ((list, kind, reason), provider) in all.flat_map(|row| known.providers.iter().map(move |provider| (row, provider))) {
                if *reason == Reason::Mapped && self.find(provider, list, kind).is_none() {
                    return Err(rule(
                        file,
                        "coverage",
                        &format!("{kind} of {provider} {list} is said to be mapped and is not"),
                        "give the reason",
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The unit codes of a shape, empty for a coded value.
fn codes_of(shape: &crate::fhir::shape::Shape) -> Vec<&str> {
    match &shape.value {
        ValueShape::Quantity(unit) => vec![&unit.code],
        ValueShape::Coded(_) => Vec::new(),
        ValueShape::Components(all) => all.iter().map(|one| one.unit.code.as_str()).collect(),
    }
}

fn rule(file: &str, rule: &str, what: &str, remedy: &str) -> Error {
    Error::new(Kind::MappingInvalid, format!("{file}:1: {rule}: {what}; {remedy}")).at(format!("{file}:1"))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Kind::Setting, format!("FIRTH_MAPPINGS_DIR: {} cannot be read: {error}", path.display()))
}

fn files(dir: &Path, folders: usize) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| unreadable(dir, &error))? {
        let path = entry.map_err(|error| unreadable(dir, &error))?.path();
        if path.is_dir() && folders > 0 {
            found.extend(files(&path, folders - 1)?);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_folder() {
        let root = Path::new(file!()).parent().and_then(|here| here.parent()).and_then(|src| src.parent()).unwrap();
        let mut found: Vec<String> = files(&root.join("mappings"), 1)
            .unwrap()
            .iter()
            .map(|path| path.strip_prefix(root).unwrap().to_string_lossy().into_owned())
            .collect();
        found.sort();
        assert_eq!(found, SHIPPED.iter().map(|(file, _)| (*file).to_owned()).collect::<Vec<_>>());
        for (file, text) in SHIPPED {
            assert_eq!(std::fs::read_to_string(root.join(file)).unwrap(), *text, "{file}");
        }
    }

    #[test]
    fn every_known_type_is_mapped_or_has_a_reason() {
        let mappings = Mappings::shipped().unwrap();
        let rows = mappings.coverage();
        assert!(rows.iter().all(|row| (row.reason == Reason::Mapped) == row.mapping.is_some()), "{rows:?}");
        let mapped =
            |provider: &str| rows.iter().filter(|row| row.provider == provider && row.list == "records" && row.mapping.is_some()).count();
        assert_eq!((mapped("apple"), mapped("google"), mapped("samsung")), (9, 9, 9));
        for mapping in mappings.iter() {
            for kind in &mapping.types {
                let known =
                    |provider: &String| rows.iter().any(|row| row.provider == *provider && row.list == mapping.list && row.kind == *kind);
                assert!(mapping.providers.iter().all(known), "{kind} is in no types.yaml");
            }
        }
    }

    #[test]
    fn a_folder_adds_and_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let heart = std::str::from_utf8(include_bytes!("../../mappings/apple/heart-rate.yaml")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let says = || Mappings::with_dir(dir.path()).err().map(|error| error.says().to_owned()).unwrap_or_default();

        let tarn = heart
            .replace("apple.heart-rate", "tarn.drift")
            .replace("HKQuantityTypeIdentifierHeartRate", "TarnDrift")
            .replace("metric: heart-rate", "metric: tarn-drift");
        write("tarn.yaml", &tarn);
        let mappings = Mappings::with_dir(dir.path()).unwrap();
        assert_eq!(mappings.find("apple", "records", "TarnDrift").map(|one| one.id.as_str()), Some("tarn.drift"));
        assert!(mappings.find("google", "records", "TarnDrift").is_none());
        assert!(mappings.coverage().iter().any(|row| row.kind == "TarnDrift" && row.mapping.is_some()));

        write("heart.yaml", &heart.replace("1.0.0", "1.1.0"));
        let mappings = Mappings::with_dir(dir.path()).unwrap();
        assert_eq!(mappings.find("apple", "records", "HKQuantityTypeIdentifierHeartRate").map(|one| one.version.as_str()), Some("1.1.0"));

        write("heart.yaml", &heart.replace("metric: heart-rate", "metric: pulse"));
        assert!(says().contains(": metric: "), "{}", says());
        write("heart.yaml", &heart.replace("apple.heart-rate", "my.heart-rate"));
        assert!(says().contains(": types: "), "{}", says());
        write("heart.yaml", &tarn);
        assert!(says().contains(": id: "), "{}", says());
        write(
            "heart.yaml",
            &tarn
                .replace("tarn.drift", "tarn.two")
                .replace("TarnDrift", "TarnTwo")
                .replace("/min", "/h")
                .replace("loinc: 8867-4", "phr: heartRate")
                .replace("[http://hl7.org/fhir/StructureDefinition/heartrate]", "[]"),
        );
        assert!(says().contains(": metric: "), "{}", says());
        assert_eq!(Mappings::with_dir(Path::new("/nonexistent/firth")).err().map(|error| error.kind), Some(Kind::Setting));
    }

    #[test]
    fn the_metric_keys_are_for_ever() {
        let mappings = Mappings::shipped().unwrap();
        let mut keys: Vec<(&str, &str)> = mappings.iter().flat_map(|one| one.metrics().map(|metric| (one.id.as_str(), metric))).collect();
        keys.sort_unstable();
        // Add to this list; a changed line would double every stored sample of that metric.
        assert_eq!(
            keys,
            [
                ("apple.blood-pressure", "blood-pressure"),
                ("apple.body-weight", "body-weight"),
                ("apple.heart-rate", "heart-rate"),
                ("apple.hrv-sdnn", "hrv-sdnn"),
                ("apple.oxygen-saturation", "oxygen-saturation"),
                ("apple.respiratory-rate", "respiratory-rate"),
                ("apple.resting-heart-rate", "resting-heart-rate"),
                ("apple.sleep-stage", "sleep-stage"),
                ("apple.steps", "steps"),
                ("health-connect.blood-pressure", "blood-pressure"),
                ("health-connect.body-weight", "body-weight"),
                ("health-connect.heart-rate", "heart-rate"),
                ("health-connect.hrv-rmssd", "hrv-rmssd"),
                ("health-connect.oxygen-saturation", "oxygen-saturation"),
                ("health-connect.respiratory-rate", "respiratory-rate"),
                ("health-connect.resting-heart-rate", "resting-heart-rate"),
                ("health-connect.sleep-stage", "sleep-stage"),
                ("health-connect.steps", "steps"),
            ]
        );
    }
}
