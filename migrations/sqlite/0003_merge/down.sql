DROP TABLE patient_merge;
DROP INDEX patient_shelf_born;
UPDATE patient_shelf SET patient = born;
ALTER TABLE patient_shelf DROP COLUMN born;
