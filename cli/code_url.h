/* SPDX-License-Identifier: Apache-2.0 */
/**
 * code_url.h - the shorthands --github and --gist, and what the command needs of an address
 *
 * A part stands for itself: what an address gives a meaning to ('?', '#', a space) is encoded. A
 * percent sign in front of two hexadecimal digits is taken for an encoding that is there already,
 * and must not be that of a slash, a backslash or a dot: parts would become others.
 */
#ifndef CLI_CODE_URL_H
#define CLI_CODE_URL_H

#include <stdbool.h>

#define CODE_URL_PART_MAX 255   /* bytes of owner, repo, ref, id */
#define CODE_URL_SHORT_MAX 4096 /* bytes of a whole shorthand */

/** The address of owner/repo/ref/path/to/file, or NULL with *@why set to what is wrong with it. The
 * caller frees it. */
char *code_url_github(const char *text, const char **why);

/** The same for gistId/file and owner/gistId/file. */
char *code_url_gist(const char *text, const char **why);

/** Whether the ref of a valid github shorthand may be meant to go on behind its slash. */
bool code_url_ref_is_ambiguous(const char *text);

/** The path of an address, up to its query, as a new string; the caller frees it. NULL: there is no
 * "scheme://". */
char *code_url_path(const char *url);

#endif
