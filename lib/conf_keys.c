/* SPDX-License-Identifier: MIT */
/* The keys: what may stand in each, and what it is when it stands nowhere. */
#include <config.h>

#include "conf_in.h"

#include <stddef.h>
#include <string.h>

#define KIB INT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)
#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)
#define AT(member) offsetof(struct kii_conf, member)
#define QUOTED(text) "\"" text "\""

const struct kii_conf_key kii_conf_keys[] = {
	{ "docker", "runtime", KII_CONF_CHOICE, AT(docker.podman), .preset = QUOTED("docker"),
	  .words = { "docker", "podman" } },
	{ "docker", "socket_path", KII_CONF_SOCKET, AT(docker.socket_path) },
	{ "docker", "rootless", KII_CONF_BOOLEAN, AT(docker.rootless), .preset = "false" },
	{ "docker", "build_dir", KII_CONF_FOLDER, AT(docker.build_dir), 1, 1023 },
	{ "docker", "timeout", KII_CONF_DURATION, AT(docker.timeout_ms), SECOND, HOUR,
	  QUOTED("300 s") },
	{ "docker", "max_concurrent_pulls", KII_CONF_COUNT, AT(docker.max_concurrent_pulls),
	  1, 64, "2" },

	/* the sockets below it must fit into 107 bytes */
	{ "paths", "state_dir", KII_CONF_FOLDER, AT(paths.state_dir), 1, 1023,
	  QUOTED(KII_STATEDIR) },
	{ "paths", "run_dir", KII_CONF_FOLDER, AT(paths.run_dir), 1, 80, QUOTED(KII_RUNDIR) },
	{ "paths", "secrets", KII_CONF_FOLDER, AT(paths.secrets), 1, 1023,
	  QUOTED(KII_SYSCONFDIR "/secrets") },
	{ "paths", "layouts", KII_CONF_LAYOUTS, AT(paths.layouts), 1, KII_CONF_LAYOUTS_MAX,
	  "[" QUOTED(KII_SYSCONFDIR "/layouts") ", " QUOTED(KII_DATADIR "/layouts") "]" },

	{ "firmware", "image_prefix", KII_CONF_PREFIX, AT(firmware.image_prefix), 1, 128,
	  QUOTED("kiisrv-") },
	{ "firmware", "transport", KII_CONF_CHOICE, AT(firmware.bind),
	  .preset = QUOTED("archive"), .words = { "archive", "bind" } },
	{ "firmware", "timeout", KII_CONF_DURATION, AT(firmware.timeout_ms), SECOND, 24 * HOUR,
	  QUOTED("900 s") },
	{ "firmware", "idle_timeout", KII_CONF_DURATION, AT(firmware.idle_timeout_ms), SECOND,
	  24 * HOUR, QUOTED("300 s") },
	{ "firmware", "memory", KII_CONF_SIZE, AT(firmware.memory), 16 * MIB, TIB,
	  QUOTED("512 MiB") },
	{ "firmware", "cpus", KII_CONF_NUMBER, AT(firmware.cpus), 10, 1024000, "2" },
	{ "firmware", "pids", KII_CONF_COUNT, AT(firmware.pids), 1, 4194304, "128" },
	{ "firmware", "tmp", KII_CONF_SIZE, AT(firmware.tmp), MIB, TIB, QUOTED("256 MiB") },
	{ "firmware", "git_url", KII_CONF_GIT, AT(firmware.git_url), 1, 512,
	  QUOTED("https://github.com/kiibohd/controller.git") },
	{ "firmware", "git_refresh", KII_CONF_DURATION, AT(firmware.git_refresh_ms), 0, 720 * HOUR,
	  QUOTED("6 h") },

	{ "queue", "slots", KII_CONF_COUNT, AT(queue.slots), 0, 64, "0" },
	{ "queue", "operator_slots", KII_CONF_COUNT, AT(queue.operator_slots), 1, 64, "2" },
	{ "queue", "max_waiting", KII_CONF_COUNT, AT(queue.max_waiting), 1, 100000, "64" },
	{ "queue", "per_client", KII_CONF_COUNT, AT(queue.per_client), 1, 100000, "4" },

	{ "build", "memory", KII_CONF_SIZE, AT(build.memory), 16 * MIB, TIB, QUOTED("2 GiB") },
	{ "build", "cpus", KII_CONF_NUMBER, AT(build.cpus), 10, 1024000, "2" },
	{ "build", "timeout", KII_CONF_DURATION, AT(build.timeout_ms), SECOND, 24 * HOUR,
	  QUOTED("1 h") },
	{ "build", "idle_timeout", KII_CONF_DURATION, AT(build.idle_timeout_ms), SECOND,
	  24 * HOUR, QUOTED("15 min") },
	{ "build", "upload", KII_CONF_SIZE, AT(build.upload), KIB, TIB, QUOTED("256 MiB") },
	{ "build", "context", KII_CONF_SIZE, AT(build.context), MIB, TIB, QUOTED("1 GiB") },
	{ "build", "context_files", KII_CONF_COUNT, AT(build.context_files), 1, 100000000,
	  "100000" },
	{ "build", "allow_file", KII_CONF_BOOLEAN, AT(build.allow_file), .preset = "false" },
	{ "build", "allow_http", KII_CONF_BOOLEAN, AT(build.allow_http), .preset = "false" },
	{ "build", "allow_private", KII_CONF_BOOLEAN, AT(build.allow_private),
	  .preset = "false" },
	{ "build", "known_hosts", KII_CONF_FOLDER, AT(build.known_hosts), 1, 1023,
	  QUOTED(KII_SYSCONFDIR "/known_hosts") },
	{ "build", "max_source", KII_CONF_SIZE, AT(build.max_source), MIB, TIB,
	  QUOTED("1 GiB") },
	{ "build", "source_timeout", KII_CONF_DURATION, AT(build.source_timeout_ms), SECOND,
	  24 * HOUR, QUOTED("10 min") },
	{ "build", "source_network", KII_CONF_NETWORK, AT(build.source_network), 1, 128,
	  QUOTED("default") },

	{ "http", "body", KII_CONF_SIZE, AT(http.body), KIB, KII_CONF_BODY_MAX, QUOTED("2 MiB") },

	{ "limits", "log", KII_CONF_SIZE, AT(limits.log), 4 * KIB, GIB, QUOTED("16 MiB") },
	{ "limits", "artifact", KII_CONF_SIZE, AT(limits.artifact), KIB, GIB,
	  QUOTED("64 MiB") },
	{ "limits", "disk_floor", KII_CONF_SIZE, AT(limits.disk_floor), 0, 1024 * TIB,
	  QUOTED("1 GiB") },

	{ "retention", "artifacts", KII_CONF_SIZE, AT(retention.artifacts), MIB, 1024 * TIB,
	  QUOTED("2 GiB") },
	{ "retention", "artifact_days", KII_CONF_COUNT, AT(retention.artifact_days), 1, 36500,
	  "30" },
	{ "retention", "log_days", KII_CONF_COUNT, AT(retention.log_days), 1, 36500, "90" },
	{ "retention", "audit_days", KII_CONF_COUNT, AT(retention.audit_days), 1, 36500, "365" },
	{ "retention", "build_cache", KII_CONF_SIZE, AT(retention.build_cache), 0, 1024 * TIB,
	  QUOTED("10 GiB") },
	{ "retention", "working_containers", KII_CONF_DURATION,
	  AT(retention.working_containers_ms), 0, 720 * HOUR, QUOTED("1 h") },

	{ "containers", "bind_roots", KII_CONF_PATHS, AT(containers.bind_roots), 0, 32, "[]" },
	{ "containers", "capabilities", KII_CONF_CAPS, AT(containers.capabilities), 0, 48, "[]" },
	{ "containers", "devices", KII_CONF_PATHS, AT(containers.devices), 0, 32, "[]" },
	{ "containers", "privileged", KII_CONF_BOOLEAN, AT(containers.privileged),
	  .preset = "false" },
	{ "containers", "host_namespaces", KII_CONF_BOOLEAN, AT(containers.host_namespaces),
	  .preset = "false" },
	{ "containers", "container_namespaces", KII_CONF_BOOLEAN,
	  AT(containers.container_namespaces), .preset = "false" },
};
const size_t kii_conf_n_keys = KII_COUNT(kii_conf_keys);

const struct kii_conf_key *kii_conf_find(const char *table, const char *name)
{
	for (size_t i = 0; i < kii_conf_n_keys; i++) {
		const struct kii_conf_key *key = &kii_conf_keys[i];

		if (strcmp(key->table, table) == 0 && strcmp(key->name, name) == 0)
			return key;
	}
	return NULL;
}

void *kii_conf_place(const struct kii_conf *conf, const struct kii_conf_key *key)
{
	return (char *)conf + key->offset;
}
