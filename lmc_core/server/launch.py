"""Start the app's server, however the project is installed and wherever it is started from."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator, Mapping, Sequence

from lmc_core import folders
from lmc_core.errors import BadInput, LmcError
from lmc_core.look import PRODUCT
from lmc_core.server.entrance import Asked, settle
from lmc_core.server.guard import VARIABLE, hosts_of
from lmc_core.server.place import HOME, Place
from lmc_core.server.prefix import HEALTH

ADDRESS = HOME
FIRST_PORT = 8501
PATIENCE = 60.0  # seconds until the server must answer

# What keeps the app private, and quick, must hold whatever a person's own Streamlit settings say;
# the look comes from the `.streamlit/config.toml` beside app.py, which Streamlit reads from any
# working directory.
OPTIONS = {
    "server.headless": "true",
    "server.enableCORS": "true",
    "server.enableXsrfProtection": "true",
    "server.maxUploadSize": "200",  # MB, of an archive of a study; nothing else is uploaded
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": ADDRESS,
    "global.developmentMode": "false",
    # An installed app does not change while it runs; looking whether it did takes 0.2 to 0.4 s
    # after each run of a page, and nobody is answered meanwhile. `streamlit run app.py` still
    # looks, for those who work on the pages.
    "server.fileWatcherType": "none",
}


def free_port(first: int = FIRST_PORT, tries: int = 50, ip: str = ADDRESS) -> int:
    """Return the first port from `first` on that nobody uses at an address of this machine.

    Raises:
        BadInput: this machine has no such address.
        LmcError: all of them are taken.
    """
    for port in range(first, first + tries):
        with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as probe:
            if os.name != "nt":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ip, port))
                return port
            except OSError as error:
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise BadInput(
                        f"This machine has no address {ip} to listen at; --address takes one of "
                        "its own, or 0.0.0.0 for all of them."
                    ) from None
    raise LmcError(f"No free port between {first} and {first + tries - 1}; name one with --port.")


def command(port: int, place: Place | None = None) -> list[str]:
    """Return the command line of a server that listens at a place; by default for this machine
    alone.
    """
    place = place or Place()
    own = {"server.address": place.ip, "server.baseUrlPath": place.base, "server.port": port}
    flags = [f"--{name}={value}" for name, value in {**OPTIONS, **own}.items()]
    return [sys.executable, "-m", "streamlit", "run", str(folders.app_folder() / "app.py"), *flags]


def launch(
    port: int | None = None,
    browser: bool = True,
    read_only: bool = False,
    hosts: Sequence[str] = (),
    executor: str | None = None,
    asked: Asked | None = None,
) -> int:
    """Start the server, print its address, open a browser, and wait until it ends.

    Where a token is asked for, no browser is opened: its command line, which every process of the
    machine can read, would hold the token.

    Args:
        port: to listen on; by default the first free one from 8501.
        browser: whether to open one.
        read_only: for an audience: the app shows what is stored, starts nothing and changes
            nothing.
        hosts: further names at which browsers see the app, besides those in `LMC_HOSTS`; see
            `guard.hosts_of`.
        executor: who computes what the app asks for; see `runs.executors.get_queue`.
        asked: where it listens and who may come in.

    Returns:
        The exit code: 0 also after Ctrl-C.

    Raises:
        BadInput: the port is taken or out of range, a host is no name of one, what was asked of
            the entrance makes no sense, or the executor has no queue.
        LmcError: the executor's package or cluster is not there.
    """
    if port is not None and not 1 <= port <= 65535:
        raise BadInput(f"A port is a number from 1 to 65535; {port} came.")
    entrance = settle(asked or Asked(), os.environ, read_only or folders.read_only())
    place = entrance.place
    chosen = free_port(ip=place.ip) if port is None else port
    if port is not None and _taken(port, place.ip):
        raise BadInput(f"The port {port} is taken; leave --port out to get a free one.")
    named = _named([*hosts, *filter(None, [place.name])])
    environment = {
        **os.environ,
        **({"LMC_READ_ONLY": "1"} if read_only else {}),
        **_chosen(executor),
        **entrance.variables(),
        VARIABLE: named,
    }
    # Streamlit prints an address of its own before the server answers; ours comes when it does.
    server = subprocess.Popen(command(chosen, place), stdout=subprocess.DEVNULL, env=environment)
    addresses = entrance.addresses(chosen, hosts_of(named))
    opens = browser and entrance.token is None
    threading.Thread(
        target=_announce, args=(server, place.url(chosen), addresses, opens), daemon=True
    ).start()
    previous = signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        return _code(server.wait())
    except KeyboardInterrupt:
        _end(server)
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server whose person pressed Ctrl-C, in the end by force."""
    server.terminate()  # at a terminal Ctrl-C reached it already
    try:
        server.wait(timeout=10)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        server.kill()
        server.wait()


@contextlib.contextmanager
def serving(
    environment: Mapping[str, str], first: int = FIRST_PORT, place: Place | None = None
) -> Iterator[str]:
    """Run a server of one's own while the block runs.

    Args:
        environment: variables beside those of this process, such as LMC_HOME.
        first: port from which on a free one is looked for.
        place: where it listens.

    Yields:
        Its address, once it answers.

    Raises:
        LmcError: it ended before it answered, or did not answer in time.
    """
    place = place or Place()
    port = free_port(first, ip=place.ip)
    address = place.url(port)
    server = subprocess.Popen(
        command(port, place), env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + PATIENCE
        while not answers(address):
            if server.poll() is not None or time.monotonic() > end:
                raise LmcError("The server did not start; what it said of the reason is above.")
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


def answers(address: str) -> bool:
    """Whether the server at an address is ready."""
    # a proxy cannot know this machine's own address
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{address}{HEALTH}", timeout=1) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _announce(
    server: subprocess.Popen[bytes], address: str, shown: Sequence[str], browser: bool
) -> None:
    """Say where the app is, once it is there."""
    pause, waited = threading.Event(), 0.0
    while waited < PATIENCE and server.poll() is None:
        if answers(address):
            places = " and ".join(shown)
            print(f"{PRODUCT} is at {places}  (stop with Ctrl-C)", flush=True)
            if browser:
                webbrowser.open(address)
            return
        pause.wait(0.2)
        waited += 0.2


def _chosen(executor: str | None) -> dict[str, str]:
    """The variable that names who computes, after a look whether they are there."""
    if executor is None:
        return {}
    # takes a quarter of a second, and is asked for by few
    from lmc_core.runs.executors import VARIABLE as NAME
    from lmc_core.runs.executors import get_queue

    get_queue(executor)  # what is missing is said before the server starts
    return {NAME: executor}


def _named(hosts: Sequence[str]) -> str:
    """The further hosts of the option and of the environment, after a look at them."""
    named = ",".join([*hosts, *filter(None, [os.environ.get(VARIABLE)])])
    hosts_of(named)
    return named


def _taken(port: int, ip: str) -> bool:
    try:
        return free_port(port, 1, ip) != port
    except BadInput:
        raise
    except LmcError:
        return True


def _code(code: int) -> int:
    return 0 if code in (0, -signal.SIGTERM, -signal.SIGINT) else max(code, 1)
