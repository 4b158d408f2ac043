/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "cleanup.h"
#include "daemon.h"
#include "group.h"
#include "loader.h"
#include "log.h"
#include "str.h"

#define EVENTS                                                                                                 \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF |   \
	 IN_MOVE_SELF | IN_EXCL_UNLINK)

enum folder_kind {
	FOLDER_PARENT,   /* of a lookup folder that may come into being */
	FOLDER_BASE,     /* /etc/torpor: sites, templates and slices may come into being */
	FOLDER_UNITS,    /* /etc/torpor/sites */
	FOLDER_DROP_INS, /* /etc/torpor/sites/NAME.site.d */
};

struct folder {
	UT_hash_handle hh;
	int wd;
	enum folder_kind kind;
	enum unit_kind unit; /* FOLDER_UNITS, FOLDER_DROP_INS */
	char *name;          /* FOLDER_DROP_INS: the unit's; owned */
	char path[];
};

struct watch {
	struct daemon *daemon;
	uv_poll_t poll;
	int fd;
	struct folder *folders; /* by wd */
	bool rescan;            /* folders came or went, or events were lost: look at everything */
};

static void forget_folder(struct watch *watch, struct folder *folder)
{
	HASH_DEL(watch->folders, folder);
	free(folder->name);
	free(folder);
}

/* Watches a folder where it exists. Adding one that is watched already changes nothing. */
static int add_folder(struct watch *watch, enum folder_kind kind, enum unit_kind unit, const char *path,
		      const char *name)
{
	struct folder *folder;
	int wd = inotify_add_watch(watch->fd, path, EVENTS | IN_ONLYDIR);

	if (wd < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		log_warning("changes in %s will not be noticed (use torporctl reload): %s%s", path,
			    strerror(errno), errno == ENOSPC ? ": raise fs.inotify.max_user_watches" : "");
		return 0;
	}
	HASH_FIND_INT(watch->folders, &wd, folder);
	if (folder)
		return 0;
	folder = calloc(1, sizeof *folder + strlen(path) + 1);
	if (folder && name && !(folder->name = strdup(name))) {
		free(folder);
		folder = NULL;
	}
	if (!folder)
		return -ENOMEM;
	folder->wd = wd;
	folder->kind = kind;
	folder->unit = unit;
	strcpy(folder->path, path);
	HASH_ADD_INT(watch->folders, wd, folder);
	if (!folder->hh.tbl) {
		free(folder->name);
		free(folder);
		return -ENOMEM;
	}
	return 1;
}

/* The unit that a folder of drop-ins belongs to: "NAME" of "NAME.site.d". */
static bool drop_in_owner(const char *folder, enum unit_kind unit, char *name, size_t size)
{
	char suffix[32];
	size_t length;

	snprintf(suffix, sizeof suffix, "%s.d", unit_kind_suffix(unit));
	if (!str_has_suffix(folder, suffix))
		return false;
	length = strlen(folder) - strlen(suffix);
	if (length >= size)
		return false;
	memcpy(name, folder, length);
	name[length] = '\0';
	return str_valid_name(name);
}

static void add_drop_in_folder(struct watch *watch, enum unit_kind unit, const char *parent, const char *entry)
{
	char path[PATH_MAX], name[NAME_BYTES_MAX + 1];

	if (!drop_in_owner(entry, unit, name, sizeof name))
		return;
	if (snprintf(path, sizeof path, "%s/%s", parent, entry) < (int)sizeof path)
		(void)add_folder(watch, FOLDER_DROP_INS, unit, path, name);
}

static void add_unit_folder(struct watch *watch, enum unit_kind unit, const char *base)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	if (snprintf(path, sizeof path, "%s/%s", base, unit_kind_folder(unit)) >= (int)sizeof path)
		return;
	(void)add_folder(watch, FOLDER_UNITS, unit, path, NULL);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN)
			add_drop_in_folder(watch, unit, path, entry->d_name);
	if (dir)
		closedir(dir);
}

/* Watches everything that is there now. */
static void add_all(struct watch *watch)
{
	for (size_t i = 0; i < 3; i++) {
		const char *base = watch->daemon->options.lookup.dirs[i];
		const char *slash = strrchr(base, '/');
		char parent[PATH_MAX];

		if (slash && slash > base && (size_t)(slash - base) < sizeof parent) {
			memcpy(parent, base, (size_t)(slash - base));
			parent[slash - base] = '\0';
			if (access(base, F_OK) < 0)
				(void)add_folder(watch, FOLDER_PARENT, UNIT_SITE, parent, NULL);
		}
		(void)add_folder(watch, FOLDER_BASE, UNIT_SITE, base, NULL);
		for (enum unit_kind kind = 0; kind < UNIT_KINDS; kind++)
			add_unit_folder(watch, kind, base);
	}
}

