-- The terms of documents that wait are in no table: all are made anew.
DELETE FROM doc_term;
DELETE FROM doc_date;
UPDATE doc_key SET terms = x'';
DELETE FROM meta WHERE name IN ('indexed', 'index_version');
