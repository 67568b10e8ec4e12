/* SPDX-License-Identifier: Apache-2.0 */
/* curl.h - the functions and numbers of libcurl that oci/http.c, executor/remote/transfer.c and the
 * client use; soname libcurl.so.4. */
#ifndef BASE_CURL_H
#define BASE_CURL_H

#include <sys/socket.h>

#include "base/err.h"

/* Option numbers are part of libcurl's ABI, see curl/curl.h. */
enum {
    CURLOPT_WRITEDATA = 10001,
    CURLOPT_URL = 10002,
    CURLOPT_PROXY = 10004,
    CURLOPT_ERRORBUFFER = 10010,
    CURLOPT_POSTFIELDS = 10015,
    CURLOPT_USERAGENT = 10018,
    CURLOPT_LOW_SPEED_LIMIT = 19,
    CURLOPT_LOW_SPEED_TIME = 20,
    CURLOPT_HTTPHEADER = 10023,
    CURLOPT_HEADERDATA = 10029,
    CURLOPT_CUSTOMREQUEST = 10036,
    CURLOPT_NOPROGRESS = 43,
    CURLOPT_NETRC = 51,
    CURLOPT_FOLLOWLOCATION = 52,
    CURLOPT_XFERINFODATA = 10057,
    CURLOPT_HTTPPROXYTUNNEL = 61,
    CURLOPT_SSL_VERIFYPEER = 64,
    CURLOPT_CAINFO = 10065,
    CURLOPT_MAXREDIRS = 68,
    CURLOPT_CONNECTTIMEOUT = 78,
    CURLOPT_SSL_VERIFYHOST = 81,
    CURLOPT_HTTP_VERSION = 84,
    CURLOPT_NOSIGNAL = 99,
    CURLOPT_ACCEPT_ENCODING = 10102,
    CURLOPT_PRIVATE = 10103,
    CURLOPT_CONNECT_ONLY = 141,
    CURLOPT_TIMEOUT_MS = 155,
    CURLOPT_OPENSOCKETDATA = 10164,
    CURLOPT_NOPROXY = 10177,
    CURLOPT_PROTOCOLS = 181,
    CURLOPT_REDIR_PROTOCOLS = 182,
    CURLOPT_RESOLVE = 10203,
    CURLOPT_TCP_KEEPALIVE = 213,
    CURLOPT_SUPPRESS_CONNECT_HEADERS = 265,
    CURLOPT_WRITEFUNCTION = 20011,
    CURLOPT_HEADERFUNCTION = 20079,
    CURLOPT_OPENSOCKETFUNCTION = 20163,
    CURLOPT_XFERINFOFUNCTION = 20219,
    CURLOPT_POSTFIELDSIZE_LARGE = 30120,

    CURLPROTO_HTTP = 1,
    CURLPROTO_HTTPS = 2,
    CURL_HTTP_VERSION_1_1 = 2,
    CURLINFO_PRIVATE = 0x100000 + 21,
    CURLINFO_REDIRECT_URL = 0x100000 + 31,
    CURLINFO_RESPONSE_CODE = 0x200000 + 2,
    CURLINFO_CONTENT_LENGTH_DOWNLOAD_T = 0x600000 + 15,
    CURLINFO_ACTIVESOCKET = 0x500000 + 44,
    CURLMSG_DONE = 1,
    CURL_GLOBAL_DEFAULT = 3,
    CURL_ERROR_SIZE = 256,
    CURL_WAIT_POLLIN = 1,
    CURL_WAIT_POLLOUT = 4,

    CURLE_AGAIN = 81,
    /* Results of a transfer that are worth another try. */
    CURLE_OK = 0,
    CURLE_COULDNT_RESOLVE_HOST = 6,
    CURLE_COULDNT_CONNECT = 7,
    CURLE_HTTP2 = 16,
    CURLE_PARTIAL_FILE = 18,
    CURLE_OPERATION_TIMEDOUT = 28,
    CURLE_SSL_CONNECT_ERROR = 35,
    CURLE_GOT_NOTHING = 52,
    CURLE_SEND_ERROR = 55,
    CURLE_RECV_ERROR = 56,
    CURLE_HTTP2_STREAM = 92,
};

/* Of CURLOPT_OPENSOCKETFUNCTION; the address may be longer than its member. */
struct curl_sockaddr {
    int family;
    int socktype;
    int protocol;
    unsigned addrlen;
    struct sockaddr addr;
};

struct curl_waitfd {
    int fd;
    short events;
    short revents;
};

struct curl_message { /* CURLMsg */
    int msg;
    void *easy;
    union {
        void *whatever;
        int result;
    } data;
};

struct curl_slist;

struct curl_lib {
    int (*global_init)(long flags);
    void *(*easy_init)(void);
    void (*easy_cleanup)(void *easy);
    int (*easy_setopt)(void *easy, int option, ...);
    int (*easy_getinfo)(void *easy, int info, ...);
    int (*easy_send)(void *easy, const void *data, size_t n, size_t *sent);
    int (*easy_recv)(void *easy, void *out, size_t cap, size_t *n);
    const char *(*easy_strerror)(int code);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
    void *(*multi_init)(void);
    int (*multi_cleanup)(void *multi);
    int (*multi_add_handle)(void *multi, void *easy);
    int (*multi_remove_handle)(void *multi, void *easy);
    int (*multi_perform)(void *multi, int *running);
    int (*multi_poll)(void *multi, struct curl_waitfd *extra, unsigned n_extra, int timeout_ms,
                      int *n_ready);
    struct curl_message *(*multi_info_read)(void *multi, int *n_left);
};

/** The loaded functions, or ISOL8_E_UNSUPPORTED when this machine lacks libcurl. */
int curl_lib_get(const struct curl_lib **out, isol8_error *err);

#endif
