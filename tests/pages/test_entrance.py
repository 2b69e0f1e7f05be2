"""Where a server listens and what it asks for: from options and variables, in one sentence where
they make no sense.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lmc_core.cli.commands import parse
from lmc_core.errors import BadInput
from lmc_core.server import launch
from lmc_core.server.entrance import Asked, Entrance, settle
from lmc_core.server.guard import hosts_of
from lmc_core.server.place import Place, as_host, is_loopback, read_base, read_place
from lmc_core.server.token import LIFE, SHORTEST, SKEW, holds, make_ticket, make_token, same

TOKEN = "open-sesame-0123456789"


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("", ""), ("/", ""), ("lmc", "/lmc"), ("/lmc", "/lmc"), ("/lmc/", "/lmc"), (" /a/b/ ", "/a/b"),
        ("/user/me/proxy/absolute/8501", "/user/me/proxy/absolute/8501"), ("/~me/x_1.2-3", "/~me/x_1.2-3"),
    ],
)  # fmt: skip
def test_a_base_path_is_brought_into_one_form(text: str, base: str) -> None:
    assert read_base(text) == base


@pytest.mark.parametrize(
    "text",
    [
        "http://x/lmc", "/a//b", "/a/../b", "/.", "/a?b", "/a#b", "/a b", "/a%20b", "/a;b", "/a,b", "\\a", "/\u00e9",
        "/a\x1b[31m", "/" + "a" * 201, "/" + "/".join(["abc"] * 60),
    ],
)  # fmt: skip
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="^--base-path takes a path of letters") as refused:
        read_base(text)
    assert "\x1b" not in str(refused.value) and len(str(refused.value)) < 260


@pytest.mark.parametrize(
    ("text", "ip", "private", "near"),
    [
        (None, "127.0.0.1", True, "127.0.0.1"),
        ("127.0.0.2", "127.0.0.2", True, "127.0.0.2"),
        ("::1", "::1", True, "[::1]"),
        ("[::1]", "::1", True, "[::1]"),
        ("0.0.0.0", "0.0.0.0", False, "127.0.0.1"),
        ("::", "::", False, "[::1]"),
        ("192.0.2.7", "192.0.2.7", False, "192.0.2.7"),
        ("localhost", "127.0.0.1", True, "127.0.0.1"),
    ],
)
def test_addresses(text: str | None, ip: str, private: bool, near: str) -> None:
    place = read_place(text)
    assert (place.ip, place.private, place.near) == (ip, private, near)
    assert place.url(8501) == f"http://{near}:8501"


def test_a_name_is_looked_up_once_and_what_it_means_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [(socket.AF_INET, 1, 6, "", (ip, 0)) for ip in ("192.0.2.9", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers[:1])
    place = read_place("Lab7", "x")
    assert place == Place("192.0.2.9", "/x", "lab7") and not place.private
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert read_place("lab7").private  # what is bound is 127.0.0.1, and nothing else


@pytest.mark.parametrize("text", ["*", "http://x", "1.2.3.4.5", "a b", "x:80", "lab7.invalid", ""])
def test_what_is_no_address_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    if text:
        with pytest.raises(BadInput, match="^--address takes a number or a name"):
            read_place(text)
    else:
        assert read_place(text).private


def test_addresses_of_sockets() -> None:
    assert is_loopback("::ffff:127.0.0.1") and not is_loopback("::ffff:192.0.2.1")
    assert not is_loopback("/run/lmc.sock") and not is_loopback("")
    hosts = [as_host(ip) for ip in ("10.0.0.5", "::ffff:10.0.0.5", "fd00::1", "/run/lmc.sock")]
    assert hosts == ["10.0.0.5", "10.0.0.5", "[fd00::1]", ""]


def test_whom_other_machines_reach_asks_for_a_token() -> None:
    assert settle(Asked(), {}, False) == Entrance()
    made, other = (settle(Asked("0.0.0.0"), {}, False) for _ in range(2))
    assert made.token and len(made.token) >= 32 and made.printed and made.token != other.token
    assert made.token not in repr(made)
    assert settle(Asked("0.0.0.0"), {}, True).printed  # looking alone is no reason to go without
    chosen = settle(Asked("0.0.0.0"), {"LMC_TOKEN": TOKEN}, False)
    assert (chosen.token, chosen.printed, chosen.public) == (TOKEN, False, False)
    assert settle(Asked(), {"LMC_TOKEN": TOKEN}, False).token == TOKEN  # also behind a proxy
    public = settle(Asked("0.0.0.0", no_token=True), {}, True)
    assert (public.token, public.printed, public.public) == (None, False, True)


def test_variables_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    variables = {"LMC_ADDRESS": "::", "LMC_BASE_PATH": "lmc/", "LMC_TOKEN_FILE": str(file)}
    found = settle(Asked(), variables, False)
    assert (found.place, found.token) == (Place("::", "/lmc"), TOKEN)
    given = Asked("127.0.0.1", "/other", file)
    assert settle(given, {**variables, "LMC_TOKEN_FILE": "no"}, False).place == Place(base="/other")
    assert settle(Asked(base_path=""), variables, False).place.base == ""
    assert settle(Asked("::"), {"LMC_NO_TOKEN": "1"}, True).public
    assert not settle(Asked("::"), {"LMC_NO_TOKEN": "0"}, True).public


@pytest.mark.parametrize(
    ("asked", "variables", "words"),
    [
        (Asked("::", no_token=True), {}, "give --read-only too"),
        (Asked(), {"LMC_NO_TOKEN": "1"}, "give --read-only too"),
        (Asked(), {"LMC_TOKEN": "short"}, "16 to 512"),
        (Asked(), {"LMC_TOKEN": "with spaces in it, many"}, "without spaces"),
        (Asked(), {"LMC_TOKEN": "\u00e9" * 20}, "with others"),
        (Asked(token_file=Path("/no/such/file")), {}, "No such file"),
        (Asked(token_file=Path("/no")), {"LMC_TOKEN": TOKEN}, "came twice"),
    ],
)
def test_what_makes_no_sense_is_refused_without_repeating_a_token(
    asked: Asked, variables: dict[str, str], words: str
) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        settle(asked, variables, False)
    assert not {TOKEN, "with spaces in it, many"} & set(str(refused.value).split("'"))


def test_a_token_and_none_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="leave one of them out"):
        settle(Asked(no_token=True), {"LMC_TOKEN": TOKEN}, True)
    binary = tmp_path / "token"
    binary.write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(BadInput, match="it is no text"):
        settle(Asked(token_file=binary), {}, False)


def test_addresses_that_are_printed() -> None:
    hosts = hosts_of("lab7, https://lmc.example.org, https://x.example:8443, http://y.example:80")
    entrance = Entrance(Place("0.0.0.0", "/lmc"), TOKEN, printed=True)
    end = f"/lmc/?token={TOKEN}"
    assert entrance.addresses(8501, hosts) == [
        f"http://127.0.0.1:8501{end}",
        f"http://lab7:8501{end}",
        f"https://lmc.example.org{end}",
        f"https://x.example:8443{end}",
        f"http://y.example{end}",
    ]
    assert Entrance(token=TOKEN).addresses(8501) == ["http://127.0.0.1:8501"]


def test_tickets() -> None:
    now = 1_800_000_000.0
    ticket = make_ticket(TOKEN, now)
    assert TOKEN not in ticket and holds(TOKEN, ticket, now) and holds(TOKEN, ticket, now + LIFE)
    assert not holds(TOKEN, ticket, now + LIFE + 1) and not holds(TOKEN, ticket, now - SKEW - 1)
    assert not holds(TOKEN + "x", ticket, now)  # another server's, or this one's before
    made, seal = ticket.split(".")
    later = f"{int(made) + 1}.{seal}"  # a time that was not sealed
    changed = f"{made}.{'0' if seal[0] != '0' else '1'}{seal[1:]}"
    for other in (
        later,
        changed,
        made,
        f".{seal}",
        seal,
        "",
        f"{made}.",
        f"\u0661.{seal}",
        "9" * 99,
    ):
        assert not holds(TOKEN, other, now)
    assert same(TOKEN, TOKEN) and not any(
        same(TOKEN, text) for text in ("", TOKEN[:-1], TOKEN + " ", "\ud800")
    )
    assert len(make_token()) >= SHORTEST and make_token() != make_token()


def _started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    started = []

    def popen(line: list[str], env: dict[str, str], **_: object) -> None:
        started.append((line, env))
        raise BadInput("enough")

    for name in ("LMC_ADDRESS", "LMC_BASE_PATH", "LMC_TOKEN", "LMC_TOKEN_FILE", "LMC_NO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("LMC_READ_ONLY", raising=False)
    monkeypatch.setattr(launch.subprocess, "Popen", popen)
    return started


def test_the_options_reach_the_server_and_the_token_no_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from lmc_core.cli.app import run

    started = _started(monkeypatch)
    file = tmp_path / "token"
    file.write_text(TOKEN)
    words = ["app", "--address", "0.0.0.0", "--base-path", "lmc", "--token-file", str(file)]
    with pytest.raises(BadInput, match="enough"):
        run(parse(words))
    (line, environment) = started[0]
    assert "--server.address=0.0.0.0" in line and "--server.baseUrlPath=/lmc" in line
    assert environment["LMC_TOKEN"] == TOKEN and TOKEN not in " ".join(line)
    assert environment["LMC_NO_TOKEN"] == "" and environment["LMC_TOKEN_FILE"] == ""
    with pytest.raises(BadInput, match="enough"):
        run(parse(["app", "--address", "::", "--read-only", "--no-token"]))
    assert started[1][1]["LMC_NO_TOKEN"] == "1" and started[1][1]["LMC_TOKEN"] == ""
    with pytest.raises(BadInput, match="enough"):
        run(parse(["app", "--address", "localhost"]))
    assert started[2][1]["LMC_HOSTS"] == "localhost" and started[2][1]["LMC_TOKEN"] == ""


def test_an_address_of_another_machine_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = _started(monkeypatch)
    for port in (None, 8765):
        with pytest.raises(BadInput, match="no address 192.0.2.1 to listen at"):
            launch.launch(port=port, browser=False, asked=Asked("192.0.2.1"))
    assert not started
