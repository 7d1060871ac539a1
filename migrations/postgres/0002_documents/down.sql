DROP TABLE idempotency;
DROP INDEX document_committed;
DROP TABLE doc_date;
ALTER TABLE doc_key DROP COLUMN present;
CREATE TABLE directory_plain (
    type SMALLINT NOT NULL,
    id BYTEA NOT NULL,
    shelf BIGINT NOT NULL,
    PRIMARY KEY (type, id)
);
INSERT INTO directory_plain (type, id, shelf) SELECT type, id, shelf FROM directory WHERE since = 1;
DROP TABLE directory;
ALTER TABLE directory_plain RENAME TO directory;
