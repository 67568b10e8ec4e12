/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - the command line of isol8-server. */
#include "server/args.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/text.h"

#define KEY_FILE_MAX 4096

const char args_help[] =
    "Usage: isol8-server [options]\n"
    "\n"
    "Run programs in sandboxes for HTTP clients. The same as isol8 serve.\n"
    "\n"
    "Options:\n"
    "  -p, --port <port>        Port to listen on; else ISOL8_PORT, PORT, 3000\n"
    "  -k, --key <key>          Master API key; else ISOL8_API_KEY\n"
    "  --key-file <file>        Read the key from the first line of this file\n"
    "  --host-address <address> Listen here: an IP address, localhost, * (all), or\n"
    "                           unix:/PATH (default: localhost)\n"
    "  --tls-cert <file>        Certificate chain in PEM: speak TLS\n"
    "  --tls-key <file>         Its private key in PEM\n"
    "  --auth-db [conn]         Keys in a database: a file (SQLite), postgres:// or mysql://;\n"
    "                           else ISOL8_AUTH_DB (without a value: ~/.isol8/auth.db)\n"
    "  --config <file>          Use this configuration file and no other\n"
    "  --debug                  Print debug lines on stderr\n"
    "  -V, --version            Print the version\n"
    "  -h, --help               Show this help\n";

enum opt {
    OPT_PORT,
    OPT_KEY,
    OPT_KEY_FILE,
    OPT_ADDRESS,
    OPT_CERT,
    OPT_TLS_KEY,
    OPT_AUTH_DB,
    OPT_CONFIG,
    OPT_DEBUG,
    OPT_SERVE,
    OPT_VERSION,
    OPT_HELP,
    OPT_NONE
};

static const struct {
    char letter;
    const char *name;
    bool has_value;
    const char *bare; /* its value when none is given; NULL: one must be */
} opts[] = {
    [OPT_PORT] = { 'p', "port", true, NULL },
    [OPT_KEY] = { 'k', "key", true, NULL },
    [OPT_KEY_FILE] = { 0, "key-file", true, NULL },
    [OPT_ADDRESS] = { 0, "host-address", true, NULL },
    [OPT_CERT] = { 0, "tls-cert", true, NULL },
    [OPT_TLS_KEY] = { 0, "tls-key", true, NULL },
    [OPT_AUTH_DB] = { 0, "auth-db", true, ARGS_AUTH_DB },
    [OPT_CONFIG] = { 0, "config", true, NULL },
    [OPT_DEBUG] = { 0, "debug", false, NULL },
    [OPT_SERVE] = { 0, "as-serve", false, NULL },
    [OPT_VERSION] = { 'V', "version", false, NULL },
    [OPT_HELP] = { 'h', "help", false, NULL },
};

/* Which option a word is; *value gets what stands in the same word. */
static enum opt find(const char *word, const char **value)
{
    *value = NULL;
    for (size_t i = 0; i < ARRAY_LEN(opts); i++) {
        size_t n = strlen(opts[i].name);
        if (strncmp(word, "--", 2) == 0 && strncmp(word + 2, opts[i].name, n) == 0 &&
            (word[2 + n] == '\0' || (word[2 + n] == '=' && opts[i].has_value))) {
            *value = word[2 + n] == '=' ? word + 3 + n : NULL;
            return (enum opt)i;
        }
        if (opts[i].letter != 0 && word[0] == '-' && word[1] == opts[i].letter &&
            (word[2] == '\0' || opts[i].has_value)) {
            *value = word[2] != '\0' ? word + 2 : NULL;
            return (enum opt)i;
        }
    }
    return OPT_NONE;
}

static int set_text(char **text, const char *value, isol8_error *err)
{
    free(*text);
    *text = strdup(value);
    return *text == NULL ? err_nomem(err) : 0;
}

static int read_key(struct args *a, const char *file, isol8_error *err)
{
    auto_buf struct buf text = BUF_INIT(KEY_FILE_MAX);
    int r = path_read(AT_FDCWD, file, KEY_FILE_MAX, &text, err);

    if (r < 0)
        return err_wrap(err, r, "--key-file");
    if (text.len > 0)
        text.data[strcspn(text.data, "\r\n")] = '\0';
    r = set_text(&a->key, buf_text(&text), err);
    if (text.data != NULL)
        explicit_bzero(text.data, text.len);
    return r;
}

