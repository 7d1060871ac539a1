DROP TABLE audit_index;
DROP TABLE audit_pending;
DROP TABLE audit_block;
