-- How often people may do what appends a line: for each of them and each sort of
-- act the instant at which their allowance is whole again. The same as in
-- ../postgres/0004-pace.sql.

CREATE TABLE paces (
  user_id BLOB NOT NULL,
  sort TEXT NOT NULL,
  whole INTEGER NOT NULL,
  PRIMARY KEY (user_id, sort)
) STRICT, WITHOUT ROWID;
