-- The lifecycle: grants made from grants, keys that bind them, other people's
-- servers and providers. The same as in ../sqlite/0003-lifecycle.sql.

ALTER TABLE grants ADD COLUMN parent BYTEA;
ALTER TABLE grants ADD COLUMN chain TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN cnf TEXT NOT NULL DEFAULT '';
CREATE INDEX grants_parent ON grants (parent, app_id) WHERE parent IS NOT NULL;

CREATE TABLE settings (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  version BIGINT NOT NULL,
  doc TEXT NOT NULL
);

CREATE TABLE providers (
  id TEXT PRIMARY KEY,
  issuer TEXT NOT NULL,
  enabled BIGINT NOT NULL,
  version BIGINT NOT NULL,
  doc TEXT NOT NULL
);

CREATE TABLE links (
  provider TEXT NOT NULL REFERENCES providers (id),
  subject TEXT NOT NULL,
  user_id BYTEA NOT NULL,
  linked BIGINT NOT NULL,
  PRIMARY KEY (provider, subject)
);
CREATE INDEX links_user ON links (user_id);

CREATE TABLE assignments (
  app_id TEXT NOT NULL,
  id BYTEA NOT NULL UNIQUE,
  user_id BYTEA REFERENCES users (id),
  group_id BYTEA REFERENCES groups (id),
  role TEXT NOT NULL,
  created BIGINT NOT NULL
);
CREATE UNIQUE INDEX assignments_user ON assignments (app_id, user_id, role);
CREATE UNIQUE INDEX assignments_group ON assignments (app_id, group_id, role);
CREATE INDEX assignments_of_user ON assignments (user_id);
CREATE INDEX assignments_of_group ON assignments (group_id);

CREATE TABLE recipients (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  pos BIGINT NOT NULL,
  mark BYTEA NOT NULL,
  item TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  failing BIGINT NOT NULL,
  next BIGINT NOT NULL,
  error TEXT NOT NULL
);

CREATE TABLE dead_letters (
  id BYTEA PRIMARY KEY,
  recipient TEXT NOT NULL,
  pos BIGINT NOT NULL,
  item TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  error TEXT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX dead_letters_recipient ON dead_letters (recipient, id);
