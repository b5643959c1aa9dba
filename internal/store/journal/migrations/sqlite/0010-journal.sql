-- The sign-in log, in a file of its own. The same as in
-- ../postgres/0010-journal.sql. An id begins with its time, so the primary key is
-- the order of time.

CREATE TABLE signins (
	id BLOB PRIMARY KEY,
	kind INTEGER NOT NULL,
	flow TEXT NOT NULL,
	user_id BLOB,
	user_name TEXT NOT NULL,
	display_name TEXT NOT NULL,
	app_id TEXT NOT NULL,
	app_name TEXT NOT NULL,
	resource TEXT NOT NULL,
	resource_name TEXT NOT NULL,
	ip TEXT NOT NULL,
	country TEXT NOT NULL,
	city TEXT NOT NULL,
	program INTEGER NOT NULL,
	agent TEXT NOT NULL,
	request TEXT NOT NULL,
	error INTEGER NOT NULL,
	reason TEXT NOT NULL,
	status INTEGER NOT NULL,
	applied INTEGER NOT NULL,
	device_id BLOB,
	device INTEGER NOT NULL,
	signin_risk INTEGER NOT NULL,
	user_risk INTEGER NOT NULL,
	session_id BLOB,
	grant_id BLOB,
	token TEXT NOT NULL,
	methods TEXT NOT NULL,
	missing INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX signins_user ON signins (user_id, id) WHERE user_id IS NOT NULL;

-- What policies did, once for all sign-ins that were judged alike.
CREATE TABLE applied (
	id INTEGER PRIMARY KEY,
	seen INTEGER NOT NULL,
	doc TEXT NOT NULL
);
CREATE TABLE applied_policies (
	policy TEXT NOT NULL,
	applied INTEGER NOT NULL,
	outcome TEXT NOT NULL,
	PRIMARY KEY (policy, applied)
) WITHOUT ROWID;
CREATE INDEX applied_policies_applied ON applied_policies (applied);

-- How many sign-ins of a day were judged so.
CREATE TABLE tallies (
	day INTEGER NOT NULL,
	applied INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (day, applied, kind)
) WITHOUT ROWID;
