"""The distribution: what it declares, ships and pins."""

from __future__ import annotations

import fnmatch
import re
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.checkout import CHECKOUT, SOURCES, imports

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
EXTRAS = {
    name: [Requirement(text) for text in texts] for name, texts in PROJECT["project"]["optional-dependencies"].items()
}
LOCKS = {
    "requirements.lock": RUNTIME + EXTRAS["embedded"],
    "requirements-dev.lock": RUNTIME + EXTRAS["embedded"] + EXTRAS["dev"],
    "requirements-ray.lock": RUNTIME + EXTRAS["ray"],
}


def pins(lock: str) -> dict[str, str]:
    text = (CHECKOUT / lock).read_text(encoding="utf-8")
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^ ;\\]+)", text, re.MULTILINE)
    }


def test_the_program_is_an_entry_point() -> None:
    scripts = distribution("ebbtide").entry_points.select(group="console_scripts", name="ebbtide")
    assert [script.value for script in scripts] == ["streams.cli:main"]


def test_the_installed_version_is_that_of_pyproject() -> None:
    assert distribution("ebbtide").version == PROJECT["project"]["version"]


def test_every_import_is_a_declared_dependency() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in RUNTIME + EXTRAS["embedded"] + EXTRAS["ray"]}
    owners = packages_distributions()
    imported = {name.partition(".")[0] for path in SOURCES for name in imports(path)}
    third_party = imported - sys.stdlib_module_names - {"streams", "models", "_typeshed"}  # the last one only for mypy
    undeclared = {  # a package that is not installed, as an extra may be, is known by its own name
        name for name in third_party if not {canonicalize_name(owner) for owner in owners.get(name, [name])} & declared
    }
    assert not undeclared


def test_every_dependency_has_a_range() -> None:
    assert not [
        str(requirement) for requirement in RUNTIME + EXTRAS["dev"] + EXTRAS["ray"] if not requirement.specifier
    ]


@pytest.mark.parametrize("package", ["streams", "models"])
def test_every_file_beside_the_code_is_shipped(package: str) -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    beside = [path for path in (CHECKOUT / package).rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}]
    assert not [str(path) for path in beside if not any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns)]


@pytest.mark.parametrize("package", ["streams", "models"])
def test_every_folder_with_shipped_files_is_a_package(package: str) -> None:
    folders = {path.parent for path in (CHECKOUT / package).rglob("*.py")}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").exists()]


@pytest.mark.parametrize("lock", sorted(LOCKS))
def test_the_lock_pins_what_pyproject_asks_for(lock: str) -> None:
    pinned = pins(lock)
    wrong = [
        str(requirement)
        for requirement in LOCKS[lock]
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
    ]
    assert not wrong, "pin anew with: make lock"


@pytest.mark.parametrize("lock", sorted(LOCKS))
def test_every_pin_has_hashes(lock: str) -> None:
    blocks = re.split(r"^(?=[\w.-]+==)", (CHECKOUT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)


@pytest.mark.parametrize("lock", sorted(LOCKS))
def test_the_lock_names_no_registry_and_no_machine(lock: str) -> None:
    text = (CHECKOUT / lock).read_text(encoding="utf-8")
    assert not re.findall(r"^.*(?:://|--index|--find-links|@ file|/tmp/|/home/|/root/).*$", text, re.MULTILINE)


def test_both_locks_agree() -> None:
    runtime, everything = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {name: everything.get(name) for name in runtime} == runtime


def test_the_licence_is_whole() -> None:
    text = Path(CHECKOUT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
