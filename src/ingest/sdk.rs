//! The SDK upload body (`POST /api/v1/sdk/users/{id}/sync`), judged record by record.

use std::io::Read;

use super::envelope::Provider;
use super::frame::{self, Sources};
use super::walk::{Element, Met, walk};
use crate::error::{Error, Kind, Result};
use crate::mapping::tree::{Fault, Node, Token, Tree};
use crate::mapping::{Mappings, Measured, Refusal};

/// How much of a record's type a report repeats.
const KIND_MAX: usize = 128;

/// One source record and what became of it.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The member of `data` it stands in, and its place there.
    pub list: &'a str,
    pub index: usize,
    /// Its type (or stage), cut to 128 bytes; empty when it has none.
    pub kind: &'a str,
    pub outcome: Result<Vec<Measured>, Refusal>,
}

/// Reads the body to its end and hands every record to `sink` in the order of the body. An error is one of the
/// whole body (the same as `check` finds), or one of the sink; a bad record is a `Refusal` of its own.
/// Holds one element at a time; one of more than 4 MiB or half a million values is refused as `FieldTooLong`.
pub fn read(mut body: impl Read, provider: Provider, mappings: &Mappings, sink: &mut dyn FnMut(Judged<'_>) -> Result<()>) -> Result<()> {
    let mut reader = Reader { provider, mappings, nodes: Vec::new(), sources: Sources::default() };
    walk(&mut body, true, &mut |met| match met {
        Met::Member { .. } => Ok(()),
        Met::Element(element) => reader.element(element, sink),
    })?;
    Ok(())
}

struct Reader<'m> {
    provider: Provider,
    mappings: &'m Mappings,
    /// Scratch space of `Tree::parse`.
    nodes: Vec<Node>,
    sources: Sources,
}

