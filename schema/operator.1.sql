-- SPDX-License-Identifier: MIT
-- operator.sqlite from version 0 to 1, run in one transaction that sets user_version too.

CREATE TABLE IF NOT EXISTS Jobs (
	id TEXT PRIMARY KEY NOT NULL CHECK (length(id) = 32),
	kind TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 15),
	key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 64),
	state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'succeeded',
		'failed', 'timed_out', 'cancelled', 'lost')),
	client TEXT,
	subject TEXT,
	release TEXT,
	image TEXT,
	created INTEGER NOT NULL,
	started INTEGER,
	finished INTEGER,
	attempts INTEGER NOT NULL DEFAULT 0,
	container_id TEXT,
	exit_code INTEGER,
	outcome TEXT,
	error TEXT,
	artifact TEXT,
	artifact_bytes INTEGER,
	log_bytes INTEGER NOT NULL DEFAULT 0,
	progress TEXT,
	answered INTEGER,
	cancel INTEGER,
	fresh INTEGER NOT NULL DEFAULT 0,
	-- Last, so that reading the others never walks through its overflow pages.
	request TEXT
);

-- One live job for a key; the join of equal requests relies on it.
CREATE UNIQUE INDEX IF NOT EXISTS Jobs_live ON Jobs (kind, key)
	WHERE state IN ('queued', 'running');
CREATE INDEX IF NOT EXISTS Jobs_remembered ON Jobs (kind, key, finished)
	WHERE artifact IS NOT NULL AND (state = 'succeeded' OR outcome = 'build_failed');
CREATE INDEX IF NOT EXISTS Jobs_state ON Jobs (state, created);
CREATE INDEX IF NOT EXISTS Jobs_created ON Jobs (created);
CREATE INDEX IF NOT EXISTS Jobs_finished ON Jobs (finished) WHERE finished IS NOT NULL;
-- Durations: of a kind and subject, and of a kind.
CREATE INDEX IF NOT EXISTS Jobs_history ON Jobs (kind, subject, finished, started)
	WHERE state = 'succeeded';
CREATE INDEX IF NOT EXISTS Jobs_history_kind ON Jobs (kind, finished, started)
	WHERE state = 'succeeded';
-- Collecting artifacts: least recently answered first; by name; their sum.
CREATE INDEX IF NOT EXISTS Jobs_answered ON Jobs (coalesce(answered, finished))
	WHERE artifact IS NOT NULL;
CREATE INDEX IF NOT EXISTS Jobs_artifact ON Jobs (artifact, artifact_bytes)
	WHERE artifact IS NOT NULL;

-- What /metrics says of jobs that have ended, kept by the trigger below; it only grows.
CREATE TABLE IF NOT EXISTS EndCounts (
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	release TEXT NOT NULL,
	outcome TEXT NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (kind, subject, release, outcome)
) WITHOUT ROWID;
-- The bounds of the histogram, ms; the last one is infinity.
CREATE TABLE IF NOT EXISTS DurationBounds (
	le INTEGER PRIMARY KEY NOT NULL
) WITHOUT ROWID;
INSERT OR IGNORE INTO DurationBounds (le) VALUES (500), (1000), (2500), (5000), (10000), (20000),
	(30000), (60000), (120000), (300000), (600000), (900000), (9223372036854775807);
-- How many took at most so long, for every bound.
CREATE TABLE IF NOT EXISTS DurationBuckets (
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	le INTEGER NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (kind, subject, le)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS DurationSums (
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	ms INTEGER NOT NULL,
	PRIMARY KEY (kind, subject)
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS Jobs_end AFTER UPDATE OF state ON Jobs
WHEN old.state IN ('queued', 'running') AND new.state NOT IN ('queued', 'running') BEGIN
	INSERT INTO EndCounts VALUES (new.kind, coalesce(new.subject, ''),
		coalesce(new.release, ''), coalesce(new.outcome, new.state), 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
	-- A job that ended in the queue took no time.
	INSERT INTO DurationBuckets SELECT new.kind, coalesce(new.subject, ''), le,
		max(new.finished - new.started, 0) <= le FROM DurationBounds
		WHERE new.started IS NOT NULL AND new.finished IS NOT NULL
		ON CONFLICT DO UPDATE SET n = n + excluded.n;
	INSERT INTO DurationSums SELECT new.kind, coalesce(new.subject, ''),
		max(new.finished - new.started, 0)
		WHERE new.started IS NOT NULL AND new.finished IS NOT NULL
		ON CONFLICT DO UPDATE SET ms = ms + excluded.ms;
END;

-- Who may come in: the secret itself is nowhere, only its SHA-256. Scopes are words with blanks
-- between. A revoked one stays, for the audit's sake; its name is free again.
CREATE TABLE IF NOT EXISTS Tokens (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
	hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
	scopes TEXT NOT NULL CHECK (length(scopes) > 0),
	created INTEGER NOT NULL,
	expires INTEGER,
	used INTEGER,
	revoked INTEGER
);
CREATE UNIQUE INDEX IF NOT EXISTS Tokens_live ON Tokens (name) WHERE revoked IS NULL;

-- What was asked for, written before it is done; status stays null where the process died over it.
-- Refused are those that the guard itself turned away: no token, or one that may not.
CREATE TABLE IF NOT EXISTS Audit (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	time INTEGER NOT NULL,
	who TEXT,
	verb TEXT NOT NULL,
	target TEXT NOT NULL,
	client TEXT NOT NULL,
	request TEXT NOT NULL,
	status INTEGER,
	ended INTEGER,
	refused INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS Audit_time ON Audit (time);
CREATE INDEX IF NOT EXISTS Audit_refused ON Audit (id) WHERE refused = 1;

-- Who guesses fills no disk and pushes nothing else out: a thousand refusals are kept.
CREATE TRIGGER IF NOT EXISTS Audit_bound AFTER INSERT ON Audit WHEN new.refused = 1 BEGIN
	DELETE FROM Audit WHERE refused = 1 AND id <= (SELECT id FROM Audit WHERE refused = 1
		ORDER BY id DESC LIMIT 1 OFFSET 1000);
END;
