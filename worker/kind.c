/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "kind.h"

#include <string.h>

static const struct kind *const kinds[] = {
	&kind_firmware,
	&kind_pull,
	&kind_push,
};

const struct kind *kind_find(const char *name)
{
	for (size_t i = 0; i < KII_COUNT(kinds); i++)
		if (!strcmp(kinds[i]->name, name))
			return kinds[i];
	return NULL;
}

const struct kind *kind_at(size_t i)
{
	return i < KII_COUNT(kinds) ? kinds[i] : NULL;
}

enum slot_group kind_group(const char *name)
{
	const struct kind *kind = kind_find(name);

	return kind ? kind->group : GROUP_WORK;
}
