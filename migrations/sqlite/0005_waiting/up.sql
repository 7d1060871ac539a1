-- Terms of documents with a higher number than this stand beside the document only.
INSERT INTO meta (name, value) SELECT 'indexed', CAST(CAST(coalesce(max(doc), 0) AS TEXT) AS BLOB) FROM doc_key;
