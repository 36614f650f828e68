-- SPDX-License-Identifier: MIT
-- config.sqlite from version 1 to 2, run in one transaction that sets user_version too.

-- What kiisrvctl import-reference took over, as it was there: it is taken once, and what has been
-- changed or removed in Versions since stays so.
CREATE TABLE IF NOT EXISTS Imports (
	name TEXT PRIMARY KEY NOT NULL,
	channel TEXT NOT NULL,
	container TEXT NOT NULL,
	git_tag TEXT NOT NULL
);
