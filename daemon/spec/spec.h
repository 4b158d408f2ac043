/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "address.h"
#include "diag.h"
#include "lookup.h"
#include "source.h"

#define SPEC_INFINITY UINT64_MAX       /* "infinity" for times and limits */
#define SPEC_UNSET    (UINT64_MAX - 1) /* the key was not assigned: the kernel's own value stays */

/* "50%" where a number of bytes or of tasks stands: this bit and the share of what the host has, in hundredths
 * of a percent. No other number but the two above has it. */
#define SPEC_SHARE (UINT64_C(1) << 63)

/* All of RestrictNamespaces=, flags of <sched.h>. */
#define SPEC_NAMESPACES                                                                                        \
	(CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWTIME |          \
	 CLONE_NEWUSER | CLONE_NEWUTS)

#define SPEC_FILE_BYTES    (1024 * 1024) /* the largest unit file */
#define SPEC_LINE_BYTES    32768         /* the longest line, joined continuations included */
#define SPEC_LISTENERS_MAX 64            /* listeners of one site */
#define SPEC_LIST_MAX      1024          /* entries of any list key */
#define SPEC_TEMPLATES_MAX 16            /* depth of a Template= chain */

/* Where a value stood: for errors that show only when the container starts. file belongs to the spec. */
struct origin {
	const char *file;
	unsigned line;
};

struct listener_spec {
	struct address address;
	const char *fd_name; /* FileDescriptorName=, default: the site's name, '_' for ':' */
	const struct address
		*bind; /* BindAddress=, BindPort= (then of family AF_UNSPEC); NULL: its own address */
};

/* What the program binds to when it means this listener. */
static inline const struct address *listener_bind(const struct listener_spec *listener)
{
	return listener->bind ? listener->bind : &listener->address;
}

/* BindPaths=, BindReadOnlyPaths=, TemporaryFileSystem= in the order they were written. */
enum mount_kind { MOUNT_BIND, MOUNT_BIND_READ_ONLY, MOUNT_TMPFS };
struct mount_spec {
	enum mount_kind kind;
	bool optional;       /* "-" before the source: a missing source is passed over */
	bool recursive;      /* rbind (the default) or norbind */
	const char *source;  /* absolute, normalised; NULL for a tmpfs */
	const char *target;  /* absolute, normalised */
	const char *options; /* tmpfs: "size=10M,mode=0700"; else NULL */
};

/* InaccessiblePaths=, ReadOnlyPaths=, ReadWritePaths= in the order they were written; stricter kinds are
 * larger. */
enum path_kind { PATH_READ_WRITE, PATH_READ_ONLY, PATH_INACCESSIBLE };
struct path_spec {
	enum path_kind kind;
	bool optional;    /* "-" before it: a missing one is passed over */
	const char *path; /* absolute, normalised, as the site sees it */
};

/* AppArmorProfile=, SELinuxContext= */
struct label_spec {
	const char *name;
	bool optional; /* "-" before it: where it cannot be set, the site starts without */
	struct origin origin;
};

/* PrivateUsers= */
enum private_users { USERS_DEFAULT, USERS_PRIVATE, USERS_HOST };

/* ProtectProc= */
enum protect_proc { PROC_DEFAULT, PROC_NO_ACCESS, PROC_INVISIBLE, PROC_PTRACEABLE };

enum output_kind { OUTPUT_JOURNAL, OUTPUT_NULL, OUTPUT_INHERIT, OUTPUT_FILE, OUTPUT_APPEND, OUTPUT_TRUNCATE };
struct output_spec {
	enum output_kind kind;
	const char *path; /* file:PATH, append:PATH, truncate:PATH; else NULL */
};

struct limit_spec {
	int resource;        /* RLIMIT_* */
	uint64_t soft, hard; /* SPEC_INFINITY is RLIM_INFINITY */
};

/* IODeviceWeight= and the four limits of a device's use, in the order they were written. */
enum io_limit_kind {
	IO_DEVICE_WEIGHT,
	IO_READ_BANDWIDTH,
	IO_WRITE_BANDWIDTH,
	IO_READ_IOPS,
	IO_WRITE_IOPS,
	IO_LIMIT_KINDS
};
struct io_limit_spec {
	enum io_limit_kind kind;
	const char *path; /* absolute, normalised: a block device, or any file of the file system on it */
	uint64_t value;   /* 1..10000; bytes or operations a second; SPEC_INFINITY */
};

