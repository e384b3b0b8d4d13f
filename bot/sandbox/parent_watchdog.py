"""`python parent_watchdog.py COMMAND…`: runs a command until its standard input is closed, as it is
when the parent process has ended or was killed. Needs the standard library only.
"""

import subprocess
import sys
import threading


def main() -> int:
    """The exit code of the command."""
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=hold, args=(child,), daemon=True).start()
    return child.wait()


def hold(child: "subprocess.Popen[bytes]") -> None:
    """Waits until standard input is closed, then stops the command."""
    sys.stdin.buffer.read()
    child.terminate()


if __name__ == "__main__":
    sys.exit(main())
