-- Second factors: how people prove who they are beside the password. The same as in
-- ../postgres/0007-factors.sql.

CREATE TABLE methods (
  id BLOB PRIMARY KEY,
  user_id BLOB NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  lookup BLOB UNIQUE,
  created INTEGER NOT NULL,
  used INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  counter INTEGER NOT NULL,
  doc TEXT NOT NULL
) STRICT;
CREATE INDEX methods_user ON methods (user_id);
