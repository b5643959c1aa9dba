-- Risk: which rules are looked for, what they found, and what it comes to for each
-- account. The same as in ../sqlite/0009-risk.sql.

CREATE TABLE risk_rules (
  rule TEXT PRIMARY KEY,
  enabled BIGINT NOT NULL
);

CREATE TABLE risk_detections (
  id BYTEA PRIMARY KEY,
  user_id BYTEA NOT NULL REFERENCES users (id),
  session BYTEA,
  rule TEXT NOT NULL,
  at BIGINT NOT NULL,
  ip TEXT NOT NULL,
  why TEXT NOT NULL,
  actor TEXT NOT NULL,
  request TEXT NOT NULL,
  closed BIGINT NOT NULL
);
CREATE INDEX risk_detections_user ON risk_detections (user_id, id);
CREATE INDEX risk_detections_session ON risk_detections (session) WHERE session IS NOT NULL;

CREATE TABLE risky_users (
  user_id BYTEA PRIMARY KEY REFERENCES users (id),
  level BIGINT NOT NULL,
  state TEXT NOT NULL,
  since BIGINT NOT NULL,
  updated BIGINT NOT NULL
);
