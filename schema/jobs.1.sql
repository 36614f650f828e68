-- SPDX-License-Identifier: MIT
-- jobs.sqlite from version 0 to 1, run in one transaction that sets user_version too.

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
