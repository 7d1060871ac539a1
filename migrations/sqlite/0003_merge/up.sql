-- A merge of Patients moves the pointer of a shelf and no row: `patient` is whose it is, `born` whom it was made for.
CREATE TABLE patient_shelf_born (
    shelf BIGINT PRIMARY KEY,
    patient BLOB NOT NULL,
    born BLOB NOT NULL
);
INSERT INTO patient_shelf_born (shelf, patient, born) SELECT shelf, patient, patient FROM patient_shelf;
DROP TABLE patient_shelf;
ALTER TABLE patient_shelf_born RENAME TO patient_shelf;
CREATE INDEX patient_shelf_patient ON patient_shelf (patient);
CREATE INDEX patient_shelf_born ON patient_shelf (born);

-- Who was merged into whom, and which version each had before.
CREATE TABLE patient_merge (
    source BLOB PRIMARY KEY,
    target BLOB NOT NULL,
    source_before INTEGER NOT NULL,
    target_before INTEGER NOT NULL
);
CREATE INDEX patient_merge_target ON patient_merge (target);