/* DeviceAllow= */
enum device_access { DEVICE_MAKE = 1, DEVICE_READ = 2, DEVICE_WRITE = 4 }; /* linux/bpf.h: BPF_DEVCG_ACC_* */
struct device_spec {
	const char *name; /* a path below /dev, "char-NAME" or "block-NAME", where NAME may be a pattern */
	unsigned access;  /* enum device_access */
};
enum device_policy { DEVICES_AUTO, DEVICES_CLOSED, DEVICES_STRICT };

/* [Resources] of a site or of a slice, written to the files of the same meaning in cgroup v2. SPEC_UNSET leaves
 * the kernel's value; SPEC_INFINITY is "max". Sizes and tasks_max may be a SPEC_SHARE. */
struct resource_spec {
	uint64_t cpu_weight;              /* 1..10000; 0: idle */
	uint64_t cpu_quota_us;            /* CPUQuota=80%: microseconds a second (800000) */
	uint64_t cpu_quota_period_us;     /* default 100 ms */
	const char *allowed_cpus;         /* "0-3 8" as the kernel's list "0-3,8", or NULL */
	const char *allowed_memory_nodes; /* the same */
	uint64_t memory_min, memory_low, memory_high, memory_max, memory_swap_max, memory_zswap_max; /* bytes */
	uint64_t io_weight;                    /* 1..10000 */
	const struct io_limit_spec *io_limits; /* [n_io_limits], one a kind and path */
	unsigned n_io_limits;
	bool require_limits; /* no start where one of them cannot be had */
	uint64_t tasks_max;  /* default of sites 512, of slices none */
};

/* RestrictAddressFamilies=: whether its first assignment named what is allowed or what is refused. */
enum families_mode { FAMILIES_DEFAULT, FAMILIES_ALLOW, FAMILIES_REFUSE };

enum handover { HANDOVER_AUTO, HANDOVER_LISTEN_FDS, HANDOVER_BIND, HANDOVER_STDIN };

/* As Handover= has it. */
const char *handover_name(enum handover handover);

/* Whether the program has its listeners from descriptor 3 on, with LISTEN_FDS= and its kin. */
static inline bool handover_offers(enum handover handover)
{
	return handover == HANDOVER_AUTO || handover == HANDOVER_LISTEN_FDS;
}

/* Whether the program's own bind(2) gets it a listener. */
static inline bool handover_intercepts(enum handover handover)
{
	return handover == HANDOVER_AUTO || handover == HANDOVER_BIND;
}

enum service_type { TYPE_SIMPLE, TYPE_NOTIFY };
enum notify_access { NOTIFY_NONE, NOTIFY_MAIN, NOTIFY_ALL };
enum swap_full_action { SWAP_FULL_STOP, SWAP_FULL_NONE }; /* SwapFullAction=stop|none */
enum keep { KEEP_NONE, KEEP_WARM, KEEP_AWAKE };           /* Keep=no|warm|awake */

/* An effective unit: what a site's file, its templates and drop-ins come to, specifiers expanded. Immutable.
 * Lists are NULL where empty. The struct and all it points to but its resources are one block of memory of
 * exactly its size. */
struct blob;
struct site_spec {
	const char *name;

	/* [Site] */
	const char *description;      /* default: the name */
	const char *const *templates; /* the chain, nearest first, NULL-terminated; NULL: none */
	bool enabled;
	const char *slice; /* Slice=: the group's name, or NULL */

	/* [Socket] */
	const struct listener_spec *listeners; /* [n_listeners], in the order of the file */
	unsigned n_listeners;
	unsigned backlog;                       /* default 4096 */
	const char *socket_user, *socket_group; /* owner of unix sockets; NULL: the user's group, root */
	mode_t socket_mode, directory_mode;     /* defaults 0666, 0755 */
	bool reuse_port, free_bind, keep_alive, no_delay;
	int8_t bind_ipv6_only; /* -1: the host's default, 0: both, 1: ipv6-only */
	uint16_t n_sources;
	const struct source_rule *sources; /* IPAddressAllow=, IPAddressDeny=: [n_sources] */
	uint64_t defer_accept_us;          /* DeferAcceptSec=, up to an hour; 0: off */
	unsigned wake_limit_burst; /* WakeLimitBurst=: wakes of one source in an interval; 0: any number */
	uint64_t wake_limit_interval_us;