static int apply(struct args *a, enum opt o, const char *value, isol8_error *err)
{
    switch (o) {
    case OPT_PORT:
        a->port_text = value;
        a->port_source = "--port";
        break;
    case OPT_KEY:
        return set_text(&a->key, value, err);
    case OPT_KEY_FILE:
        return read_key(a, value, err);
    case OPT_ADDRESS:
        a->address = value;
        break;
    case OPT_CERT:
        a->tls_certificate = value;
        break;
    case OPT_TLS_KEY:
        a->tls_key = value;
        break;
    case OPT_AUTH_DB:
        return set_text(&a->auth_db, value, err);
    case OPT_CONFIG:
        a->config = value;
        break;
    case OPT_DEBUG:
        a->is_debug = true;
        break;
    case OPT_SERVE:
        a->is_serve = true;
        break;
    case OPT_VERSION:
        a->wants_version = true;
        break;
    case OPT_HELP:
        a->wants_help = true;
        break;
    case OPT_NONE:
        break;
    }
    return 0;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static int choose_port(struct args *a, isol8_error *err)
{
    static const char *const names[] = { "ISOL8_PORT", "PORT" };
    uint64_t port = ARGS_DEFAULT_PORT;

    for (size_t i = 0; a->port_text == NULL && i < ARRAY_LEN(names); i++) {
        a->port_text = variable(names[i]);
        a->port_source = names[i];
    }
    if (a->port_text != NULL && (!text_parse_u64(a->port_text, &port) || port < 1 || port > 65535))
        return err_set(err, ISOL8_E_INVAL, "Invalid port from %s: %s. Expected 1-65535.",
                       a->port_source, a->port_text);
    a->port = (uint16_t)port;
    return 0;
}

static int check(struct args *a, isol8_error *err)
{
    if (a->key == NULL && variable("ISOL8_API_KEY") != NULL &&
        set_text(&a->key, variable("ISOL8_API_KEY"), err) < 0)
        return ISOL8_E_NOMEM;
    if (a->auth_db == NULL && variable("ISOL8_AUTH_DB") != NULL &&
        set_text(&a->auth_db, variable("ISOL8_AUTH_DB"), err) < 0)
        return ISOL8_E_NOMEM;
    /* No program that we start has any business with them. */
    (void)unsetenv("ISOL8_API_KEY");
    (void)unsetenv("ISOL8_AUTH_DB");
    if (a->key == NULL || a->key[0] == '\0')
        return err_set(err, ISOL8_E_INVAL,
                       "API key required. Use --key or %sISOL8_API_KEY env var.",
                       a->is_serve ? "" : "set ");
    if ((a->tls_certificate == NULL) != (a->tls_key == NULL))
        return err_set(err, ISOL8_E_INVAL, "--tls-cert and --tls-key belong together.");
    return choose_port(a, err);
}

int args_parse(struct args *a, int argc, char **argv, isol8_error *err)
{
    *a = (struct args){ .wants_help = argc <= 1 };
    for (int i = 1; i < argc; i++) {
        const char *value;
        enum opt o = find(argv[i], &value);
        if (o == OPT_NONE)
            return err_set(err, ISOL8_E_INVAL, "Unknown argument: %s", argv[i]);
        bool is_bare = opts[o].bare != NULL && value == NULL &&
                       (i + 1 >= argc || argv[i + 1][0] == '-');
        if (is_bare) {
            value = opts[o].bare;
        } else if (opts[o].has_value && value == NULL) {
            if (i + 1 >= argc)
                return err_set(err, ISOL8_E_INVAL, "--%s needs a value.", opts[o].name);
            value = argv[++i];
        }
        int r = apply(a, o, value, err);
        if (r < 0)
            return r;
        /* Not for everybody who lists processes; the copies are ours. */
        if (o == OPT_KEY || (o == OPT_AUTH_DB && !is_bare))
            explicit_bzero((char *)value, strlen(value));
    }
    return a->wants_help || a->wants_version ? 0 : check(a, err);
}

void args_done(struct args *a)
{
    if (a->key != NULL)
        explicit_bzero(a->key, strlen(a->key));
    if (a->auth_db != NULL)
        explicit_bzero(a->auth_db, strlen(a->auth_db));
    free(a->key);
    free(a->auth_db);
}
