"""Enrols this pod's journal with a collector: `enroll.py CODES DIRECTORY OPTIONS…`, in a pod of the StatefulSet.

Once the journal has a token there is nothing to do. Until then the code that lies in CODES under the pod's name is tried, ever less
often; another code is tried at once. What `hookgate enroll` says goes to the container's log.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LOOK_SECONDS = 2.0
LONGEST_SECONDS = 300.0


def main() -> None:
    codes, directory, *options = sys.argv[1:]
    token, file = Path(directory, "collector.token"), Path(codes, os.environ["POD_NAME"])
    tried, wait, due = "", LOOK_SECONDS, 0.0
    while True:
        code = file.read_text().strip() if file.is_file() else ""
        if code != tried:
            tried, wait, due = code, LOOK_SECONDS, 0.0
        if code and not token.exists() and time.monotonic() >= due:
            # By standard input: arguments can be seen.
            subprocess.run(
                ["hookgate", "enroll", *options, "--directory", directory, "--code", "-"],
                input=code.encode(),
                check=False,
            )
            due, wait = time.monotonic() + wait, min(LONGEST_SECONDS, wait * 2)
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    main()
