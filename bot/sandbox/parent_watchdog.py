"""`python leash.py COMMAND…`: runs a command until our standard input ends, which it does when
whoever holds the other end is gone, killed with SIGKILL included. So nothing of a demo outlives it.
It needs the standard library only.
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
    """Lets go when there is nobody any more."""
    sys.stdin.buffer.read()
    child.terminate()


if __name__ == "__main__":
    sys.exit(main())
