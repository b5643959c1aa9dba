-- Risk: which rules are looked for, what they found, and what it comes to for each
-- account. The same as in ../postgres/0009-risk.sql.

CREATE TABLE risk_rules (
  rule TEXT PRIMARY KEY,
  enabled INTEGER NOT NULL
) STRICT;

CREATE TABLE risk_detections (
  id BLOB PRIMARY KEY,
  user_id BLOB NOT NULL REFERENCES users (id),
  session BLOB,
  rule TEXT NOT NULL,
  at INTEGER NOT NULL,
  ip TEXT NOT NULL,
  why TEXT NOT NULL,
  actor TEXT NOT NULL,
  request TEXT NOT NULL,
  closed INTEGER NOT NULL
) STRICT;
CREATE INDEX risk_detections_user ON risk_detections (user_id, id);
CREATE INDEX risk_detections_session ON risk_detections (session) WHERE session IS NOT NULL;

CREATE TABLE risky_users (
  user_id BLOB PRIMARY KEY REFERENCES users (id),
  level INTEGER NOT NULL,
  state TEXT NOT NULL,
  since INTEGER NOT NULL,
  updated INTEGER NOT NULL
) STRICT;
