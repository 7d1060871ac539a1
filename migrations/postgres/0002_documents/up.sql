-- A document that changes its patient goes on another shelf: `since` is its first version there.
CREATE TABLE directory_since (
    type SMALLINT NOT NULL,
    id BYTEA NOT NULL,
    since INTEGER NOT NULL,
    shelf BIGINT NOT NULL,
    PRIMARY KEY (type, id, since)
);
INSERT INTO directory_since (type, id, since, shelf) SELECT type, id, 1, shelf FROM directory;
DROP TABLE directory;
ALTER TABLE directory_since RENAME TO directory;

-- Which parameters the live version has values of, a bit for each.
ALTER TABLE doc_key ADD COLUMN present BIGINT NOT NULL DEFAULT 0;

-- Dates other than the one a type is sorted by; the parameter's name is in the hash.
CREATE TABLE doc_date (
    shelf BIGINT NOT NULL,
    type SMALLINT NOT NULL,
    id BYTEA NOT NULL,
    param_hash BIGINT NOT NULL,
    lo BIGINT NOT NULL,
    hi BIGINT NOT NULL,
    PRIMARY KEY (shelf, type, id, param_hash, lo, hi)
);
CREATE INDEX doc_date_range ON doc_date (type, param_hash, lo);

-- The history of a type in the order of time.
CREATE INDEX document_committed ON document (type, committed_at, seq);
ALTER INDEX directory_since_pkey RENAME TO directory_pkey;

-- What was answered to a request that may be sent again (Idempotency-Key), for a day.
CREATE TABLE idempotency (
    key BYTEA PRIMARY KEY,
    at BIGINT NOT NULL,
    request BYTEA NOT NULL,
    sealed BYTEA NOT NULL
);
CREATE INDEX idempotency_at ON idempotency (at);
