-- Who this store is. Random, so that no ciphertext of one store opens in another.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

-- Keys of the whole store, wrapped (vault::ring).
CREATE TABLE store_key (
    kind SMALLINT NOT NULL,
    version INTEGER NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (kind, version)
);

-- The owner of rows and of a key. A patient is only a pointer to shelves.
CREATE TABLE shelf (
    shelf BIGINT PRIMARY KEY,
    wrapped BLOB NOT NULL
);

CREATE TABLE patient_shelf (
    shelf BIGINT PRIMARY KEY,
    patient BLOB NOT NULL
);
CREATE INDEX patient_shelf_patient ON patient_shelf (patient);

CREATE TABLE directory (
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    shelf BIGINT NOT NULL,
    PRIMARY KEY (type, id)
);

-- Every version of every document; rows are never changed.
CREATE TABLE document (
    shelf BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    deleted BOOLEAN NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (shelf, type, id, version)
);

-- The live version of each document with the keys that it is sorted by.
CREATE TABLE doc_key (
    shelf BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    seq BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    lo BIGINT NOT NULL,
    hi BIGINT NOT NULL,
    PRIMARY KEY (shelf, type, id)
);
CREATE INDEX doc_key_committed ON doc_key (type, committed_at, id);

-- Search rows: keyed 64-bit hashes (the parameter's name is in the hash), rewritten with the document.
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

-- Samples. Identity of a series: patient, metric key, source key, aggregation level.
CREATE TABLE series (
    shelf BIGINT NOT NULL,
    series_no INTEGER NOT NULL,
    identity_hash BIGINT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (shelf, series_no)
);
CREATE UNIQUE INDEX series_identity ON series (shelf, identity_hash);

CREATE TABLE template (
    shelf BIGINT NOT NULL,
    series_no INTEGER NOT NULL,
    template_no INTEGER NOT NULL,
    text_hash BIGINT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (shelf, series_no, template_no)
);
CREATE UNIQUE INDEX template_text ON template (shelf, series_no, text_hash);

-- The change feed of the whole server: one immutable row per committed change of a shelf.
CREATE TABLE feed (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    committed_at BIGINT NOT NULL,
    shelf BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    bloom BIGINT NOT NULL,
    extent BLOB NOT NULL
);
CREATE INDEX feed_order ON feed (committed_at, seq, bloom);

CREATE TABLE block (
    shelf BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    start_lo BIGINT NOT NULL,
    start_hi BIGINT NOT NULL,
    end_hi BIGINT NOT NULL,
    n INTEGER NOT NULL,
    bloom BIGINT NOT NULL,
    superseding BOOLEAN NOT NULL,
    hot BLOB NOT NULL,
    filter BLOB NOT NULL,
    PRIMARY KEY (shelf, seq)
);
CREATE INDEX block_window ON block (shelf, start_hi, start_lo, end_hi, seq);
CREATE INDEX block_time ON block (start_hi, seq);
CREATE INDEX block_committed ON block (committed_at, seq);

-- The record ids of a block's rows, sealed in pieces: to name one row they need not all be opened.
CREATE TABLE block_ids (
    shelf BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    piece INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (shelf, seq, piece)
);

CREATE TABLE sample_override (
    shelf BIGINT NOT NULL,
    series_no INTEGER NOT NULL,
    start BIGINT NOT NULL,
    disc INTEGER NOT NULL,
    kind SMALLINT NOT NULL,
    PRIMARY KEY (shelf, series_no, start, disc)
);

-- Uploads: the raw body in sealed segments, what became of it, and the work it causes.
CREATE TABLE upload (
    upload BLOB PRIMARY KEY,
    shelf BIGINT NOT NULL,
    user_id BLOB NOT NULL,
    body_hash BLOB NOT NULL,
    stage SMALLINT NOT NULL,
    accepted_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    items INTEGER NOT NULL,
    done INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    corrected INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    detail BLOB NOT NULL
);
CREATE UNIQUE INDEX upload_body ON upload (shelf, body_hash);
CREATE INDEX upload_accepted ON upload (accepted_at);

CREATE TABLE upload_refusal (
    upload BLOB NOT NULL,
    done INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (upload, done)
);

CREATE TABLE raw_segment (
    upload BLOB NOT NULL,
    no INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (upload, no)
);

CREATE TABLE job (
    job INTEGER PRIMARY KEY AUTOINCREMENT,
    kind SMALLINT NOT NULL,
    subject BLOB NOT NULL,
    run_at BIGINT NOT NULL,
    attempts INTEGER NOT NULL
);
CREATE INDEX job_run ON job (run_at);

-- People whose data is uploaded, and who may act for them.
CREATE TABLE app_user (
    user_id BLOB PRIMARY KEY,
    patient BLOB NOT NULL,
    shelf BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    external_hash BIGINT,
    email_hash BIGINT
);
CREATE UNIQUE INDEX app_user_external ON app_user (external_hash);
CREATE UNIQUE INDEX app_user_patient ON app_user (patient);
CREATE INDEX app_user_created ON app_user (created_at, user_id);

CREATE TABLE app (
    app BLOB PRIMARY KEY,
    name BLOB NOT NULL,
    secret BLOB NOT NULL,
    created_at BIGINT NOT NULL
);

-- Secrets are kept as SHA-256. A family is an access token, its refresh tokens and all that follow.
CREATE TABLE credential (
    secret BLOB PRIMARY KEY,
    credential BLOB NOT NULL,
    family BLOB NOT NULL,
    kind SMALLINT NOT NULL,
    role SMALLINT NOT NULL,
    scopes TEXT NOT NULL,
    user_id BLOB,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at BIGINT,
    revoked_at BIGINT
);
CREATE UNIQUE INDEX credential_id ON credential (credential);
CREATE INDEX credential_family ON credential (family);
CREATE INDEX credential_user ON credential (user_id);

CREATE TABLE credential_patient (
    credential BLOB NOT NULL,
    patient BLOB NOT NULL,
    PRIMARY KEY (credential, patient)
);

CREATE TABLE invitation (
    code BLOB PRIMARY KEY,
    user_id BLOB NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    revoked_at BIGINT
);

-- The audit log: one sealed block of entries per group commit, with their leaf hashes.
-- Rows are inserted and never changed; the triggers refuse everything else.
CREATE TABLE audit_block (
    block INTEGER PRIMARY KEY AUTOINCREMENT,
    node BLOB NOT NULL,
    recorded_lo BIGINT NOT NULL,
    recorded_hi BIGINT NOT NULL,
    n INTEGER NOT NULL,
    leaves BLOB NOT NULL,
    sealed BLOB NOT NULL
);

-- Blocks that the index has not seen. Written with the block, so that none can be missed.
CREATE TABLE audit_pending (
    block BIGINT PRIMARY KEY
);

CREATE TRIGGER audit_block_no_update BEFORE UPDATE ON audit_block BEGIN SELECT RAISE(ABORT, 'audit_block is append-only'); END;
CREATE TRIGGER audit_block_no_delete BEFORE DELETE ON audit_block BEGIN SELECT RAISE(ABORT, 'audit_block is append-only'); END;
CREATE TRIGGER audit_block_no_replace BEFORE INSERT ON audit_block WHEN EXISTS (SELECT 1 FROM audit_block WHERE block = NEW.block)
BEGIN SELECT RAISE(ABORT, 'audit_block is append-only'); END;
