/* SPDX-License-Identifier: Apache-2.0 */
/* record.c - who owns a sandbox. */
#include "executor/record.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"

enum { RECORD_MAX = 4096 };

/* Start time of a process in clock ticks since boot, 0 when there is no such process. */
static uint64_t start_ticks(int pid)
{
    char path[32], text[1024];
    uint64_t ticks = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *p = strrchr(text, ')'); /* the name before it may hold anything */
    if (p == NULL ||
        sscanf(p,
               ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
               "%" SCNu64,
               &ticks) != 1)
        return 0;
    return ticks;
}

int exec_record_write(int at, const char *image, isol8_error *err)
{
    char text[512];

    int n = snprintf(text, sizeof(text),
                     "{\"version\":1,\"pid\":%d,\"startTicks\":%" PRIu64 ",\"createdMs\":%" PRId64
                     ",\"image\":\"%s\"}\n",
                     getpid(), start_ticks(getpid()), clock_wall_ms(), image);
    auto_close int fd = openat(at, ".record", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(err, errno, "cannot create a sandbox's record");
    int r = fd_write_all(fd, text, (size_t)n);
    if (r == 0)
        r = path_lock(fd, true, false);
    if (r == 0 && renameat(at, ".record", at, "record") < 0)
        r = -errno;
    if (r < 0)
        return err_sys(err, -r, "cannot write a sandbox's record");
    return take_fd(&fd);
}

int exec_record_keep(int at, bool is_strict, isol8_error *err)
{
    char text[64];

    int n = snprintf(text, sizeof(text), "{\"version\":1,\"strict\":%s}\n",
                     is_strict ? "true" : "false");
    return path_replace(at, "kept", text, (size_t)n, 0600, false, err);
}

/* What cannot be understood is kept all the same, and under the filter. */
static void read_kept(const struct isol8_host *h, const char *id, struct exec_record *out)
{
    auto_buf struct buf text = BUF_INIT(0);
    auto_json cJSON *j = NULL;
    char path[HOST_ID_SIZE + 8];

    (void)snprintf(path, sizeof(path), "%s/kept", id);
    if (faccessat(h->sandboxes_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    out->is_kept = out->is_strict = true;
    if (path_read(h->sandboxes_fd, path, RECORD_MAX, &text, NULL) == 0 &&
        json_parse(&j, buf_text(&text), text.len, path, NULL) == 0)
        out->is_strict = !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(j, "strict"));
}

int exec_record_read(const struct isol8_host *h, const char *id, struct exec_record *out,
                     isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(0);
    auto_json cJSON *j = NULL;
    char path[HOST_ID_SIZE + 8];

    *out = (struct exec_record){ 0 };
    read_kept(h, id, out);
    (void)snprintf(path, sizeof(path), "%s/record", id);
    int r = path_read(h->sandboxes_fd, path, RECORD_MAX, &text, err);
    if (r == 0)
        r = json_parse(&j, buf_text(&text), text.len, path, err);
    if (r < 0)
        return r;

    const cJSON *pid = cJSON_GetObjectItemCaseSensitive(j, "pid");
    const cJSON *ticks = cJSON_GetObjectItemCaseSensitive(j, "startTicks");
    const cJSON *created = cJSON_GetObjectItemCaseSensitive(j, "createdMs");
    const char *image = json_string(j, "image");
    if (!cJSON_IsNumber(pid) || !cJSON_IsNumber(ticks) || !cJSON_IsNumber(created) || image == NULL)
        return err_set(err, ISOL8_E_INVAL, "record of '%.12s' is incomplete", id);
    out->pid = pid->valueint;
    out->start_ticks = (uint64_t)ticks->valuedouble;
    out->created_ms = (int64_t)created->valuedouble;
    (void)snprintf(out->image, sizeof(out->image), "%s", image);
    return 0;
}

bool exec_record_owner_alive(const struct exec_record *rec)
{
    return rec->pid > 0 && start_ticks(rec->pid) == rec->start_ticks;
}

void exec_record_describe(const struct isol8_host *h, const char *id, isol8_owned *out)
{
    struct exec_record rec;
    bool has_record = exec_record_read(h, id, &rec, NULL) == 0;

    *out = (isol8_owned){ .created_ms = rec.created_ms,
                          .owner_pid = rec.pid,
                          .is_alive = has_record && exec_record_owner_alive(&rec),
                          .is_kept = rec.is_kept };
    (void)snprintf(out->id, sizeof(out->id), "%s", id);
    (void)snprintf(out->image, sizeof(out->image), "%s", has_record ? rec.image : "unknown");
}
