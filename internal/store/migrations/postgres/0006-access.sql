-- Conditional access: what it is made of, when a second factor was given, and which
-- terms of use were accepted. The same as in ../sqlite/0006-access.sql.

CREATE TABLE documents (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version BIGINT NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (kind, id)
);

ALTER TABLE sessions ADD COLUMN second BIGINT NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN second BIGINT NOT NULL DEFAULT 0;
ALTER TABLE grants ADD COLUMN contexts TEXT NOT NULL DEFAULT '';

CREATE TABLE accepted (
  user_id BYTEA NOT NULL,
  terms TEXT NOT NULL,
  version BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (user_id, terms)
);
