/* SPDX-License-Identifier: Apache-2.0 */
/* result.c - the answer of POST /execute: the result of an execution. */
#include "client/result.h"

#include <string.h>

#include "client/event.h"

#define EXIT_CODE_MAX 255

/* Tabs and line ends between members are JSON; no other control byte is, anywhere. */
static bool has_control_bytes(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
            return true;
    }
    return false;
}

/* "ok" and "exit" are what the exit code says anyway. */
static const char *detail_of(const cJSON *j, const char *verdict)
{
    if (verdict == NULL || strcmp(verdict, "ok") == 0 || strcmp(verdict, "exit") == 0)
        return NULL;
    return json_string(j, "verdictDetail");
}

int client_result_parse(struct client_result *r, const char *text, size_t n, isol8_error *err)
{
    const cJSON *code;
    const char *verdict;

    *r = (struct client_result){ .out = "", .err = "" };
    if (has_control_bytes(text, n))
        return err_set(err, ISOL8_E_PROTOCOL, "the server's answer is not JSON");
    int status = client_json(&r->json, text, n, err);
    if (status < 0)
        return status;
    code = cJSON_GetObjectItemCaseSensitive(r->json, "exitCode");
    if (!cJSON_IsNumber(code) || code->valuedouble < 0 || code->valuedouble > EXIT_CODE_MAX ||
        code->valuedouble != (double)code->valueint)
        return err_set(err, ISOL8_E_PROTOCOL, "the server's answer has no exit code from 0 to 255");
    verdict = json_string(r->json, "verdict");
    r->exit_code = code->valueint;
    r->out = client_json_text(cJSON_GetObjectItemCaseSensitive(r->json, "stdout"), &r->out_size);
    r->err = client_json_text(cJSON_GetObjectItemCaseSensitive(r->json, "stderr"), &r->err_size);
    r->is_truncated = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(r->json, "truncated"));
    r->is_timeout = verdict != NULL && strcmp(verdict, "timeout") == 0;
    r->detail = detail_of(r->json, verdict);
    r->network_logs = cJSON_GetObjectItemCaseSensitive(r->json, "networkLogs");
    return 0;
}

void client_result_done(struct client_result *r)
{
    cJSON_Delete(r->json);
    r->json = NULL;
}
