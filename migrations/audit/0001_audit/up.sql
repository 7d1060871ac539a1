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

-- Index rows, made afterwards. Ids of entries order as they were recorded.
-- origin: 1 a block of the main database, 2 a block of the audit database.
CREATE TABLE audit_index (
    entry BLOB NOT NULL,
    patient BLOB NOT NULL,
    origin SMALLINT NOT NULL,
    block BIGINT NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (entry, patient)
) WITHOUT ROWID;
CREATE INDEX audit_index_patient ON audit_index (patient, entry);

CREATE TRIGGER audit_block_no_update BEFORE UPDATE ON audit_block BEGIN SELECT RAISE(ABORT, 'audit_block is append-only'); END;
CREATE TRIGGER audit_block_no_delete BEFORE DELETE ON audit_block BEGIN SELECT RAISE(ABORT, 'audit_block is append-only'); END;
CREATE TRIGGER audit_block_no_replace BEFORE INSERT ON audit_block WHEN EXISTS (SELECT 1 FROM audit_block WHERE block = NEW.block)
BEGIN SELECT RAISE(ABORT, 'audit_block is append-only'); END;

CREATE TRIGGER audit_index_no_update BEFORE UPDATE ON audit_index BEGIN SELECT RAISE(ABORT, 'audit_index is append-only'); END;
CREATE TRIGGER audit_index_no_delete BEFORE DELETE ON audit_index BEGIN SELECT RAISE(ABORT, 'audit_index is append-only'); END;
CREATE TRIGGER audit_index_no_replace BEFORE INSERT ON audit_index WHEN EXISTS (SELECT 1 FROM audit_index WHERE entry = NEW.entry AND patient = NEW.patient)
BEGIN SELECT RAISE(ABORT, 'audit_index is append-only'); END;
