-- The sign-in log, in tables of its own. The same as in
-- ../sqlite/0010-journal.sql. An id begins with its time, so the primary key is
-- the order of time.

CREATE TABLE signins (
	id BYTEA PRIMARY KEY,
	kind SMALLINT NOT NULL,
	flow TEXT NOT NULL,
	user_id BYTEA,
	user_name TEXT NOT NULL,
	display_name TEXT NOT NULL,
	app_id TEXT NOT NULL,
	app_name TEXT NOT NULL,
	resource TEXT NOT NULL,
	resource_name TEXT NOT NULL,
	ip TEXT NOT NULL,
	country TEXT NOT NULL,
	city TEXT NOT NULL,
	program SMALLINT NOT NULL,
	agent TEXT NOT NULL,
	request TEXT NOT NULL,
	error BIGINT NOT NULL,
	reason TEXT NOT NULL,
	status SMALLINT NOT NULL,
	applied BIGINT NOT NULL,
	device_id BYTEA,
	device SMALLINT NOT NULL,
	signin_risk SMALLINT NOT NULL,
	user_risk SMALLINT NOT NULL,
	session_id BYTEA,
	grant_id BYTEA,
	token TEXT NOT NULL,
	methods TEXT NOT NULL,
	missing BIGINT NOT NULL
);
CREATE INDEX signins_user ON signins (user_id, id) WHERE user_id IS NOT NULL;

-- What policies did, once for all sign-ins that were judged alike.
CREATE TABLE applied (
	id BIGINT PRIMARY KEY,
	seen BIGINT NOT NULL,
	doc TEXT NOT NULL
);
CREATE TABLE applied_policies (
	policy TEXT NOT NULL,
	applied BIGINT NOT NULL,
	outcome TEXT NOT NULL,
	PRIMARY KEY (policy, applied)
);
CREATE INDEX applied_policies_applied ON applied_policies (applied);

-- How many sign-ins of a day were judged so.
CREATE TABLE tallies (
	day BIGINT NOT NULL,
	applied BIGINT NOT NULL,
	kind SMALLINT NOT NULL,
	n BIGINT NOT NULL,
	PRIMARY KEY (day, applied, kind)
);
