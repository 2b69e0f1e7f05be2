"""Check the shared home over a real NFS: a Linux file server and two Linux clients on this machine.

    sudo apt-get install user-mode-linux nfs-kernel-server kmod iproute2 busybox-static
    sudo python scripts/nfs_check.py                 # all checks, about six minutes
    sudo python scripts/nfs_check.py contest --options vers=4.0

The three are kernels in user mode (https://docs.kernel.org/virt/uml/), each with a network card of
its own on a bridge that leads nowhere else, and the file system of this machine as their root. The
server keeps what it serves in its memory. Its clients see each other's work as the machines of a
cluster do, through caches of their own with the usual options of `mount`.

    contest   two submitters and three workers on each, all workers killed again and again
              (`tests/runs/contest.py`); fails where a job is lost or computed twice at once
    watch     one client looks at a job of the other (`tests/runs/two_machines.py`)
    gone      one client is killed over its job, and the other takes that; fails where this takes
              much longer than a job may be silent

Where time runs unevenly, as on a busy machine, the clocks of the clients differ by some tenths of a
second.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BRIDGE, NET = "lmcnfs", "10.77.0"
SECONDS = 30  # of the job that is watched
CLOCKS = 1.0  # seconds by which clocks are forgiven
TAKEN = 90.0  # seconds after which the job of a machine that is gone has to be taken
SEEN = 5.0  # seconds after which the other's work has to be seen; caches keep it for 30 and more

INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
mount -t devtmpfs dev /dev 2>/dev/null; mkdir -p /dev/shm; mount -t tmpfs shm /dev/shm
mkdir -p /tmp/kernel/lib; ln -s /usr/lib/uml/modules /tmp/kernel/lib/modules
for word in $(cat /proc/cmdline); do case $word in LMC_*) export "$word";; esac; done
hostname $LMC_NAME
ip link set lo up; ip addr add $LMC_ADDRESS/24 dev vec0; ip link set vec0 up
sh $LMC_DO > $LMC_LOG 2>&1
echo "ended $?" >> $LMC_LOG
sync; busybox poweroff -f
"""

SERVER = f"""
modprobe -d /tmp/kernel nfsd
mkdir -p /run/srv; mount -t tmpfs srv /run/srv; chmod 777 /run/srv
mount -t nfsd nfsd /proc/fs/nfsd
mount -t tmpfs state /var/lib/nfs; mkdir -p /var/lib/nfs/v4recovery
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
echo 10 > /proc/fs/nfsd/nfsv4leasetime; echo 10 > /proc/fs/nfsd/nfsv4gracetime
exportfs -o rw,fsid=0,no_root_squash,insecure,async,no_subtree_check '{NET}.0/24:/run/srv'
rpc.mountd -N 2 -N 3; rpc.nfsd -N 3 -V 4.0 -V 4.1 -V 4.2 4
echo serving
while true; do sleep 1; done
"""

CLIENT = """
modprobe -d /tmp/kernel nfsv4
mkdir -p /run/shared
mount -t nfs4 -o {options} {net}.10:/ /run/shared || exit 1
cd {root}; export OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={root} HOME=/tmp
exec {python} -m {command}
"""


