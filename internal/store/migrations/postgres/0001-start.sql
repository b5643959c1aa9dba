-- The schema of the first release. The same tables as in ../sqlite/0001-start.sql.
-- Instants are microseconds of Unix time, ids 16 bytes, booleans 0 or 1.

CREATE TABLE directory (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  tenant BYTEA NOT NULL,
  domain TEXT NOT NULL,
  name TEXT NOT NULL,
  longest_life BIGINT NOT NULL,
  created BIGINT NOT NULL
);

CREATE TABLE head (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  pos BIGINT NOT NULL,
  era BIGINT NOT NULL,
  mark BYTEA NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE ledger (
  pos BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  cause TEXT NOT NULL,
  mark BYTEA NOT NULL,
  era BIGINT NOT NULL,
  cuts TEXT NOT NULL,
  actor TEXT NOT NULL,
  receipt TEXT NOT NULL
);

CREATE TABLE cutoffs (
  scope BIGINT NOT NULL,
  id TEXT NOT NULL,
  reach BIGINT NOT NULL,
  pos BIGINT NOT NULL,
  cause TEXT NOT NULL,
  PRIMARY KEY (scope, id, reach)
);

CREATE TABLE users (
  id BYTEA PRIMARY KEY,
  name TEXT NOT NULL,
  fold TEXT COLLATE "C" UNIQUE,
  display_name TEXT NOT NULL,
  display_fold TEXT COLLATE "C" NOT NULL,
  given_name TEXT NOT NULL,
  surname TEXT NOT NULL,
  mail TEXT NOT NULL,
  nickname TEXT NOT NULL,
  job_title TEXT NOT NULL,
  department TEXT NOT NULL,
  office TEXT NOT NULL,
  mobile TEXT NOT NULL,
  language TEXT NOT NULL,
  service BIGINT NOT NULL,
  enabled BIGINT NOT NULL,
  created BIGINT NOT NULL,
  deleted BIGINT NOT NULL,
  valid_from BIGINT NOT NULL,
  pw_hash TEXT NOT NULL,
  pw_version BIGINT NOT NULL,
  pw_changed BIGINT NOT NULL,
  pw_must_change BIGINT NOT NULL,
  born BIGINT NOT NULL
);
CREATE INDEX users_people ON users (display_fold, id) WHERE deleted = 0 AND service = 0;

CREATE TABLE user_words (
  word TEXT COLLATE "C" NOT NULL,
  user_id BYTEA NOT NULL,
  PRIMARY KEY (word, user_id)
);
CREATE INDEX user_words_user ON user_words (user_id);

CREATE TABLE groups (
  id BYTEA PRIMARY KEY,
  name TEXT NOT NULL,
  fold TEXT COLLATE "C" NOT NULL UNIQUE,
  description TEXT NOT NULL,
  role_assignable BIGINT NOT NULL,
  created BIGINT NOT NULL
);

CREATE TABLE group_members (
  group_id BYTEA NOT NULL REFERENCES groups (id),
  user_id BYTEA NOT NULL REFERENCES users (id),
  PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_user ON group_members (user_id);

CREATE TABLE role_assignments (
  id BYTEA PRIMARY KEY,
  role TEXT NOT NULL,
  user_id BYTEA REFERENCES users (id),
  group_id BYTEA REFERENCES groups (id),
  created BIGINT NOT NULL
);
CREATE UNIQUE INDEX role_assignments_user ON role_assignments (user_id, role);
CREATE UNIQUE INDEX role_assignments_group ON role_assignments (group_id, role);

CREATE TABLE apps (
  id TEXT PRIMARY KEY,
  object_id BYTEA NOT NULL UNIQUE,
  principal BYTEA REFERENCES users (id),
  name TEXT NOT NULL,
  enabled BIGINT NOT NULL,
  version BIGINT NOT NULL,
  doc TEXT NOT NULL
);
CREATE INDEX apps_principal ON apps (principal);

CREATE TABLE resources (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  doc TEXT NOT NULL
);

CREATE TABLE consents (
  user_id BYTEA NOT NULL,
  app_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  scopes TEXT NOT NULL,
  given BIGINT NOT NULL,
  PRIMARY KEY (user_id, app_id, resource)
);
CREATE INDEX consents_app ON consents (app_id);

CREATE TABLE sessions (
  id BYTEA PRIMARY KEY,
  user_id BYTEA NOT NULL,
  cookie BYTEA NOT NULL UNIQUE,
  born BIGINT NOT NULL,
  created BIGINT NOT NULL,
  last_used BIGINT NOT NULL,
  auth_time BIGINT NOT NULL,
  kept BIGINT NOT NULL,
  amr TEXT NOT NULL,
  device BYTEA,
  ip TEXT NOT NULL,
  agent TEXT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE grants (
  id BYTEA PRIMARY KEY,
  user_id BYTEA NOT NULL,
  app_id TEXT NOT NULL,
  session BYTEA,
  flags BIGINT NOT NULL,
  device BYTEA,
  born BIGINT NOT NULL,
  scopes TEXT NOT NULL,
  created BIGINT NOT NULL,
  ends BIGINT NOT NULL,
  auth_time BIGINT NOT NULL,
  amr TEXT NOT NULL,
  last_used BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  state TEXT NOT NULL
) WITH (fillfactor = 75);
CREATE INDEX grants_user ON grants (user_id);
CREATE INDEX grants_session ON grants (session);

CREATE TABLE app_tokens (
  app_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  issued BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (app_id, resource)
);

CREATE TABLE tickets (
  hash BYTEA PRIMARY KEY,
  kind TEXT NOT NULL,
  alias TEXT UNIQUE,
  born BIGINT NOT NULL,
  user_id BYTEA,
  app_id TEXT NOT NULL,
  expires BIGINT NOT NULL,
  used BIGINT NOT NULL,
  doc TEXT NOT NULL
);
CREATE INDEX tickets_expires ON tickets (expires);

CREATE TABLE receipts (
  id TEXT PRIMARY KEY,
  pos BIGINT NOT NULL UNIQUE,
  at BIGINT NOT NULL,
  target_kind TEXT NOT NULL,
  target_id TEXT NOT NULL,
  doc TEXT NOT NULL,
  rest TEXT NOT NULL
);
CREATE INDEX receipts_target ON receipts (target_id, pos);

CREATE TABLE confirmations (
  pos BIGINT NOT NULL,
  process BYTEA NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (pos, process)
);

CREATE TABLE guards (
  id BYTEA PRIMARY KEY,
  name TEXT NOT NULL,
  app_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  max_staleness BIGINT NOT NULL,
  version TEXT NOT NULL,
  address TEXT NOT NULL,
  registered BIGINT NOT NULL,
  answered BIGINT NOT NULL,
  acked BIGINT NOT NULL,
  gone BIGINT NOT NULL
);
CREATE INDEX guards_resource ON guards (resource);

CREATE TABLE audits (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at BIGINT NOT NULL,
  action TEXT NOT NULL,
  result TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  target_id TEXT NOT NULL,
  pos BIGINT NOT NULL,
  doc TEXT NOT NULL
);
CREATE INDEX audits_target ON audits (target_id, id);
CREATE INDEX audits_actor ON audits (actor_id, id);

CREATE TABLE keys (
  kid TEXT PRIMARY KEY,
  alg TEXT NOT NULL,
  public TEXT NOT NULL,
  wrapped BYTEA NOT NULL,
  created BIGINT NOT NULL,
  active BIGINT NOT NULL,
  retired BIGINT NOT NULL
);

CREATE TABLE nodes (
  id BYTEA PRIMARY KEY,
  beat BIGINT NOT NULL
);