	/* [Container] */
	const char *const *exec_start; /* argv, NULL-terminated; [0] is the path as written (may hold no '/');
					  with root_oci NULL: the image says */
	struct origin exec_origin;     /* where that is said */
	const char *user, *group;      /* names or numbers; NULL: nobody, and the user's group */
	const char *const *parameters; /* Parameters=, NULL-terminated; NULL: none */
	const char *root_directory, *root_image, *root_oci; /* one of them at most; NULL: the default root */
	const char *overlay;             /* Overlay=: "tmpfs" or an absolute path; NULL: none */
	const char *working_directory;   /* NULL: "/" */
	bool working_directory_optional; /* "-" before it */
	const struct mount_spec *mounts; /* [n_mounts] */
	unsigned n_mounts;
	unsigned n_paths;
	const struct path_spec *paths;        /* [n_paths] */
	int16_t system_call_error;            /* SystemCallErrorNumber=: an errno or SYSCALL_KILL; 0: not set */
	const char *const *environment;       /* "NAME=value", later ones win, NULL-terminated */
	const char *const *environment_files; /* with their "-" where optional, NULL-terminated */
	const char *network; /* Network=: NULL: loopback only; "host", or a CNI network's name */
	bool non_blocking;   /* NonBlocking=: listeners are handed over with O_NONBLOCK */
	bool lock_personality, memory_deny_write_execute, restrict_realtime, restrict_suid_sgid;
	bool namespaces_set;                          /* RestrictNamespaces= was assigned */
	int8_t families_mode;                         /* enum families_mode */
	int8_t protect_proc;                          /* enum protect_proc; default PROC_DEFAULT */
	const struct label_spec *app_armor, *selinux; /* NULL: torpord's own */
	int8_t private_users;                         /* enum private_users; default USERS_DEFAULT: see below */
	bool dynamic_user;                            /* DynamicUser=: user is NULL then */
	const struct limit_spec *limits;              /* [n_limits], one a resource */
	unsigned n_limits;
	unsigned namespaces;   /* RestrictNamespaces=: CLONE_NEW* that the site may use; default none */
	uint64_t capabilities; /* CapabilityBoundingSet=, AmbientCapabilities=: bit n is CAP n; default 0 */
	uint64_t ambient_capabilities;
	const char *system_calls; /* SystemCallFilter= as syscall-filter.h describes it; NULL: @container */
	uint64_t families;        /* RestrictAddressFamilies=: bit n is family n, as families_mode says */
	enum handover handover;   /* default HANDOVER_AUTO */
	enum service_type type;
	enum notify_access notify_access;
	bool accept_when_ready;
	int kill_signal;                                    /* default SIGTERM */
	uint64_t drain_us;                                  /* DrainSec=; 0: not */
	uint64_t timeout_start_us, timeout_stop_us;         /* defaults 90 s, 30 s; SPEC_INFINITY: none */
	struct output_spec standard_output, standard_error; /* defaults journal, inherit (as stdout) */
	const char *syslog_identifier;                      /* default: the name */
	mode_t umask;                                       /* default 0022 */
	int oom_score_adjust;                               /* default 0 */
	int nice;                                           /* default 0 */
	enum device_policy device_policy;                   /* default DEVICES_CLOSED */
	const struct device_spec *devices;                  /* DeviceAllow=: [n_devices], one a name */
	unsigned n_devices;

	const struct resource_spec *resources; /* [Resources]; shared by the specs in which they are the same */
	struct blob *resource_blob;            /* where they are; NULL: the defaults */

