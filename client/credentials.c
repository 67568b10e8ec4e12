/* SPDX-License-Identifier: Apache-2.0 */
/* credentials.c - ~/.isol8/credentials.json, and the choice of a key. */
#include "client/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "client/address.h"

#define DIRECTORY ".isol8"
#define FILE_NAME "credentials.json"
#define FILE_MAX 65536u
#define KEY_MAX 4096u

void client_credentials_done(struct client_credentials *c)
{
    free(c->host);
    free(c->token);
    free(c->expires_at);
    free(c->key_id);
    *c = (struct client_credentials){ 0 };
}

/* Return: descriptor of ~/.isol8, or -1 with errno set. */
static int open_directory(const char *home)
{
    auto_close int at = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return at < 0 ? -1 : openat(at, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int parse(struct client_credentials *c, const struct buf *text, isol8_error *err)
{
    auto_json cJSON *j = NULL;

    int r = json_parse(&j, buf_text(text), text->len, FILE_NAME, err);
    if (r < 0)
        return r;
    c->host = mem_strdup(json_string(j, "host"));
    c->token = mem_strdup(json_string(j, "token"));
    c->expires_at = mem_strdup(json_string(j, "expiresAt"));
    c->key_id = mem_strdup(json_string(j, "keyId"));
    if (c->host == NULL || c->token == NULL || c->expires_at == NULL)
        return err_set(err, ISOL8_E_INVAL, FILE_NAME ": a member is missing");
    return 0;
}

int client_credentials_read(struct client_credentials *c, const char *home, isol8_error *err)
{
    auto_close int at = open_directory(home);
    auto_buf struct buf text = BUF_INIT(FILE_MAX);
    struct stat st;

    *c = (struct client_credentials){ 0 };
    if (at < 0)
        return err_sys(err, errno, "cannot open '%s/" DIRECTORY "'", home);
    auto_close int fd = openat(at, FILE_NAME,
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(err, errno, "cannot open '" FILE_NAME "'");
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return err_set(err, ISOL8_E_INVAL, FILE_NAME " is not a file of yours");
    if ((st.st_mode & 077) != 0)
        (void)fchmod(fd, 0600); /* better late: the token is of use all the same */
    int r = fd_read_all(fd, &text);
    return r < 0 ? err_sys(err, -r, "cannot read '" FILE_NAME "'") : parse(c, &text, err);
}

int client_credentials_write(const struct client_credentials *c, const char *home, isol8_error *err)
{
    const char *const members[][2] = {
        { "host", c->host },
        { "token", c->token },
        { "expiresAt", c->expires_at },
        { "keyId", c->key_id },
    };
    auto_close int at = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_json cJSON *j = cJSON_CreateObject();
    auto_buf struct buf text = BUF_INIT(FILE_MAX);

    if (at < 0)
        return err_sys(err, errno, "cannot open '%s'", home);
    if (mkdirat(at, DIRECTORY, 0700) < 0 && errno != EEXIST)
        return err_sys(err, errno, "cannot make '%s/" DIRECTORY "'", home);
    auto_close int dir = openat(at, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_sys(err, errno, "cannot open '%s/" DIRECTORY "'", home);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (members[i][1] != NULL &&
            !json_add_text(j, members[i][0], members[i][1], strlen(members[i][1])))
            return err_nomem(err);
    }
    if (!json_pretty(j, &text))
        return err_nomem(err);
    return path_replace(dir, FILE_NAME, buf_text(&text), text.len, 0600, true, err);
}

int client_credentials_remove(const char *home, isol8_error *err)
{
    auto_close int at = open_directory(home);

    if (at >= 0 && unlinkat(at, FILE_NAME, 0) == 0)
        return 1;
    return errno == ENOENT ? 0 : err_sys(err, errno, "cannot remove '" FILE_NAME "'");
}

enum client_key client_key_choose(const char *flag, const char *variable,
                                  const struct client_credentials *stored, const char *host,
                                  int64_t now_ms, const char **out)
{
    int64_t end;

    *out = flag != NULL && flag[0] != '\0' ? flag : variable;
    if (*out != NULL && (*out)[0] != '\0')
        return CLIENT_KEY_FOUND;
    *out = stored->token;
    if (stored->token == NULL || stored->token[0] == '\0' || stored->host == NULL ||
        !client_address_same(stored->host, host))
        return CLIENT_KEY_NONE;
    return stored->expires_at != NULL && clock_iso_parse(stored->expires_at, &end) && end > now_ms
               ? CLIENT_KEY_FOUND
               : CLIENT_KEY_EXPIRED;
}

bool client_key_is_valid(const char *key)
{
    size_t n = 0;

    while (key[n] >= 0x20 && key[n] < 0x7f)
        n++;
    return n > 0 && n <= KEY_MAX && key[n] == '\0';
}