impl Reader<'_> {
    fn element(&mut self, element: Element<'_>, sink: &mut dyn FnMut(Judged<'_>) -> Result<()>) -> Result<()> {
        let Element { list, index, loose, text } = element;
        let refused = |kind: Kind, reason: &str| Judged { list, index, kind: "", outcome: Err(Refusal::new(kind, reason)) };
        let cut = |kind: &str| kind.floor_char_boundary(KIND_MAX);
        let Some(text) = text else { return sink(refused(Kind::FieldTooLong, "one record has at most 4 MiB")) };
        if loose {
            return sink(refused(Kind::JsonShape, "a list is an array"));
        }
        let tree = match Tree::parse(text, &mut self.nodes, self.sources.known()) {
            Ok(tree) => tree,
            Err(Fault::Refused(kind)) => {
                let of = frame::refused_kind(text);
                return sink(Judged { kind: &of[..cut(&of)], ..refused(kind, kind.wire().remedy) });
            }
            Err(Fault::Syntax(at)) => return Err(Error::bug(format!("a checked element is not JSON at byte {at}"))),
        };
        if tree.node(0).token != Token::Object {
            return sink(refused(Kind::JsonShape, "a record is an object"));
        }
        let kind = frame::kind(&tree);
        let outcome = match self.mappings.find(self.provider.name(), list, &kind) {
            None => Err(Refusal::new(Kind::TypeUnmapped, "no mapping reads this type")),
            Some(mapping) => frame::record(tree, &kind, self.provider, &mut self.sources).and_then(|record| mapping.apply(&record)),
        };
        let outcome = outcome.map_err(frame::located);
        sink(Judged { list, index, kind: &kind[..cut(&kind)], outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::check;
    use proptest::prelude::*;

    /// Gives at most `step` bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let step = self.1.min(self.0.len()).min(into.len());
            into[..step].copy_from_slice(&self.0[..step]);
            self.0 = &self.0[step..];
            Ok(step)
        }
    }

    /// Everything that comes out, as text.
    fn judged(body: impl Read, mappings: &Mappings) -> String {
        let mut lines = Vec::new();
        let end = read(body, Provider::Apple, mappings, &mut |judged| {
            let outcome = judged.outcome.map(|all| {
                all.iter()
                    .map(|one| format!("{} {:?} {} {:?} {:?}", one.metric(), one.record, one.start, one.slots, one.source))
                    .collect::<Vec<_>>()
            });
            lines.push(format!("{} {} {} {outcome:?}", judged.list, judged.index, judged.kind));
            Ok(())
        });
        format!("{lines:#?} {:?}", end.map_err(|error| error.kind))
    }

    fn bodies() -> Vec<String> {
        crate::ingest::goldens::cases().iter().map(|case| std::fs::read_to_string(case.join("in.json")).unwrap()).collect()
    }

    #[test]
    fn how_the_bytes_arrive_does_not_matter() {
        let mappings = Mappings::shipped().unwrap();
        for body in bodies() {
            let body = body.replace("com.", "cöm.").into_bytes();
            let whole = judged(&body[..], &mappings);
            for step in [1, 2, 3, 5, 7, 64, 1000] {
                assert_eq!(judged(Slow(&body, step), &mappings), whole);
                assert!(check(Slow(&body, step)).is_ok());
            }
        }
    }

    #[test]
    fn elements_cross_the_buffer_and_huge_ones_are_refused_alone() {
        let of = |n: usize| format!(r#"{{"type":"t-{n}","pad":"{}"}}"#, "ä".repeat(n * 1000));
        let elements: Vec<String> = (0..120).map(of).chain([of(3000), of(1)]).collect();
        let body = format!(r#"{{"provider":"apple","data":{{"records":[{}]}}}}"#, elements.join(" , "));
        assert_eq!(check(body.as_bytes()).unwrap().items_total, 122);
        let mut outcomes = Vec::new();
        read(body.as_bytes(), Provider::Apple, &Mappings::default(), &mut |judged| {
            outcomes.push((judged.index, judged.kind.to_owned(), judged.outcome.map_err(|refusal| refusal.kind).err()));
            Ok(())
        })
        .unwrap();
        let unmapped = |index: usize, n: usize| (index, format!("t-{n}"), Some(Kind::TypeUnmapped));
        let wanted: Vec<_> =
            (0..120).map(|n| unmapped(n, n)).chain([(120, String::new(), Some(Kind::FieldTooLong)), unmapped(121, 1)]).collect();
        assert_eq!(outcomes, wanted);
    }

    #[test]
    fn records_of_one_source_share_it() {
        let mappings = Mappings::shipped().unwrap();
        let mut sources = Vec::new();
        let body = bodies()
            .into_iter()
            .find(|body| body.contains("\"source\": null"))
            .unwrap()
            .replace("\"source\": null", r#""source": {"appId": "b"}"#);
        read(body.as_bytes(), Provider::Apple, &mappings, &mut |judged| {
            sources.extend(judged.outcome.unwrap().into_iter().map(|one| one.source));
            Ok(())
        })
        .unwrap();
        assert!(std::sync::Arc::ptr_eq(&sources[0], &sources[1]));
        assert_eq!(sources[2].app.as_deref(), Some("b"));
    }

    #[test]
    fn the_sink_may_stop_the_reading() {
        let mappings = Mappings::shipped().unwrap();
        let stopped = read(bodies()[0].as_bytes(), Provider::Apple, &mappings, &mut |_| Err(Error::new(Kind::Busy, "stop")));
        assert_eq!(stopped.err().map(|error| error.kind), Some(Kind::Busy));
    }

    /// The samples of Open Wearables, where they are at hand.
    #[test]
    fn shared_samples_are_read() {
        let mappings = Mappings::shipped().unwrap();
        let folder = std::path::Path::new(file!()).ancestors().nth(3).unwrap().join("../shared/samples");
        let Ok(folder) = std::fs::read_dir(folder) else { return };
        for path in folder.map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with("sdk_") || name.starts_with("sdk_log_") {
                continue;
            }
            let body = std::fs::read(&path).unwrap();
            let envelope = check(&body[..]).unwrap();
            read(&body[..], envelope.provider, &mappings, &mut |judged| {
                match judged.outcome {
                    Ok(all) => assert_eq!(all.len(), 1),
                    Err(refusal) => assert_eq!((refusal.kind, judged.list), (Kind::TypeUnmapped, "workouts"), "{name} {refusal:?}"),
                }
                Ok(())
            })
            .unwrap();
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), step in 1usize..9) {
            let mappings = Mappings::default();
            prop_assert_eq!(judged(&bytes[..], &mappings), judged(Slow(&bytes, step), &mappings));
            let _ = check(&bytes[..]);
        }

        #[test]
        fn any_damage_is_survived(at in 0usize..2000, byte in any::<u8>(), cut in 0usize..2000) {
            let mappings = Mappings::shipped().unwrap();
            for body in bodies() {
                let mut bytes = body.into_bytes();
                let at = at % bytes.len();
                bytes[at] = byte;
                let good = check(&bytes[..]).is_ok();
                let read = judged(&bytes[..], &mappings);
                prop_assert!(!good || read.ends_with("Ok(())"), "{}", read);
                bytes.truncate(cut);
                judged(&bytes[..], &mappings);
            }
        }
    }
}
