/* SPDX-License-Identifier: Apache-2.0 */
/**
 * spec.c - the config.json of a sandbox's bundle
 *
 * Written as text: nearly all of it is fixed, and what varies are numbers and paths that the engine
 * made itself (still escaped). No secret, environment or command of the user is in it: those reach
 * init through its socket, so that they never touch a disk.
 */
#include "oci/spec.h"

#include <inttypes.h>

static void add_string(struct buf *b, const char *s)
{
    (void)buf_adds(b, "\"");
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\' || c < 0x20)
            (void)buf_addf(b, "\\u%04x", c);
        else
            (void)buf_add(b, s, 1);
    }
    (void)buf_adds(b, "\"");
}

static void add_process(const struct oci_spec *s, struct buf *b)
{
    (void)buf_addf(b,
                   "\"process\":{\"user\":{\"uid\":%u,\"gid\":%u,\"umask\":18},"
                   "\"args\":[\"" OCI_INIT_PATH "\"],\"cwd\":\"/sandbox\",\"env\":[",
                   OCI_SANDBOX_UID, OCI_SANDBOX_GID);
    (void)buf_adds(b, "\"HOME=/sandbox\",\"PATH=");
    (void)buf_adds(b, s->search_path);
    /* No rlimits here: the runtime would set them from outside, which takes CAP_SYS_RESOURCE that
     * a confined root may lack; init lowers its own. */
    (void)buf_adds(b, "\"],\"capabilities\":{\"bounding\":[],\"effective\":[],\"inheritable\":[],"
                      "\"permitted\":[],\"ambient\":[]},\"noNewPrivileges\":true}");
}

static void add_mount(struct buf *b, const char *destination, const char *type, const char *source,
                      const char *options)
{
    (void)buf_addf(b, ",{\"destination\":\"%s\",\"type\":\"%s\",\"source\":", destination, type);
    add_string(b, source);
    (void)buf_addf(b, ",\"options\":[%s]}", options);
}

static void add_tmpfs(struct buf *b, const char *destination, bool exec, uint64_t bytes,
                      const char *mode)
{
    (void)buf_addf(b,
                   ",{\"destination\":\"%s\",\"type\":\"tmpfs\",\"source\":\"tmpfs\","
                   "\"options\":[\"nosuid\",\"nodev\",%s\"mode=%s\",\"uid=%u\",\"gid=%u\","
                   "\"size=%" PRIu64 "\"]}",
                   destination, exec ? "" : "\"noexec\",", mode, OCI_SANDBOX_UID, OCI_SANDBOX_GID,
                   bytes);
}

static void add_mounts(const struct oci_spec *s, struct buf *b)
{
    (void)buf_adds(b, ",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\","
                      "\"source\":\"proc\",\"options\":[\"nosuid\",\"noexec\",\"nodev\"]}");
    add_mount(b, "/dev", "tmpfs", "tmpfs",
              "\"nosuid\",\"noexec\",\"strictatime\",\"mode=755\",\"size=64k\"");
    add_mount(b, "/dev/pts", "devpts", "devpts",
              "\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\","
              "\"max=16\"");
    add_mount(b, "/dev/shm", "tmpfs", "shm",
              "\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=64m\"");
    add_tmpfs(b, "/sandbox", true, s->sandbox_bytes, "0755");
    add_tmpfs(b, "/tmp", false, s->tmp_bytes, "1777");
    for (size_t i = 0; i < s->n_binds; i++)
        add_mount(b, s->binds[i].destination, "bind", s->binds[i].source,
                  s->binds[i].noexec ? "\"bind\",\"ro\",\"nosuid\",\"nodev\",\"noexec\""
                                     : "\"bind\",\"ro\",\"nosuid\",\"nodev\"");
    (void)buf_adds(b, "]");
}

static void add_namespaces(const struct oci_spec *s, struct buf *b)
{
    (void)buf_adds(b, "\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},"
                      "{\"type\":\"uts\"},{\"type\":\"cgroup\"}");
    if (s->netns_path != NULL) {
        (void)buf_adds(b, ",{\"type\":\"network\",\"path\":");
        add_string(b, s->netns_path);
        (void)buf_adds(b, "}");
    } else if (!s->host_network) {
        (void)buf_adds(b, ",{\"type\":\"network\"}");
    }
    if (s->userns_path != NULL) {
        (void)buf_adds(b, ",{\"type\":\"user\",\"path\":");
        add_string(b, s->userns_path);
        (void)buf_addf(b,
                       "}],\"uidMappings\":[{\"containerID\":0,\"hostID\":%u,\"size\":65536}],"
                       "\"gidMappings\":[{\"containerID\":0,\"hostID\":%u,\"size\":65536}]",
                       s->userns_base, s->userns_base);
    } else {
        (void)buf_adds(b, "]");
    }
}

static void add_linux(const struct oci_spec *s, struct buf *b)
{
    (void)buf_adds(b, ",\"linux\":{");
    add_namespaces(s, b);
    (void)buf_adds(b, ",\"cgroupsPath\":");
    add_string(b, s->cgroups_path);
    (void)buf_adds(b,
                   ",\"resources\":{\"devices\":[{\"allow\":false,\"access\":\"rwm\"}]},"
                   "\"maskedPaths\":[\"/proc/acpi\",\"/proc/asound\",\"/proc/kcore\","
                   "\"/proc/keys\",\"/proc/latency_stats\",\"/proc/timer_list\","
                   "\"/proc/timer_stats\",\"/proc/sched_debug\",\"/proc/scsi\",\"/proc/kallsyms\","
                   "\"/proc/kmsg\",\"/proc/kpagecount\",\"/proc/kpageflags\","
                   "\"/proc/kpagecgroup\",\"/proc/interrupts\",\"/proc/config.gz\","
                   "\"/proc/cmdline\"],"
                   "\"readonlyPaths\":[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\","
                   "\"/proc/sysrq-trigger\"]");
    if (s->seccomp != NULL) {
        (void)buf_adds(b, ",\"seccomp\":");
        (void)buf_adds(b, s->seccomp);
    }
    (void)buf_adds(b, "}");
}

int oci_spec_write(const struct oci_spec *spec, struct buf *out, isol8_error *err)
{
    (void)buf_adds(out, "{\"ociVersion\":\"1.0.2\",");
    add_process(spec, out);
    (void)buf_addf(out, ",\"root\":{\"path\":\"rootfs\",\"readonly\":%s},\"hostname\":\"isol8\"",
                   spec->readonly_rootfs ? "true" : "false");
    add_mounts(spec, out);
    add_linux(spec, out);
    (void)buf_adds(out, "}\n");
    return out->failed ? err_nomem(err) : 0;
}
