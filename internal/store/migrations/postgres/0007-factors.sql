-- Second factors: how people prove who they are beside the password. The same as in
-- ../sqlite/0007-factors.sql.

CREATE TABLE methods (
  id BYTEA PRIMARY KEY,
  user_id BYTEA NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  lookup BYTEA UNIQUE,
  created BIGINT NOT NULL,
  used BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  counter BIGINT NOT NULL,
  doc TEXT NOT NULL
);
CREATE INDEX methods_user ON methods (user_id);
