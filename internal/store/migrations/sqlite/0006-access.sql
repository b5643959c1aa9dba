-- Conditional access: what it is made of, when a second factor was given, and which
-- terms of use were accepted. The same as in ../postgres/0006-access.sql.

CREATE TABLE documents (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT;

ALTER TABLE sessions ADD COLUMN second INTEGER NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN second INTEGER NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN contexts TEXT NOT NULL DEFAULT '';

CREATE TABLE accepted (
  user_id BLOB NOT NULL,
  terms TEXT NOT NULL,
  version INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (user_id, terms)
) STRICT;