	/* [Hibernate] */
	uint64_t freeze_after_us;   /* idle this long: freeze; default 30 s; SPEC_INFINITY: never */
	uint64_t page_out_after_us; /* idle this long, counted from the same instant: page out; default never */
	uint64_t stop_after_us;     /* idle this long, counted from the same instant: stop; default 10 min */
	double idle_cpu;            /* IdleCPU=: below this share of one CPU it is idle; default 0.01 (1%) */
	bool freeze_connections;    /* FreezeConnections=: open ones may sleep; default yes */
	uint64_t request_timeout_us; /* RequestTimeoutSec=; 0: requests are not looked for; SPEC_INFINITY: none
				      */
	enum keep keep;              /* default KEEP_NONE */
	bool prefetch;               /* Prefetch=: fetch from the swap what was used before; default no */
	int8_t swap_full_action;     /* enum swap_full_action; default SWAP_FULL_STOP */
	const char *const *wake_on, *const *hibernate_on; /* calendars, NULL-terminated; NULL: none */
	uint64_t wake_ahead_us, keep_awake_us;            /* before, and after, each of wake_on; default 0 */
	int priority; /* Priority=: -100..100, higher wakes first; default 0 */
};

/* What the site has for its root; NULL: the default. */
static inline const char *spec_root(const struct site_spec *spec)
{
	return spec->root_image ? spec->root_image : spec->root_oci ? spec->root_oci : spec->root_directory;
}

/* Whether the site has a root of its own instead of the host's programs. */
static inline bool spec_has_root(const struct site_spec *spec)
{
	return spec_root(spec) != NULL;
}

/* Whether the site has a user namespace, in which its users are others than the host's. */
static inline bool spec_has_private_users(const struct site_spec *spec)
{
	return spec->private_users == USERS_DEFAULT ? spec_has_root(spec)
						    : spec->private_users == USERS_PRIVATE;
}

/* Whether the site is on a CNI network, which is to be attached to before a start. */
static inline bool spec_names_network(const struct site_spec *spec)
{
	return spec->network && __builtin_strcmp(spec->network, "host") != 0;
}

/* Reads the unit that is in force for site `name`: its file, the templates of its chain (furthest first), the
 * drop-ins of each, then expands specifiers and checks the whole. 0 and *ret, to be freed with spec_free();
 * or -errno with *diag saying why (-ENOENT: there is no such file; -EINVAL: refused). A spec that is
 * disabled (Enabled=no) loads like any other. Nothing outside the lookup folders is opened but the machine's
 * and the boot's id, where %m or %b asks for them. cache may be NULL; with one, a template's text is read and
 * parsed once for all sites. */
struct spec_cache;
int spec_load(const struct lookup *lookup, struct spec_cache *cache, const char *name, struct site_spec **ret,
	      struct diag *diag);

/* The same for a file that need not be in force: `torporctl verify FILE`. The name is the file's; templates
 * are looked up in `lookup`, drop-ins beside the file. */
int spec_load_file(const struct lookup *lookup, const char *path, struct site_spec **ret, struct diag *diag);

/* Loads a template by itself, for a site called "example.com": ExecStart= and listeners may be missing, and are
 * NULL then. As spec_load_file(). */
int spec_load_template(const struct lookup *lookup, const char *path, struct site_spec **ret,
		       struct diag *diag);

/* Checks a template or a drop-in by itself, as spec_load_template() reads one. */
int spec_check_fragment(const struct lookup *lookup, const char *path, struct diag *diag);

void spec_free(struct site_spec *spec);

/* Remembers parsed template files for the time of one load of many sites. Templates that change are noticed
 * by spec_cache_clear() alone. NULL when out of memory. */
struct spec_cache *spec_cache_create(void);
void spec_cache_clear(struct spec_cache *cache);
void spec_cache_destroy(struct spec_cache *cache);

/* The effective unit as a unit file that loads to the same spec: every key of the table that differs from its
 * default, or with all = true every key, in the table's order. Values may hold any byte a file may;
 * the printer escapes. Template= is a comment there: what the templates say is in the dump itself. */
void spec_dump(const struct site_spec *spec, bool all, FILE *out);

/* Whether two specs say the same; with started = true, of what a container that runs does not follow. False
 * when out of memory. */
bool spec_same(const struct site_spec *a, const struct site_spec *b, bool started);
