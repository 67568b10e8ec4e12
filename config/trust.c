/* SPDX-License-Identifier: Apache-2.0 */
/* trust.c - what a file that came with somebody's repository may not set. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "config/conf_internal.h"

static bool has_dotdot(const char *path)
{
    for (const char *p = path; *p != '\0';) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return true;
        p += n;
        p += strspn(p, "/");
    }
    return false;
}

/*
 * True when @path stays below the working directory, links on the way included: a repository can
 * bring a link as well as a name. Whoever creates the path later must open it the same way.
 */
static bool is_inside(const char *path)
{
    char cwd[4096];
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH };

    if (path[0] == '/') {
        if (getcwd(cwd, sizeof(cwd)) == NULL)
            return false;
        size_t n = strlen(cwd);
        if (strncmp(path, cwd, n) != 0 || path[n] != '/')
            return false;
        path += n + strspn(path + n, "/");
    }
    if (has_dotdot(path))
        return false;
    if (path[0] == '\0')
        return true;

    long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    if (fd >= 0) {
        (void)fd_close((int)fd);
        return true;
    }
    return errno == ENOENT;
}

static bool is_word_of(const char *word, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(*words, word) == 0)
            return true;
    }
    return false;
}

bool conf_trust_allows(const struct conf_key *key, const cJSON *value)
{
    switch (key->trust) {
    case CONF_ANYONE:
        return true;
    case CONF_INSIDE:
        return is_inside(cJSON_GetStringValue(value));
    case CONF_WORDS_BELOW:
        return is_word_of(cJSON_GetStringValue(value), key->project_words);
    case CONF_TRUSTED:
    case CONF_TRUST__MAX:
        break;
    }
    return false;
}
