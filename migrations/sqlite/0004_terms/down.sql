CREATE TABLE doc_key_before (
    shelf BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    lo BIGINT NOT NULL,
    hi BIGINT NOT NULL,
    present BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (shelf, type, id)
);
INSERT INTO doc_key_before SELECT shelf, type, id, version, seq, committed_at, lo, hi, present FROM doc_key;
DROP TABLE doc_key;
DROP TABLE doc_term;
DROP TABLE doc_date;
ALTER TABLE doc_key_before RENAME TO doc_key;
CREATE INDEX doc_key_committed ON doc_key (type, committed_at, id);
CREATE TABLE doc_token (
    shelf BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    system_hash BIGINT NOT NULL,
    code_hash BIGINT NOT NULL,
    PRIMARY KEY (shelf, type, id, code_hash, system_hash)
);
CREATE INDEX doc_token_code ON doc_token (type, code_hash, system_hash);
CREATE INDEX doc_token_system ON doc_token (type, system_hash);
CREATE TABLE doc_word (
    shelf BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    hash BIGINT NOT NULL,
    PRIMARY KEY (shelf, type, id, hash)
);
CREATE INDEX doc_word_hash ON doc_word (type, hash);
CREATE TABLE doc_reference (
    shelf BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    target_hash BIGINT NOT NULL,
    PRIMARY KEY (shelf, type, id, target_hash)
);
CREATE INDEX doc_reference_target ON doc_reference (type, target_hash);
CREATE TABLE doc_date (
    shelf BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    param_hash BIGINT NOT NULL,
    lo BIGINT NOT NULL,
    hi BIGINT NOT NULL,
    PRIMARY KEY (shelf, type, id, param_hash, lo, hi)
);
CREATE INDEX doc_date_range ON doc_date (type, param_hash, lo);
ALTER TABLE document DROP COLUMN upsert;
-- The binary before makes its rows anew.
DELETE FROM meta WHERE name = 'index_version';
CREATE TABLE directory_before (
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    since INTEGER NOT NULL,
    shelf BIGINT NOT NULL,
    PRIMARY KEY (type, id, since)
);
INSERT INTO directory_before SELECT type, id, since, shelf FROM directory;
DROP TABLE directory;
ALTER TABLE directory_before RENAME TO directory;
