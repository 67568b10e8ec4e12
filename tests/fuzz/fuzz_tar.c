/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tar.c - whatever a tar stream holds, nothing appears outside of the directory. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "oci/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* <tmp>/out is unpacked into; <tmp> must hold nothing else afterwards. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char dir[] = "/tmp/isol8-fuzz-XXXXXX";
    isol8_error err;

    if (mkdtemp(dir) == NULL)
        abort();
    int top = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int out = path_mkdir_open(top, "out", 0755, &err);
    int in = fd_memfd("fuzz", data, n);
    if (top < 0 || out < 0 || in < 0)
        abort();
    struct tar_unpack_args args = {
        .in_fd = in, .dir_fd = out, .bytes_max = 1 << 20, .entries_max = 64, .cancel_fd = -1
    };
    (void)tar_unpack(&args, &err);
    (void)fd_close(in);
    (void)fd_close(out);
    if (path_remove_tree(top, "out", &err) < 0 || rmdir(dir) < 0)
        abort(); /* not empty: something got out */
    (void)fd_close(top);
    return 0;
}