class Machines:
    """Kernels on one bridge; stopped together.

    Args:
        folder: for their scripts and what they say.
        options: of `mount` on the clients.
    """

    def __init__(self, folder: Path, options: str):
        self.folder, self.options = folder, options
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def boot(self, number: int, script: str) -> Path:
        """Start one; returns the file with what its script says."""
        run, log = self.folder / f"do{number}", self.folder / f"log{number}"
        run.write_text(script)
        log.unlink(missing_ok=True)
        with open(self.folder / f"boot{number}", "w") as said:
            self.running[number] = subprocess.Popen(
                [
                    "linux.uml",
                    *("mem=1500M", f"umid=lmc{os.getpid()}-{number}", "rw", "con=null"),
                    *("con0=fd:0,fd:1", "rootfstype=hostfs", "rootflags=/"),
                    f"init={self.folder / 'init'}",
                    f"vec0:transport=tap,ifname={BRIDGE}{number},mac=02:00:00:00:77:{10 + number}",
                    *(f"LMC_ADDRESS={NET}.{10 + number}", f"LMC_NAME=machine{number}"),
                    *(f"LMC_DO={run}", f"LMC_LOG={log}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
        return log

    def ask(self, number: int, command: str) -> Path:
        """Start a client that runs a module of this project."""
        script = CLIENT.format(
            options=self.options, net=NET, root=ROOT, python=sys.executable, command=command
        )
        return self.boot(number, script)

    def kill(self, number: int) -> None:
        """End one at once, as a loss of power does."""
        process = self.running.pop(number)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def machines(options: str) -> Iterator[Machines]:
    """The server, on its bridge, and room for clients."""
    # not in /tmp, where each machine has a folder of its own
    folder = Path(tempfile.mkdtemp(prefix="lmc-nfs-", dir=ROOT.parent))
    (folder / "init").write_text(INIT)
    (folder / "init").chmod(0o755)
    ip("link", "add", BRIDGE, "type", "bridge")
    found = Machines(folder, options)
    try:
        ip("addr", "add", f"{NET}.1/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for number in range(3):
            ip("tuntap", "add", f"{BRIDGE}{number}", "mode", "tap")
            ip("link", "set", f"{BRIDGE}{number}", "master", BRIDGE, "up")
        wait(found.boot(0, SERVER), "serving", 60)
        yield found
    finally:
        for number in list(found.running):
            found.kill(number)
        for number in range(3):
            subprocess.run(["ip", "link", "del", f"{BRIDGE}{number}"], check=False)
        ip("link", "del", BRIDGE)
        shutil.rmtree(folder)


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *arguments], check=True)


def wait(log: Path, word: str, limit: float) -> str:
    """What a log says once it has a word.

    Raises:
        SystemExit: it does not in some seconds.
    """
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if log.exists() and word in (said := log.read_text()):
            return said
        time.sleep(0.2)
    raise SystemExit(f"{log.name} did not say {word!r} in {limit:.0f} s:\n{log.read_text()}")


def numbers(log: Path, limit: float) -> list[str]:
    """The words of a client's answer; see `wait`."""
    said = wait(log, "ended", limit)
    if "ended 0" not in said:
        raise SystemExit(said)
    return said.splitlines()[-2].split()


def check_contest(found: Machines) -> bool:
    """See the module."""
    logs = [found.ask(n, f"tests.runs.contest /run/shared/contest {10 * n} 2") for n in (1, 2)]
    waiting, began, killed, left, listed, twice = map(int, numbers(logs[0], 600))
    numbers(logs[1], 60)
    print(
        f"contest: {began} computations begun for 30 jobs, {killed} workers killed; jobs left "
        f"{left}, submitters left {waiting}, entries left {listed}, held twice at once {twice}",
        flush=True,
    )
    return waiting == left == twice == 0 and killed > 5 and 30 <= began <= 30 + killed


def check_watch(found: Machines) -> bool:
    """See the module."""
    module = "tests.runs.two_machines /run/shared/watch"
    log = found.ask(1, f"{module} watch {SECONDS}")
    time.sleep(10)  # it has looked at what is not there yet
    found.ask(2, f"{module} hold {SECONDS}")
    seen, most, mean, end, result = map(float, numbers(log, 300))
    print(
        f"watch: the job seen after {seen:.1f} s, progress behind by {mean:.1f} s on average and "
        f"{most:.1f} s at most, its end seen after {end:.1f} s, its result after {result:.1f} s",
        flush=True,
    )
    return max(seen, most, end, result) < SEEN + CLOCKS


def check_gone(found: Machines) -> bool:
    """See the module."""
    module = "tests.runs.two_machines /run/shared/gone"
    log = found.ask(1, f"{module} take {SECONDS}")
    found.ask(2, f"{module} hold {SECONDS}")
    time.sleep(20)
    found.kill(2)
    killed = time.monotonic()
    count, state, _ = numbers(log, 400)
    passed = time.monotonic() - killed - SECONDS
    print(
        f"gone: begun {count} times, {state}; taken {passed:.0f} s after its machine was gone",
        flush=True,
    )
    return (count, state) == ("2", "done") and passed < TAKEN


CHECKS = {"contest": check_contest, "watch": check_watch, "gone": check_gone}


def main() -> int:
    """Run the checks, each with machines of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checks", nargs="*", help=", ".join(CHECKS))
    parser.add_argument("--options", default="vers=4.2", help="of mount (default: %(default)s)")
    options = parser.parse_args()
    if unknown := set(options.checks) - set(CHECKS):
        parser.error(f"no such check: {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    if os.geteuid() or not shutil.which("linux.uml") or not Path("/dev/net/tun").exists():
        parser.error("needs root, /dev/net/tun, and the packages that --help names")
    good = True
    for name in options.checks or CHECKS:
        with machines(options.options) as found:
            good &= CHECKS[name](found)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
