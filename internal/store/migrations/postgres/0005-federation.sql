-- Sign-in through other identity providers: which sessions came through one, and
-- when each link was last proven. The same as in ../sqlite/0005-federation.sql.

ALTER TABLE sessions ADD COLUMN provider TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN upstream_sid TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_provider ON sessions (provider, upstream_sid) WHERE provider <> '';

ALTER TABLE links ADD COLUMN proved BIGINT NOT NULL DEFAULT 0;
ALTER TABLE links ADD COLUMN auth_time BIGINT NOT NULL DEFAULT 0;

CREATE UNIQUE INDEX providers_issuer ON providers (issuer);
