-- A live document has a number, in the order in which documents came, and `terms`: all that it is found by, so that a
-- change touches only what differs.
CREATE TABLE doc_live (
    doc INTEGER PRIMARY KEY,
    shelf BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    lo BIGINT NOT NULL,
    hi BIGINT NOT NULL,
    present BIGINT NOT NULL,
    terms BLOB NOT NULL
);
INSERT INTO doc_live (shelf, type, id, version, seq, committed_at, lo, hi, present, terms)
    SELECT shelf, type, id, version, seq, committed_at, lo, hi, present, x'' FROM doc_key ORDER BY committed_at, seq;
DROP TABLE doc_key;
DROP TABLE doc_token;
DROP TABLE doc_word;
DROP TABLE doc_reference;
DROP TABLE doc_date;
ALTER TABLE doc_live RENAME TO doc_key;
CREATE UNIQUE INDEX doc_key_id ON doc_key (shelf, type, id);
CREATE INDEX doc_key_committed ON doc_key (type, committed_at, seq);
-- Observations (type 3) come in the order of their time.
CREATE INDEX doc_key_start ON doc_key (type, lo, id) WHERE type = 3;

-- Keyed 64-bit hashes of values, whatever element they stand in. New documents of a common value stand at its end, so a
-- write touches few pages.
CREATE TABLE doc_term (
    hash BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    doc BIGINT NOT NULL,
    PRIMARY KEY (hash, type, doc)
) WITHOUT ROWID;

-- Dates other than the one a type is sorted by; the parameter's name is in the hash.
CREATE TABLE doc_date (
    doc BIGINT NOT NULL,
    param_hash BIGINT NOT NULL,
    lo BIGINT NOT NULL,
    hi BIGINT NOT NULL,
    PRIMARY KEY (doc, param_hash, lo, hi)
) WITHOUT ROWID;

-- Did an update make what was not there, or was deleted? A history tells.
ALTER TABLE document ADD COLUMN upsert BOOLEAN NOT NULL DEFAULT FALSE;

-- Terms are made of all documents before anybody is served.
DELETE FROM meta WHERE name = 'index_version';

CREATE TABLE directory_anew (
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    since INTEGER NOT NULL,
    shelf BIGINT NOT NULL,
    PRIMARY KEY (type, id, since)
) WITHOUT ROWID;
INSERT INTO directory_anew (type, id, since, shelf) SELECT type, id, since, shelf FROM directory;
DROP TABLE directory;
ALTER TABLE directory_anew RENAME TO directory;
