"""docs/operations.md names what there is."""

import re
from pathlib import Path

from ropewayd import exits
from ropewayd.settings import catalogue

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def test_every_setting_it_names_exists() -> None:
    sections = {each.section for each in catalogue().values()}
    named = re.findall(rf"`((?:{'|'.join(sections)})\.[a-z_]+)`", TEXT)
    assert named
    assert set(named) <= set(catalogue())


def test_every_flag_and_variable_it_names_exists() -> None:
    flags = {each.flag for each in catalogue().values()} | {"--config", "--example", "--json"}
    of_others = {"--now", "--offline", "--file"}  # --file is `ropewayd key`'s own
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", TEXT)) <= flags | of_others
    variables = {each.variable for each in catalogue().values()} | {"ROPEWAY_CONFIG"}
    assert set(re.findall(r"ROPEWAY_[A-Z_]+", TEXT)) <= variables


def test_it_has_every_exit_code() -> None:
    codes = {value for name, value in vars(exits).items() if name.isupper()}
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