static void apply(struct watch *watch, enum unit_kind unit, const char *name)
{
	switch (unit) {
	case UNIT_SITE:
		loader_apply(watch->daemon, name);
		break;
	case UNIT_TEMPLATE:
		loader_apply_template(watch->daemon, name);
		break;
	default:
		group_load(watch->daemon, name);
	}
}

/* A regular file that has just been made is still being written: its IN_CLOSE_WRITE will come. A link, or a
 * second name of a whole file, has no such event. */
static bool complete_at_creation(const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path || lstat(path, &st) < 0)
		return false;
	return !S_ISREG(st.st_mode) || st.st_nlink > 1;
}

static void on_unit_event(struct watch *watch, const struct folder *folder, const struct inotify_event *event)
{
	const char *suffix = unit_kind_suffix(folder->unit);
	char name[NAME_MAX + 1];
	size_t length = strlen(event->name);

	if (event->mask & IN_ISDIR && drop_in_owner(event->name, folder->unit, name, sizeof name)) {
		add_drop_in_folder(watch, folder->unit, folder->path, event->name);
		apply(watch, folder->unit, name);
		return;
	}
	if (!str_has_suffix(event->name, suffix) || event->name[0] == '.')
		return;
	memcpy(name, event->name, length - strlen(suffix));
	name[length - strlen(suffix)] = '\0';
	apply(watch, folder->unit, name);
}

/* Whether a new folder is one of those that units are looked up in. */
static bool awaited(const struct watch *watch, const struct folder *folder, const char *name)
{
	char path[PATH_MAX];

	for (enum unit_kind kind = 0; folder->kind == FOLDER_BASE && kind < UNIT_KINDS; kind++)
		if (str_equal(name, unit_kind_folder(kind)))
			return true;
	if (folder->kind == FOLDER_BASE)
		return false;
	snprintf(path, sizeof path, "%s/%s", folder->path, name);
	for (size_t i = 0; i < 3; i++)
		if (str_equal(path, watch->daemon->options.lookup.dirs[i]))
			return true;
	return false;
}

static void on_event(struct watch *watch, const struct inotify_event *event)
{
	struct folder *folder;

	if (event->mask & IN_Q_OVERFLOW) {
		watch->rescan = true;
		return;
	}
	HASH_FIND_INT(watch->folders, &event->wd, folder);
	if (!folder)
		return;
	if (event->mask & IN_IGNORED) {
		/* The folder above says what became of drop-ins. */
		watch->rescan |= folder->kind != FOLDER_DROP_INS;
		forget_folder(watch, folder);
		return;
	}
	if (event->mask & IN_MOVE_SELF) {
		/* It is not what its path says any more; what it is now is found again. */
		watch->rescan = true;
		inotify_rm_watch(watch->fd, event->wd);
		return;
	}
	if (event->len == 0 || (event->mask & IN_CREATE && !(event->mask & IN_ISDIR) &&
				!complete_at_creation(folder->path, event->name)))
		return;
	if (folder->kind == FOLDER_UNITS)
		on_unit_event(watch, folder, event);
	else if (folder->kind == FOLDER_DROP_INS && str_has_suffix(event->name, ".conf"))
		apply(watch, folder->unit, folder->name);
	else if (event->mask & IN_ISDIR && event->mask & (IN_CREATE | IN_MOVED_TO))
		watch->rescan |= awaited(watch, folder, event->name);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;

	(void)status;
	(void)events;
	/* One buffer a turn of the loop: connections are not kept waiting by a flood of files. */
	n = read(watch->fd, buf, sizeof buf);
	for (char *at = buf; n > 0 && at < buf + n;) {
		const struct inotify_event *event = (const struct inotify_event *)at;

		on_event(watch, event);
		at += sizeof *event + event->len;
	}
	if (watch->rescan) {
		watch->rescan = false;
		add_all(watch);
		(void)loader_load_all(watch->daemon);
	}
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

int watch_create(struct daemon *daemon, struct watch **ret)
{
	struct watch *watch = calloc(1, sizeof *watch);
	int r;

	if (!watch)
		return -ENOMEM;
	watch->daemon = daemon;
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd < 0) {
		r = -errno;
		free(watch);
		return r;
	}
	r = uv_poll_init(&daemon->loop, &watch->poll, watch->fd);
	if (r < 0) {
		fd_close(watch->fd);
		free(watch);
		return r;
	}
	watch->poll.data = watch;
	add_all(watch);
	*ret = watch;
	return uv_poll_start(&watch->poll, UV_READABLE, on_readable);
}

void watch_destroy(struct watch *watch)
{
	struct folder *folder, *next;

	if (!watch)
		return;
	HASH_ITER(hh, watch->folders, folder, next)
	forget_folder(watch, folder);
	uv_close((uv_handle_t *)&watch->poll, on_closed);
	fd_close(watch->fd);
}
