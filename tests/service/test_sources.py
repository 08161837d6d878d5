"""Flags over variables over the file over defaults; every value and every fault names its origin."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewayd.exits import CONFIGURATION, Misconfigured
from ropewayd.settings import Setting, Settings, catalogue, toml
from ropewayd.sources import DEFAULT, FOREIGN, MASK, Configuration, gather

SECRET = "correct-horse-battery"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ropeway.toml"
    path.touch(mode=0o600)
    return path


def fault(
    text: str = "",
    *,
    file: Path | None = None,
    environ: dict[str, str] | None = None,
    flags: dict[str, str | list[str]] | None = None,
) -> str:
    if file is not None:
        file.write_text(text)
    with pytest.raises(Misconfigured) as raised:
        gather(flags or {}, environ or {}, str(file) if file else None)
    assert raised.value.code == CONFIGURATION
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_nothing_said_means_the_defaults() -> None:
    configuration = gather({}, {})
    assert configuration.settings == Settings()
    assert set(configuration.origins.values()) == {DEFAULT}


def test_a_flag_beats_a_variable_beats_the_file(file: Path) -> None:
    file.write_text("[protocol]\nmax_connections = 1\nmax_requests = 1\nhandshake_timeout = 1\n")
    environ = {"ROPEWAY_PROTOCOL_MAX_REQUESTS": "2", "ROPEWAY_PROTOCOL_HANDSHAKE_TIMEOUT": "2.5"}
    configuration = gather({"protocol.handshake_timeout": "3"}, environ, str(file))
    protocol = configuration.settings.protocol
    assert (protocol.max_connections, protocol.max_requests, protocol.handshake_timeout) == (1, 2, 3.0)
    said = {path: str(origin) for path, origin in configuration.origins.items() if origin != DEFAULT}
    assert said == {
        "protocol.max_connections": f"{file}, line 2",
        "protocol.max_requests": "ROPEWAY_PROTOCOL_MAX_REQUESTS",
        "protocol.handshake_timeout": "--protocol-handshake-timeout",
    }


def test_the_file_is_named_by_flag_or_variable(file: Path, tmp_path: Path) -> None:
    file.write_text('[log]\nlevel = "debug"\n')
    assert gather({}, {"ROPEWAY_CONFIG": str(file)}).settings.log.level == "debug"
    other = tmp_path / "other.toml"
    other.write_text('[log]\nlevel = "error"\n')
    assert gather({}, {"ROPEWAY_CONFIG": str(file)}, str(other)).settings.log.level == "error"


def test_lists_come_from_repeated_flags_commas_and_arrays(file: Path) -> None:
    both = ("127.0.0.1:1", "unix:/run/x")
    assert gather({"daemon.listen": list(both)}, {}).settings.daemon.listen == both
    assert gather({}, {"ROPEWAY_LISTEN": ", ".join(both)}).settings.daemon.listen == both
    file.write_text(f"[daemon]\nlisten = {toml(both)}")
    assert gather({}, {}, str(file)).settings.daemon.listen == both


def test_underscores_may_part_the_digits_of_a_number_everywhere(file: Path) -> None:
    file.write_text("[protocol]\nmax_connections = 1_000\n")
    environ = {"ROPEWAY_PROTOCOL_IDLE_TIMEOUT": "3_600.5"}
    protocol = gather({"protocol.max_requests": "1_0"}, environ, str(file)).settings.protocol
    assert (protocol.max_connections, protocol.idle_timeout, protocol.max_requests) == (1000, 3600.5, 10)
    for wrong in ("_10", "10_", "1__0"):
        assert f'is "{wrong}"' in fault(flags={"protocol.max_requests": wrong})


def test_an_empty_variable_is_none_at_all() -> None:
    assert (
        gather({}, {"ROPEWAY_LISTEN": "", "ROPEWAY_CONFIG": "", "ROPEWAY_NONSENSE": ""}).settings
        == Settings()
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[protocol]\n\n# a note\nmax_conections = 5",
            ("protocol.max_conections", "line 4", "max_connections?"),
        ),
        ("[protocl]\n", ("[protocl]", "line 1", "protocol?")),
        ("\n\ndata_dir = '/x'", ("data_dir", "line 3", "data_dir in [daemon]?")),
        ("protocol = 4", ("[protocol]", "line 1")),
        (
            "[protocol]\nmax_connections = 0",
            ("protocol.max_connections", "line 2", "from 1 to 1_000_000", "is 0"),
        ),
        ("[protocol]\nmax_connections = 1.5", ("protocol.max_connections", "line 2", "an integer", "is 1.5")),
        ("[protocol]\nmax_connections = '5'", ("protocol.max_connections", "line 2", "an integer", 'is "5"')),
        ("[protocol]\nmax_connections = true", ("protocol.max_connections", "line 2")),
        ("[protocol]\nidle_timeout = nan", ("protocol.idle_timeout", "line 2", "from 1 to")),
        ("[protocol]\nidle_timeout = inf", ("protocol.idle_timeout", "line 2", "from 1 to")),
        ("protocol.max_frame = 1", ("protocol.max_frame", "line 1")),
        ("protocol = { max_requests = 9,\nmax_frame = 1 }", ("is not TOML", "line 1")),
        ("[daemon]\nlisten = [\n 'a:1',\n 5,\n]", ("daemon.listen", "line 2", "a list of strings")),
        ("[daemon]\nlisten = 'a:1'", ("daemon.listen", "line 2", "a list of strings")),
        ("[daemon]\nlisten = [\n 'a:1',\n]\naccount = '1'", ("daemon.account", "line 5")),
        ('[daemon]\nregion = """\nx\n"""\naccount = "a"', ("daemon.account", "line 5")),
        ("[log]\nlevel = 'loud'", ("log.level", "line 2", "one of debug, info, warning, error", '"loud"')),
        ("[log\n", ("is not TOML", "line 1")),
        ("[log]\n[log]\n", ("is not TOML", "line 2")),
        ("[tls]\ncertificate = 'x'", ("tls.certificate", "line 2", "without tls.key")),
        ("[protocol]\nmax_frame = 16777216\nmax_request_bytes = 4000000", ("line 3", "line 2", "less than")),
        ("[keys.secrets]\nme = 'short'", ("keys.secrets", "line 1")),
        (f"[keys.secrets]\n'with space' = '{SECRET}'", ("keys.secrets", "line 1")),
    ],
)
def test_a_fault_in_the_file_names_the_setting_and_the_line(
    text: str, said: tuple[str, ...], file: Path
) -> None:
    message = fault(text, file=file)
    assert str(file) in message
    for each in said:
        assert each in message


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ROPEWAY_LISTN": "x"}, ("unknown variable ROPEWAY_LISTN", "ROPEWAY_LISTEN?")),
        ({"ROPEWAY_STORE_CACHE": "5"}, ("unknown variable ROPEWAY_STORE_CACHE",)),
        (
            {"ROPEWAY_PROTOCOL_MAX_REQUESTS": "many"},
            ("protocol.max_requests (ROPEWAY_PROTOCOL_MAX_REQUESTS)", '"many"'),
        ),
        ({"ROPEWAY_PROTOCOL_MAX_REQUESTS": "0"}, ("ROPEWAY_PROTOCOL_MAX_REQUESTS", "from 1 to")),
        ({"ROPEWAY_PROTOCOL_IDLE_TIMEOUT": "nan"}, ("ROPEWAY_PROTOCOL_IDLE_TIMEOUT",)),
        ({"ROPEWAY_CONFIG": "/nowhere/at/all"}, ("/nowhere/at/all", "No such file")),
    ],
)
def test_a_fault_in_a_variable_names_it(environ: dict[str, str], said: tuple[str, ...]) -> None:
    message = fault(environ=environ)
    for each in said:
        assert each in message


def test_a_fault_in_a_flag_names_it() -> None:
    assert fault(flags={"daemon.account": "12"}).startswith(
        "daemon.account (--account) must be a string like"
    )


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "Is a directory" in fault(file=None, environ={"ROPEWAY_CONFIG": str(tmp_path)})
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert "is not TOML" in fault(environ={"ROPEWAY_CONFIG": str(binary)})


def test_variables_of_other_programs_are_left_alone() -> None:
    environ = {
        "ROPEWAY_URL": "ropeway://x",
        "ROPEWAY_PORT_4565_TCP": "tcp://10.0.0.1:4565",
        "ROPEWAY_SERVICE_HOST": "x",
    }
    assert gather({}, environ).settings == Settings()
    assert not any(FOREIGN.fullmatch(each.variable) for each in catalogue().values())


def test_no_variable_of_the_client_stops_a_daemon_beside_it() -> None:
    client = Path(__file__).parents[2] / "client" / "ropeway"
    named = {
        name for each in client.rglob("*.py") for name in re.findall(r"\bROPEWAY_[A-Z_]+\b", each.read_text())
    }
    assert "ROPEWAY_URL" in named
    gather({}, dict.fromkeys(named, "anything"))


def test_secrets_are_never_shown(file: Path) -> None:
    file.write_text(f"[keys.secrets]\nme = '{SECRET}'\n")
    configuration = gather({}, {}, str(file))
    assert configuration.settings.keys.secrets == {"me": SECRET}
    assert SECRET not in str(configuration)
    assert SECRET not in str(configuration.shown())
    assert configuration.shown()["keys.secrets"]["value"] == {"me": MASK}
    short = SECRET[:12]
    assert short not in fault(f"[keys.secrets]\nme = '{short}'", file=file)
    assert short not in fault(environ={"ROPEWAY_KEYS_SECRETS": f"me:{short}"})
    assert short not in fault(environ={"ROPEWAY_KEYS_SECRETS": short})


def test_secrets_may_come_from_a_variable() -> None:
    environ = {"ROPEWAY_KEYS_SECRETS": f"me:{SECRET},you:{SECRET}:with:colons"}
    assert gather({}, environ).settings.keys.secrets == {"me": SECRET, "you": f"{SECRET}:with:colons"}


def test_a_file_with_secrets_must_be_private(file: Path) -> None:
    file.chmod(0o640)
    message = fault(f"[keys.secrets]\nme = '{SECRET}'\n", file=file)
    assert "0640" in message
    assert f"chmod 600 {file}" in message
    file.write_text("[keys]\n")
    assert gather({}, {}, str(file)).settings == Settings()


def test_what_is_printed_can_be_read_back(file: Path) -> None:
    flags = {"daemon.data_dir": 'a "b"\\c', "daemon.listen": ["127.0.0.1:1", "unix:x"], "log.level": "error"}
    before = gather(flags, {})
    assert "# --data-dir" in str(before)
    file.write_text(str(before))
    after = gather({}, {}, str(file))
    assert after.settings == before.settings
    assert all(origin.kind == "file" for origin in after.origins.values())


comments = st.sampled_from(["", "\n", "# x = 1\n", "\n\n# [protocol]\n"])
limits = [each for each in catalogue().values() if each.kind in (int, float)]


@given(
    order=st.permutations(limits),
    gaps=st.lists(comments, min_size=len(limits), max_size=len(limits)),
    dotted=st.booleans(),
)
def test_the_line_is_right_wherever_a_setting_stands(
    order: list[Setting], gaps: list[str], dotted: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text, expected = "", {}
    if not dotted:
        order = sorted(order, key=lambda each: each.section)
    section = None
    for setting, gap in zip(order, gaps, strict=True):
        text += gap
        if not dotted and setting.section != section:
            section = setting.section
            text += f"[{section}]\n"
        expected[setting.path] = text.count("\n") + 1
        text += f"{setting.path if dotted else setting.name} = {toml(setting.default)} # trailing\n"
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text)
    origins: Configuration = gather({}, {}, str(path))
    assert {path: origin.line for path, origin in origins.origins.items() if origin != DEFAULT} == expected
