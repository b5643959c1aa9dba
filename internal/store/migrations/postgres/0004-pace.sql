-- How often people may do what appends a line: for each of them and each sort of
-- act the instant at which their allowance is whole again. The same as in
-- ../sqlite/0004-pace.sql.

CREATE TABLE paces (
  user_id BYTEA NOT NULL,
  sort TEXT NOT NULL,
  whole BIGINT NOT NULL,
  PRIMARY KEY (user_id, sort)
);
