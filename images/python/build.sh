# SPDX-License-Identifier: Apache-2.0
# Runs inside a sandbox over the python image; what it writes to standard output is added to it.
# The root is read-only at run time, so modules are compiled now. "unchecked": never compared with
# the source, whose time stamps differ between builds.
set -eu
mkdir -p etc usr/lib
/usr/sbin/ldconfig -i -X -C "$PWD/etc/ld.so.cache"
python3 - <<'END'
import os, py_compile, sys

TOP, TAG = "/usr/lib", sys.implementation.cache_tag
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH

def sources():
    for name in sorted(os.listdir(TOP)):
        if name.startswith("python3"):
            for where, dirs, files in os.walk(os.path.join(TOP, name)):
                dirs.sort()
                for f in sorted(files):
                    if f.endswith(".py") and os.path.isfile(os.path.join(where, f)):
                        yield where, f

def compile_share(share, of):
    for i, (where, f) in enumerate(sources()):
        if i % of == share:
            out = "%s/__pycache__/%s.%s.pyc" % (where[1:], f[:-3], TAG)
            os.makedirs(os.path.dirname(out), exist_ok=True)
            try:
                source = os.path.join(where, f)
                py_compile.compile(source, out, source, doraise=True,
                                   invalidation_mode=mode)
            except py_compile.PyCompileError as e:  # templates and samples
                print("not compiled:", e, file=sys.stderr)

workers = min(os.cpu_count() or 1, 4)
children = []
for share in range(workers):
    pid = os.fork()
    if pid == 0:
        compile_share(share, workers)
        os._exit(0)
    children.append(pid)
for pid in children:
    if os.waitpid(pid, 0)[1] != 0:
        sys.exit("compiling failed")
END
tar -cf - etc/ld.so.cache usr
