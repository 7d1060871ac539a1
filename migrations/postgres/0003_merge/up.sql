-- A merge of Patients moves the pointer of a shelf and no row: `patient` is whose it is, `born` whom it was made for.
ALTER TABLE patient_shelf ADD COLUMN born BYTEA;
UPDATE patient_shelf SET born = patient;
ALTER TABLE patient_shelf ALTER COLUMN born SET NOT NULL;
CREATE INDEX patient_shelf_born ON patient_shelf (born);

-- Who was merged into whom, and which version each had before.
CREATE TABLE patient_merge (
    source BYTEA PRIMARY KEY,
    target BYTEA NOT NULL,
    source_before INTEGER NOT NULL,
    target_before INTEGER NOT NULL
);
CREATE INDEX patient_merge_target ON patient_merge (target);
