-- Devices: browsers that people registered. The same as in ../postgres/0008-devices.sql.
-- The indexes cost nothing where nobody has one.

CREATE TABLE devices (
  id BLOB PRIMARY KEY,
  user_id BLOB NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  platform TEXT NOT NULL,
  public_key BLOB NOT NULL UNIQUE,
  cookie BLOB NOT NULL UNIQUE,
  created INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  lost INTEGER NOT NULL,
  enabled INTEGER NOT NULL,
  compliant INTEGER NOT NULL,
  trust INTEGER NOT NULL,
  born INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_user ON devices (user_id);

CREATE INDEX sessions_device ON sessions (device) WHERE device IS NOT NULL;
CREATE INDEX grants_device ON grants (device) WHERE device IS NOT NULL;
