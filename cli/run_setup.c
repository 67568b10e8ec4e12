/* SPDX-License-Identifier: Apache-2.0 */
/* run_setup.c - the setup script of what --setup gave: commands and files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/run.h"

/* A directory of that name is no script: then it is a command. */
static bool is_file(const char *value)
{
    struct stat st;

    return stat(value, &st) == 0 && !S_ISDIR(st.st_mode);
}

static int add_file(struct buf *script, const char *path)
{
    size_t start = script->len;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int r = fd < 0 ? -errno : fd_read_all(fd, script);

    if (r == -EFBIG)
        return 0; /* said for all of them together */
    if (r < 0)
        return cli_fail("Cannot read %s: %s", path, strerrordesc_np(-r));
    if (script->len > start && memchr(script->data + start, '\0', script->len - start) != NULL)
        return cli_fail("%s is no script: it has NUL bytes", path);
    return 0;
}

int run_setup_script(struct buf *script, const struct cli_values *given)
{
    for (size_t i = 0; i < given->n; i++) {
        const char *value = given->items[i];
        int code = 0;
        if (value[0] == '\0')
            continue;
        if (script->len > 0)
            (void)buf_adds(script, "\n");
        if (is_file(value))
            code = add_file(script, value);
        else
            (void)buf_adds(script, value);
        if (code != 0)
            return code;
    }
    if (script->failed)
        return cli_fail("The setup script is larger than %u bytes", RUN_SETUP_MAX);
    return 0;
}
