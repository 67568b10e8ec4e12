# SPDX-License-Identifier: Apache-2.0
"""test_original.py - clients of the original program, under three JavaScript engines.

Node.js of the machine has no WebSocket before version 22, and streams by server-sent events; those
of the images have it."""
import glob
import os
import shutil
import subprocess
import unittest

from harness import KEY, ServerCase

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "original_client.mjs")


def of_the_images(name):
    found = glob.glob(os.path.join(os.environ["ISOL8_DATA_ROOT"], "layers", "*", "usr/local/bin", name))
    return found[0] if found else None


class Original(ServerCase):
    def test_all_at_once(self):
        """They wait most of the time: for a program that is quiet for long."""
        engines = {
            "node of the machine": (shutil.which("node") or shutil.which("nodejs"), ["server-sent events", "WebSocket"]),
            "node of the images": (of_the_images("node"), ["WebSocket"]),
            "bun": (of_the_images("bun"), ["WebSocket"]),
        }
        started = {}
        for name, (program, _) in engines.items():
            self.assertIsNotNone(program, f"there is no {name}: install nodejs, or build the images with isol8 setup")
            started[name] = subprocess.Popen([program, SCRIPT, f"http://localhost:{self.s.port}", KEY], text=True,
                                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for name, process in started.items():
            with self.subTest(name):
                said, _ = process.communicate(timeout=120)
                self.assertEqual(process.returncode, 0, said)
                self.assertIn(said.split("streamed by ")[1].strip(), engines[name][1])


if __name__ == "__main__":
    unittest.main()
