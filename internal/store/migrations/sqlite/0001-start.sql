-- The schema of the first release. The same tables as in ../postgres/0001-start.sql.
-- Instants are microseconds of Unix time, ids 16 bytes, booleans 0 or 1.

CREATE TABLE directory (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  tenant BLOB NOT NULL,
  domain TEXT NOT NULL,
  name TEXT NOT NULL,
  longest_life INTEGER NOT NULL,
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE head (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  pos INTEGER NOT NULL,
  era INTEGER NOT NULL,
  mark BLOB NOT NULL
) STRICT;

CREATE TABLE ledger (
  pos INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  cause TEXT NOT NULL,
  mark BLOB NOT NULL,
  era INTEGER NOT NULL,
  cuts TEXT NOT NULL,
  actor TEXT NOT NULL,
  receipt TEXT NOT NULL
) STRICT;

CREATE TABLE cutoffs (
  scope INTEGER NOT NULL,
  id TEXT NOT NULL,
  reach INTEGER NOT NULL,
  pos INTEGER NOT NULL,
  cause TEXT NOT NULL,
  PRIMARY KEY (scope, id, reach)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  fold TEXT UNIQUE,
  display_name TEXT NOT NULL,
  display_fold TEXT NOT NULL,
  given_name TEXT NOT NULL,
  surname TEXT NOT NULL,
  mail TEXT NOT NULL,
  nickname TEXT NOT NULL,
  job_title TEXT NOT NULL,
  department TEXT NOT NULL,
  office TEXT NOT NULL,
  mobile TEXT NOT NULL,
  language TEXT NOT NULL,
  service INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  created INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  valid_from INTEGER NOT NULL,
  pw_hash TEXT NOT NULL,
  pw_version INTEGER NOT NULL,
  pw_changed INTEGER NOT NULL,
  pw_must_change INTEGER NOT NULL,
  born INTEGER NOT NULL
) STRICT;
CREATE INDEX users_people ON users (display_fold, id) WHERE deleted = 0 AND service = 0;

CREATE TABLE user_words (
  word TEXT NOT NULL,
  user_id BLOB NOT NULL,
  PRIMARY KEY (word, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX user_words_user ON user_words (user_id);

CREATE TABLE groups (
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  fold TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  role_assignable INTEGER NOT NULL,
  created INTEGER NOT NULL
) STRICT;

CREATE TABLE group_members (
  group_id BLOB NOT NULL REFERENCES groups (id),
  user_id BLOB NOT NULL REFERENCES users (id),
  PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_user ON group_members (user_id);

CREATE TABLE role_assignments (
  id BLOB PRIMARY KEY,
  role TEXT NOT NULL,
  user_id BLOB REFERENCES users (id),
  group_id BLOB REFERENCES groups (id),
  created INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX role_assignments_user ON role_assignments (user_id, role);
CREATE UNIQUE INDEX role_assignments_group ON role_assignments (group_id, role);

CREATE TABLE apps (
  id TEXT PRIMARY KEY,
  object_id BLOB NOT NULL UNIQUE,
  principal BLOB REFERENCES users (id),
  name TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  version INTEGER NOT NULL,
  doc TEXT NOT NULL
) STRICT;
CREATE INDEX apps_principal ON apps (principal);

CREATE TABLE resources (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  doc TEXT NOT NULL
) STRICT;

CREATE TABLE consents (
  user_id BLOB NOT NULL,
  app_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  scopes TEXT NOT NULL,
  given INTEGER NOT NULL,
  PRIMARY KEY (user_id, app_id, resource)
) STRICT, WITHOUT ROWID;
CREATE INDEX consents_app ON consents (app_id);

CREATE TABLE sessions (
  id BLOB PRIMARY KEY,
  user_id BLOB NOT NULL,
  cookie BLOB NOT NULL UNIQUE,
  born INTEGER NOT NULL,
  created INTEGER NOT NULL,
  last_used INTEGER NOT NULL,
  auth_time INTEGER NOT NULL,
  kept INTEGER NOT NULL,
  amr TEXT NOT NULL,
  device BLOB,
  ip TEXT NOT NULL,
  agent TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE grants (
  id BLOB PRIMARY KEY,
  user_id BLOB NOT NULL,
  app_id TEXT NOT NULL,
  session BLOB,
  flags INTEGER NOT NULL,
  device BLOB,
  born INTEGER NOT NULL,
  scopes TEXT NOT NULL,
  created INTEGER NOT NULL,
  ends INTEGER NOT NULL,
  auth_time INTEGER NOT NULL,
  amr TEXT NOT NULL,
  last_used INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT;
CREATE INDEX grants_user ON grants (user_id);
CREATE INDEX grants_session ON grants (session);

CREATE TABLE app_tokens (
  app_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  issued INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (app_id, resource)
) STRICT, WITHOUT ROWID;

CREATE TABLE tickets (
  hash BLOB PRIMARY KEY,
  kind TEXT NOT NULL,
  alias TEXT UNIQUE,
  born INTEGER NOT NULL,
  user_id BLOB,
  app_id TEXT NOT NULL,
  expires INTEGER NOT NULL,
  used INTEGER NOT NULL,
  doc TEXT NOT NULL
) STRICT;
CREATE INDEX tickets_expires ON tickets (expires);

CREATE TABLE receipts (
  id TEXT PRIMARY KEY,
  pos INTEGER NOT NULL UNIQUE,
  at INTEGER NOT NULL,
  target_kind TEXT NOT NULL,
  target_id TEXT NOT NULL,
  doc TEXT NOT NULL,
  rest TEXT NOT NULL
) STRICT;
CREATE INDEX receipts_target ON receipts (target_id, pos);

CREATE TABLE confirmations (
  pos INTEGER NOT NULL,
  process BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (pos, process)
) STRICT, WITHOUT ROWID;

CREATE TABLE guards (
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  app_id TEXT NOT NULL,
  resource TEXT NOT NULL,
  max_staleness INTEGER NOT NULL,
  version TEXT NOT NULL,
  address TEXT NOT NULL,
  registered INTEGER NOT NULL,
  answered INTEGER NOT NULL,
  acked INTEGER NOT NULL,
  gone INTEGER NOT NULL
) STRICT;
CREATE INDEX guards_resource ON guards (resource);

CREATE TABLE audits (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  action TEXT NOT NULL,
  result TEXT NOT NULL,
  actor_id TEXT NOT NULL,
  target_id TEXT NOT NULL,
  pos INTEGER NOT NULL,
  doc TEXT NOT NULL
) STRICT;
CREATE INDEX audits_target ON audits (target_id, id);
CREATE INDEX audits_actor ON audits (actor_id, id);

CREATE TABLE keys (
  kid TEXT PRIMARY KEY,
  alg TEXT NOT NULL,
  public TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  created INTEGER NOT NULL,
  active INTEGER NOT NULL,
  retired INTEGER NOT NULL
) STRICT;

CREATE TABLE nodes (
  id BLOB PRIMARY KEY,
  beat INTEGER NOT NULL
) STRICT;
