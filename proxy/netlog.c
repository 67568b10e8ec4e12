/* SPDX-License-Identifier: Apache-2.0 */
/* netlog.c - one record per decision, bounded. */
#include "proxy/netlog.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

struct record {
    struct netlog_entry e; /* its texts lie in @text or are NULL */
    size_t size;           /* of all this */
    char text[];
};

struct netlog {
    struct record **records; /* owned */
    size_t n;
    size_t cap;
    size_t bytes; /* of all records */
    size_t dropped;
    size_t tail; /* all from here on are blocked ones */
};

int netlog_new(struct netlog **out, isol8_error *err)
{
    *out = calloc(1, sizeof(**out));
    return *out != NULL ? 0 : err_nomem(err);
}

void netlog_free(struct netlog *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->n; i++)
        free(l->records[i]);
    free(l->records);
    free(l);
}

static bool is_printable(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

/* Copy at most @max bytes of the escaped text and a NUL. @to NULL: only measure. Return: bytes with
 * the NUL. An escape is not cut. */
static size_t copy_text(char *to, const char *s, size_t max)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        size_t k = is_printable(c) ? 1 : 3;
        if (n + k > max)
            break;
        if (to != NULL && k == 1) {
            to[n] = *s;
        } else if (to != NULL) {
            to[n] = '%';
            to[n + 1] = hex[c >> 4];
            to[n + 2] = hex[c & 15];
        }
        n += k;
    }
    if (to != NULL)
        to[n] = '\0';
    return n + 1;
}

/* The texts of an entry and how long each may be. */
struct text_field {
    const char **text;
    size_t max;
};

enum { TEXTS = 6 };

static void list_texts(struct netlog_entry *e, struct text_field out[TEXTS])
{
    out[0] = (struct text_field){ &e->method, NETLOG_METHOD_MAX };
    out[1] = (struct text_field){ &e->host, NETLOG_HOST_MAX };
    out[2] = (struct text_field){ &e->path, NETLOG_PATH_MAX };
    out[3] = (struct text_field){ &e->rule, NETLOG_RULE_MAX };
    out[4] = (struct text_field){ &e->reason, NETLOG_TEXT_MAX };
    out[5] = (struct text_field){ &e->error, NETLOG_TEXT_MAX };
}

static struct record *make_record(const struct netlog_entry *e)
{
    struct netlog_entry entry = *e;
    struct text_field fields[TEXTS];
    size_t size = sizeof(struct record);

    if (entry.method == NULL)
        entry.method = "UNKNOWN";
    if (entry.host == NULL)
        entry.host = "";
    list_texts(&entry, fields);
    for (size_t i = 0; i < TEXTS; i++) {
        if (*fields[i].text != NULL)
            size += copy_text(NULL, *fields[i].text, fields[i].max);
    }

    struct record *r = malloc(size);
    if (r == NULL)
        return NULL;
    char *at = r->text;
    for (size_t i = 0; i < TEXTS; i++) {
        if (*fields[i].text == NULL)
            continue;
        size_t n = copy_text(at, *fields[i].text, fields[i].max);
        *fields[i].text = at;
        at += n;
    }
    r->e = entry;
    r->size = size;
    return r;
}

static bool fits(const struct netlog *l, size_t size)
{
    return l->n < NETLOG_ENTRIES_MAX && size <= NETLOG_BYTES_MAX - l->bytes;
}

/* Remove the latest allowed entry. False when there is none. */
static bool evict(struct netlog *l)
{
    while (l->tail > 0 && !l->records[l->tail - 1]->e.is_allowed)
        l->tail--;
    if (l->tail == 0)
        return false;

    size_t at = --l->tail;
    l->bytes -= l->records[at]->size;
    free(l->records[at]);
    l->n--;
    memmove(l->records + at, l->records + at + 1, (l->n - at) * sizeof(*l->records));
    l->dropped++;
    return true;
}

static bool grow(struct netlog *l)
{
    size_t cap = l->cap == 0 ? 16 : 2 * l->cap;

    if (l->n < l->cap)
        return true;
    struct record **records = reallocarray(l->records, cap, sizeof(struct record *));
    if (records == NULL)
        return false;
    l->records = records;
    l->cap = cap;
    return true;
}

bool netlog_add(struct netlog *l, const struct netlog_entry *e)
{
    struct record *r = make_record(e);

    if (r != NULL && !e->is_allowed) {
        while (!fits(l, r->size) && evict(l)) {
        }
    }
    if (r == NULL || !fits(l, r->size) || !grow(l)) {
        free(r);
        l->dropped++;
        return false;
    }
    l->records[l->n++] = r;
    l->bytes += r->size;
    if (e->is_allowed)
        l->tail = l->n;
    return true;
}

size_t netlog_count(const struct netlog *l)
{
    return l->n;
}

size_t netlog_dropped(const struct netlog *l)
{
    return l->dropped;
}

static bool add_string(cJSON *j, const char *key, const char *text)
{
    return cJSON_AddStringToObject(j, key, text) != NULL;
}

static bool add_number(cJSON *j, const char *key, double v)
{
    return cJSON_AddNumberToObject(j, key, v) != NULL;
}

/* Left out when there is none. */
static bool add_optional(cJSON *j, const char *key, const char *text)
{
    return text == NULL || add_string(j, key, text);
}

cJSON *netlog_json(const struct netlog *l, size_t i)
{
    const struct netlog_entry *e = &l->records[i]->e;
    auto_json cJSON *j = cJSON_CreateObject();
    char timestamp[CLOCK_ISO_SIZE];
    bool ok;

    clock_iso(e->wall_ms, timestamp);
    ok = add_string(j, "timestamp", timestamp) && add_string(j, "method", e->method) &&
         add_string(j, "host", e->host) &&
         (e->path != NULL ? add_string(j, "path", e->path)
                          : cJSON_AddNullToObject(j, "path") != NULL) &&
         add_string(j, "action", e->is_allowed ? "ALLOW" : "BLOCK") &&
         add_number(j, "durationMs", (double)e->duration_ms) && add_number(j, "port", e->port) &&
         add_optional(j, "rule", e->rule) && add_optional(j, "reason", e->reason) &&
         add_number(j, "bytesIn", (double)e->bytes_in) &&
         add_number(j, "bytesOut", (double)e->bytes_out) && add_optional(j, "error", e->error);
    return ok ? take_ptr(&j) : NULL;
}

cJSON *netlog_event_json(const struct netlog *l, size_t i)
{
    const struct netlog_entry *e = &l->records[i]->e;
    char timestamp[CLOCK_ISO_SIZE];

    if (e->is_allowed)
        return NULL;
    auto_json cJSON *j = cJSON_CreateObject();
    clock_iso(e->wall_ms, timestamp);
    bool ok = add_string(j, "type", "network_blocked") &&
              add_string(j, "message", "Security event: network_blocked");
    cJSON *details = ok ? cJSON_AddObjectToObject(j, "details") : NULL;
    ok = details != NULL && add_string(details, "method", e->method) &&
         add_string(details, "host", e->host) && add_string(details, "reason", "filter_mismatch") &&
         add_string(j, "timestamp", timestamp);
    return ok ? take_ptr(&j) : NULL;
}
