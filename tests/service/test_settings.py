"""The settings themselves, and the file that is generated from them."""

import re
import tomllib
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from ropewayd.settings import Settings, catalogue, example, sections, toml

CONF = Path(__file__).parents[2] / "conf" / "ropeway.toml"


def test_the_file_of_settings_is_what_the_code_generates() -> None:
    assert CONF.read_text() == example(), "run: ropewayd config --example > conf/ropeway.toml"


def test_the_file_names_every_setting_with_its_default_and_meaning() -> None:
    document = tomllib.loads(re.sub("^#(?=[a-z])", "", example(), flags=re.MULTILINE))
    found = {
        f"{section}.{name}": value for section, table in document.items() for name, value in table.items()
    }
    assert list(found) == list(catalogue())
    for path, setting in catalogue().items():
        assert msgspec.convert(found[path], setting.annotation) == setting.default, path
        assert f"# {setting.doc}\n" in example()


def test_the_file_as_it_stands_sets_nothing() -> None:
    assert tomllib.loads(example()) == {section: {} for section in sections()}


@pytest.mark.parametrize("path", catalogue())
def test_every_setting_has_a_meaning_and_bounds_that_its_default_keeps(path: str) -> None:
    setting = catalogue()[path]
    assert setting.doc.endswith(".")
    assert "\n" not in setting.doc
    if setting.kind in (int, float):
        assert setting.meta.ge is not None
        assert setting.meta.le is not None
    else:
        assert setting.kind in (str, tuple, dict, Literal)
    assert msgspec.convert(setting.default, setting.annotation) == setting.default
    section, name = path.split(".")
    assert getattr(getattr(Settings(), section), name) == setting.default


def test_flags_and_variables_follow_from_the_path() -> None:
    by_path = catalogue()
    assert (by_path["daemon.data_dir"].flag, by_path["daemon.data_dir"].variable) == (
        "--data-dir",
        "ROPEWAY_DATA_DIR",
    )
    limit = by_path["protocol.max_frame"]
    assert (limit.flag, limit.variable) == ("--protocol-max-frame", "ROPEWAY_PROTOCOL_MAX_FRAME")
    assert len({each.variable for each in by_path.values()}) == len(by_path)


def test_no_secret_has_a_flag() -> None:
    secrets = [each for each in catalogue().values() if each.secret]
    assert [each.path for each in secrets] == ["keys.secrets"]
    assert all(each.flag is None for each in secrets)


@pytest.mark.parametrize(
    "value", ["", 'a "quoted" \\ path', 7, 16_777_216, 0.25, 3600.0, ("a", "b"), {}, {"a.b": "c"}]
)
def test_a_value_written_as_toml_reads_back(value: object) -> None:
    read = tomllib.loads(f"x = {toml(value)}")["x"]
    assert read == (list(value) if isinstance(value, tuple) else value)
