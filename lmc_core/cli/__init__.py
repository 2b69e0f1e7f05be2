"""The command `lmc`. Nothing heavy is imported before a command needs it, so `lmc --help` answers
at once.

Exit codes: 0 done, 1 an error while computing, 2 bad input, 130 stopped with Ctrl-C. Results go to
standard output, everything else to standard error; an error is one or two lines that begin with
"lmc:". `LMC_DEBUG=1` shows the traceback of an error that nobody expected.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module

from lmc_core.cli.commands import COMMANDS, parse
from lmc_core.errors import BadInput, LmcError
from lmc_core.format import Plain
from lmc_core.threads import use_threads

# advice of the libraries for those who program with them, not for those who type `lmc`
QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


def say(message: str) -> None:
    """Print an error to standard error, on one line for each of its lines that is not empty."""
    lines = [line.strip() for line in message.splitlines() if line.strip()] or [
        "stopped for no given reason."
    ]
    print("lmc: " + "\n".join(lines[:2]), file=sys.stderr)


@contextlib.contextmanager
def _plain_output() -> Iterator[None]:
    """Say warnings of the store like errors, keep those of libraries quiet, and print on terminals
    of any encoding.

    Whatever is printed meanwhile holds nothing that a terminal obeys; see `plain`.
    """

    def show(
        message: Warning | str, category: type[Warning], *rest: object, **more: object
    ) -> None:
        if category.__name__ == "StoreWarning" or os.environ.get("LMC_DEBUG"):
            say(str(message))

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    out, errors = Plain(sys.stdout), Plain(sys.stderr, "\r")  # a progress bar begins its line anew
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
        warnings.catch_warnings(),
    ):
        warnings.showwarning = show  # type: ignore[assignment]  (fewer arguments are used)
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after `lmc`; those of the process for None.

    Returns:
        The exit code, as in the module's docstring.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with _plain_output():
        return _run(sys.argv[1:] if argv is None else argv, alone=argv is None)


def _run(argv: Sequence[str], alone: bool) -> int:
    """Run one command and say what went wrong, if anything.

    Args:
        argv: what stands behind `lmc`.
        alone: whether the process is the command's own, whose threads may be chosen.

    Returns:
        The exit code.
    """
    try:
        arguments = parse(argv)
        command = COMMANDS[arguments.command]
        if alone and command.computes:
            use_threads()
        module = import_module(f"lmc_core.cli.{arguments.command}")
        code = module.run(arguments)
        sys.stdout.flush()
        return code or 0
    except SystemExit as stop:  # argparse, after --help or --version
        return int(stop.code or 0)
    except KeyboardInterrupt:
        say("stopped.")
        return 130
    except BadInput as error:
        say(str(error))
        return 2
    except LmcError as error:
        say(str(error))
        return 1
    except BrokenPipeError:  # `lmc models | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        say(f"{error.strerror or error}: {error.filename or 'a file'}.")
        return 1
    except Exception as error:
        if os.environ.get("LMC_DEBUG"):
            raise
        say(
            f"something unexpected went wrong ({type(error).__name__}: "
            f"{str(error)[:200]}).\nLMC_DEBUG=1 shows where."
        )
        return 1
