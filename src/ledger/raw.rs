//! Raw bodies: sealed in segments of at most 1 MiB while they arrive, read back one segment at a time.
//! The segment's number and whether it is the last are in its additional data, so none can be left out.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::id::{Shelf, UploadId};
use crate::store::{Db, uploads};
use crate::vault::{Place, ShelfKeys, Vault};

const SEGMENT: usize = 1024 * 1024;
/// Sealed bytes that are held in memory before the rest goes to a file.
const HELD: usize = 8 * 1024 * 1024;

pub(super) fn segment_id(upload: UploadId, no: u32, last: bool) -> [u8; 21] {
    let mut id = [0u8; 21];
    id[..16].copy_from_slice(&upload.0);
    id[16..20].copy_from_slice(&no.to_be_bytes());
    id[20] = u8::from(last);
    id
}

fn segment_place(shelf: Shelf, id: &[u8; 21]) -> Place<'_> {
    Place { kind: "raw", shelf, id, version: 1 }
}

/// Where a sealed segment is until it is in the database.
enum Where {
    Memory(Vec<u8>),
    File { offset: u64, length: usize },
}

/// The sealed segments of a body that was received.
pub(super) struct Kept {
    places: Vec<Where>,
    spool: Option<File>,
}

impl Kept {
    pub fn segments(&self) -> u32 {
        self.places.len() as u32
    }

    pub fn read(&self, no: u32) -> Result<Vec<u8>> {
        match (self.places.get(no as usize), &self.spool) {
            (Some(Where::Memory(sealed)), _) => Ok(sealed.clone()),
            (Some(Where::File { offset, length }), Some(spool)) => {
                let mut sealed = vec![0; *length];
                spool.read_exact_at(&mut sealed, *offset).map_err(unwritten)?;
                Ok(sealed)
            }
            _ => Err(Error::bug("a raw body has no such segment")),
        }
    }
}

/// The client keeps the data and comes back when there is room.
fn unwritten(e: io::Error) -> Error {
    Error::new(Kind::Busy, "the data cannot be stored now").because(e)
}

/// Seals segments and keeps them.
pub(super) struct Raw<'a> {
    keys: (&'a Vault, &'a ShelfKeys),
    of: (Shelf, UploadId),
    folder: PathBuf,
    kept: Kept,
    held: usize,
    spooled: u64,
}

impl<'a> Raw<'a> {
    pub fn new(keys: (&'a Vault, &'a ShelfKeys), of: (Shelf, UploadId), folder: &Path) -> Raw<'a> {
        Raw { keys, of, folder: folder.to_path_buf(), kept: Kept { places: Vec::new(), spool: None }, held: 0, spooled: 0 }
    }

    fn add(&mut self, clear: &[u8], last: bool) -> Result<()> {
        let ((vault, keys), (shelf, upload)) = (self.keys, self.of);
        let id = segment_id(upload, self.kept.segments(), last);
        let sealed = keys.raw.seal_packed(vault.chance, segment_place(shelf, &id), clear)?;
        if self.held + sealed.len() <= HELD {
            self.held += sealed.len();
            self.kept.places.push(Where::Memory(sealed));
            return Ok(());
        }
        if self.kept.spool.is_none() {
            self.kept.spool = Some(nameless(&self.folder, upload).map_err(unwritten)?);
        }
        let Some(spool) = &mut self.kept.spool else { return Err(Error::bug("the spool was just made")) };
        spool.write_all(&sealed).map_err(unwritten)?;
        self.kept.places.push(Where::File { offset: self.spooled, length: sealed.len() });
        self.spooled += sealed.len() as u64;
        Ok(())
    }
}

/// A file that is gone when it is closed, whatever happens.
fn nameless(folder: &Path, upload: UploadId) -> io::Result<File> {
    let path = folder.join(format!("spool-{upload}"));
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// What is known of a body that was read to its end.
pub(super) struct Passed {
    pub kept: Kept,
    pub bytes: usize,
    /// Keyed: equal bytes of one shelf have equal hashes.
    pub hash: [u8; 32],
    /// The body itself, when it is small.
    pub small: Option<Vec<u8>>,
}

/// Passes a body on, and seals, hashes and measures what passes.
pub(super) struct Tee<'a, R, H> {
    body: R,
    raw: Raw<'a>,
    hash: H,
    segment: Vec<u8>,
    bytes: usize,
    small: Option<Vec<u8>>,
    small_most: usize,
}

impl<'a, R: Read> Tee<'a, R, ()> {
    /// A body of at most `small` bytes is also kept in clear, to be mapped at once.
    pub fn new(body: R, raw: Raw<'a>, small: usize) -> Tee<'a, R, impl FnMut(Option<&[u8]>) -> [u8; 32] + use<R>> {
        let hash = raw.keys.1.index.stream();
        Tee { body, raw, hash, segment: Vec::new(), bytes: 0, small: Some(Vec::new()), small_most: small }
    }
}

impl<'a, R: Read, H: FnMut(Option<&[u8]>) -> [u8; 32]> Tee<'a, R, H> {
    pub fn end(mut self) -> Result<Passed> {
        self.raw.add(&self.segment, true)?;
        Ok(Passed { kept: self.raw.kept, bytes: self.bytes, hash: (self.hash)(None), small: self.small })
    }
}

impl<R: Read, H: FnMut(Option<&[u8]>) -> [u8; 32]> Read for Tee<'_, R, H> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.segment.len() == SEGMENT {
            self.raw.add(&self.segment, false).map_err(io::Error::other)?;
            self.segment.clear();
        }
        let room = buffer.len().min(SEGMENT - self.segment.len());
        let n = self.body.read(&mut buffer[..room])?;
        let piece = &buffer[..n];
        (self.hash)(Some(piece));
        self.segment.extend_from_slice(piece);
        self.bytes += n;
        match &mut self.small {
            Some(small) if small.len() + n <= self.small_most => small.extend_from_slice(piece),
            small => *small = None,
        }
        Ok(n)
    }
}

/// A kept body as a stream, one segment in memory at a time.
pub(super) struct Segments<'a> {
    db: &'a Db,
    keys: &'a ShelfKeys,
    of: (Shelf, UploadId),
    no: u32,
    clear: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<'a> Segments<'a> {
    pub fn of(db: &'a Db, keys: &'a ShelfKeys, of: (Shelf, UploadId)) -> Segments<'a> {
        Segments { db, keys, of, no: 0, clear: Vec::new(), at: 0, ended: false }
    }

    fn next(&mut self) -> Result<()> {
        let ((shelf, id), no) = (self.of, self.no);
        let sealed = self.db.read("upload.segment", |tx| uploads::segment(tx, id, no))?;
        let sealed = sealed.ok_or_else(|| Error::new(Kind::Gone, "the raw body of this upload is no longer kept"))?;
        let open = |last: bool| self.keys.raw.open_packed(segment_place(shelf, &segment_id(id, no, last)), &sealed);
        (self.clear, self.ended) = match open(false) {
            Ok(clear) => (clear, false),
            Err(_) => (open(true)?, true),
        };
        self.at = 0;
        self.no += 1;
        Ok(())
    }
}

impl Read for Segments<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.clear.len() {
            if self.ended {
                return Ok(0);
            }
            self.next().map_err(io::Error::other)?;
        }
        let n = buffer.len().min(self.clear.len() - self.at);
        buffer[..n].copy_from_slice(&self.clear[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
