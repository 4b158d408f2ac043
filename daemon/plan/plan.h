/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "arena.h"
#include "blob.h"
#include "host.h"
#include "mounts.h"
#include "oci-image.h"
#include "resources.h"
#include "slice.h"
#include "spec.h"
#include "syscalls.h"

/* Everything that can be known about a start before it happens: flat, immutable, shared by the site and by
 * starts under way. Content that several sites have in common is kept once (struct blob). */

struct plan_limit {
	int resource; /* RLIMIT_* */
	struct rlimit limit;
};

/* What DynamicUser= is to a plan: itself in a user namespace, elsewhere an id that is given out at the first
 * start. Number 1 of those that systemd does the same with. */
#define PLAN_DYNAMIC_ID 61184

#define PLAN_PRIVATE_IDS    65536u /* users of a user namespace */
#define OCI_SEARCH_PATH_MAX 2048   /* bytes of a folder of an image's PATH */

/* RootOCI=: the image, and what it leaves to be done or the unit overrides. Strings are the image's, the spec's
 * or the plan's. */
struct plan_oci {
	struct oci_cache *cache;
	struct oci_image *image;                      /* one reference is the plan's */
	const char *layers_dir;                       /* where its layers lie; the host's */
	const char *const *argv, *const *search_path; /* NULL-terminated; folders end in '/' */
	const char *working_directory;                /* NULL: "/" */
};

struct launch_plan {
	unsigned refs; /* counted on the loop's thread only */
	struct arena arena;
	struct site_spec *spec; /* owned: the plan's strings are the spec's */

	const char *cgroup;     /* relative to torpor's own: "example.com.site" or
				   "a.slice/a-b.slice/example.com.site" */
	struct blob *resources; /* a struct resource_list */
	struct blob *devices;   /* an array of struct bpf_insn; NULL: every device is allowed */

	const char *const *envp; /* NULL-terminated; EnvironmentFile= comes on top of it at each start */
	uid_t uid;               /* as counted in the user namespace, where there is one */
	gid_t gid;
	uint64_t bounding, ambient;      /* bit n is capability n */
	const struct plan_limit *limits; /* [n_limits] */
	unsigned n_limits;
	bool write_oom_score_adj;
	bool intercepts; /* some of the program's calls ask torpord first: syscalls notifies */

	struct blob *shared_mounts, *system_mounts, *unit_mounts; /* each a struct mount_list */
	struct blob *syscalls;                                    /* an array of struct sock_filter */
	struct blob *image;   /* RootImage=, a string; NULL: none. Its pool is the planner's */
	struct plan_oci *oci; /* NULL: no RootOCI= */
};

/* What plans are made with: facts of the host, shared content, user names looked up before. */
struct planner {
	const struct host *host; /* the caller's; constant */
	/* One for each kind of content: what stands for itself in one may be what another was made from. */
	struct blob_pool mounts, syscalls, resources, devices, images;
	/* For the default root, and for roots of sites' own; made at first use; one reference is the planner's.
	 */
	struct blob *shared_mounts[2];
	struct account *accounts; /* owned list */
	struct oci_cache oci_images;
	void (*image_unused)(void *context, const char *path);
	void *image_context;
};

void planner_init(struct planner *planner, const struct host *host);
void planner_finish(struct planner *planner);

/* Says when the last plan that names an image is gone, NULL nobody; context is passed on. */
void planner_on_image_unused(struct planner *planner, void (*unused)(void *context, const char *path),
			     void *context);

/* Looks user names up anew from now on. */
void planner_forget_accounts(struct planner *planner);

/* Compiles a spec. On success the plan owns the spec, and one reference to the plan is the caller's. On failure
 * the spec is still the caller's: -errno with *diag (-EINVAL: no such user or group, a program that cannot be
 * named; -EINPROGRESS: its image's layers are not unpacked; what oci_cache_get() says; -ENOMEM). */
int plan_create(struct planner *planner, struct site_spec *spec, struct launch_plan **ret, struct diag *diag);

/* What the limits of a slice come to (NULL: of one without a file): a blob with a struct resource_list, one
 * more reference of which is the caller's. NULL when out of memory. */
struct blob *plan_slice(struct planner *planner, const struct slice_spec *spec);

/* Whether the image that the plan was made with is what is on disk, with all its layers; true without one. */
bool plan_image_current(struct planner *planner, const struct launch_plan *plan);

/* What the plan starts, NULL-terminated; where it looks for a program without a '/'; where it starts it. */
static inline const char *const *plan_argv(const struct launch_plan *plan)
{
	return plan->oci ? plan->oci->argv : plan->spec->exec_start;
}

static inline const char *plan_working_directory(const struct launch_plan *plan)
{
	return plan->oci ? plan->oci->working_directory : plan->spec->working_directory;
}

struct launch_plan *plan_ref(struct launch_plan *plan);

/* Gives one reference up; the last one frees the plan and its spec. NULL is fine. */
void plan_unref(struct launch_plan *plan);

/* The plan for people and golden files: one line an operation, in the order in which they happen. */
void plan_dump(const struct launch_plan *plan, FILE *out);
