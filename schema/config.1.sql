-- SPDX-License-Identifier: MIT
-- config.sqlite from version 0 to 1, run in one transaction that sets user_version too.

CREATE TABLE IF NOT EXISTS Versions (
	name TEXT PRIMARY KEY NOT NULL,
	channel TEXT NOT NULL,
	container TEXT NOT NULL,
	git_tag TEXT NOT NULL
);

-- What is known of a tag of the controller's repository.
CREATE TABLE IF NOT EXISTS Releases (
	git_tag TEXT PRIMARY KEY NOT NULL,
	commit_count INTEGER NOT NULL,
	date TEXT NOT NULL,
	hash TEXT NOT NULL,
	bcd TEXT NOT NULL,
	notes TEXT NOT NULL
);

-- The builder images that the engine has: written by the worker, times in ms since 1970.
CREATE TABLE IF NOT EXISTS Images (
	container TEXT PRIMARY KEY NOT NULL,
	digest TEXT NOT NULL,
	size INTEGER NOT NULL,
	created INTEGER NOT NULL,
	seen INTEGER NOT NULL
);

INSERT OR IGNORE INTO Versions (name, channel, container, git_tag) VALUES
	('nightly', 'beta', 'controller-057', 'v0.5.7'),
	('latest', 'stable', 'controller-057', 'v0.5.7'),
	('lts', 'lts', 'controller-050', 'v0.5.0'),
	('v0.5.7', 'beta', 'controller-057', 'v0.5.7'),
	('v0.5.6', 'beta', 'controller-056', 'v0.5.6'),
	('v0.5.5', 'beta', 'controller-055', 'v0.5.5'),
	('v0.5.4', 'beta', 'controller-054', 'v0.5.4'),
	('v0.5.0', 'stable', 'controller-050', 'v0.5.0');
