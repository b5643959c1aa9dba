-- The lifecycle: grants made from grants, keys that bind them, other people's
-- servers and providers. The same as in ../postgres/0003-lifecycle.sql.

ALTER TABLE grants ADD COLUMN parent BLOB;
ALTER TABLE grants ADD COLUMN chain TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN cnf TEXT NOT NULL DEFAULT '';
CREATE INDEX grants_parent ON grants (parent, app_id) WHERE parent IS NOT NULL;

CREATE TABLE settings (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  version INTEGER NOT NULL,
  doc TEXT NOT NULL
) STRICT;

CREATE TABLE providers (
  id TEXT PRIMARY KEY,
  issuer TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  version INTEGER NOT NULL,
  doc TEXT NOT NULL
) STRICT;

CREATE TABLE links (
  provider TEXT NOT NULL REFERENCES providers (id),
  subject TEXT NOT NULL,
  user_id BLOB NOT NULL,
  linked INTEGER NOT NULL,
  PRIMARY KEY (provider, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_user ON links (user_id);

CREATE TABLE assignments (
  app_id TEXT NOT NULL,
  id BLOB NOT NULL UNIQUE,
  user_id BLOB REFERENCES users (id),
  group_id BLOB REFERENCES groups (id),
  role TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX assignments_user ON assignments (app_id, user_id, role);
CREATE UNIQUE INDEX assignments_group ON assignments (app_id, group_id, role);
CREATE INDEX assignments_of_user ON assignments (user_id);
CREATE INDEX assignments_of_group ON assignments (group_id);

CREATE TABLE recipients (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  pos INTEGER NOT NULL,
  mark BLOB NOT NULL,
  item TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  failing INTEGER NOT NULL,
  next INTEGER NOT NULL,
  error TEXT NOT NULL
) STRICT;

CREATE TABLE dead_letters (
  id BLOB PRIMARY KEY,
  recipient TEXT NOT NULL,
  pos INTEGER NOT NULL,
  item TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  error TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letters_recipient ON dead_letters (recipient, id);
