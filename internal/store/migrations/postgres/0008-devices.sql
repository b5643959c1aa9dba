-- Devices: browsers that people registered. The same as in ../sqlite/0008-devices.sql.
-- The indexes cost nothing where nobody has one.

CREATE TABLE devices (
  id BYTEA PRIMARY KEY,
  user_id BYTEA NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  platform TEXT NOT NULL,
  public_key BYTEA NOT NULL UNIQUE,
  cookie BYTEA NOT NULL UNIQUE,
  created BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  lost BIGINT NOT NULL,
  enabled BIGINT NOT NULL,
  compliant BIGINT NOT NULL,
  trust BIGINT NOT NULL,
  born BIGINT NOT NULL
);
CREATE INDEX devices_user ON devices (user_id);

CREATE INDEX sessions_device ON sessions (device) WHERE device IS NOT NULL;
CREATE INDEX grants_device ON grants (device) WHERE device IS NOT NULL;
