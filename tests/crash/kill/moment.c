/* SPDX-License-Identifier: Apache-2.0 */
/* The moments of a checkpoint, seen from outside. */
#include <string.h>

#include "crash/kill/kill.h"

const char *const event_names[N_EVENTS] = {"the journals switch", "the tables change",
					   "a journal is cut", "the tables are copied"};

void files_look(struct files *f, const char *upper)
{
	static const char *const names[] = {"catalog.mdb", "journal", "journal2",
					    "catalog.mdb.new"};
	struct stat *const to[] = {&f->tables, &f->journals[0], &f->journals[1]};
	char path[300];
	struct stat st;

	for (unsigned int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/.plyfs/%s", upper, names[i]);
		if (i == 3)
			f->copy = stat(path, &st) == 0;
		else if (stat(path, to[i]) < 0)
			*to[i] = (struct stat){0};
	}
}

bool files_event(struct files *before, const char *upper, enum event event)
{
	struct files now = {.grows = before->grows};
	bool happened = false;

	files_look(&now, upper);
	for (int i = 0; i < 2; i++) {
		if (now.journals[i].st_size > before->journals[i].st_size) {
			happened |= event == EVENT_SWITCH && before->grows >= 0 &&
				    before->grows != i;
			now.grows = i;
		}
		happened |= event == EVENT_CUT &&
			    now.journals[i].st_size < before->journals[i].st_size;
	}
	happened |= event == EVENT_TABLES &&
		    (now.tables.st_mtim.tv_nsec != before->tables.st_mtim.tv_nsec ||
		     now.tables.st_mtim.tv_sec != before->tables.st_mtim.tv_sec);
	happened |= event == EVENT_COPY && now.copy;
	*before = now;
	return happened;
}
