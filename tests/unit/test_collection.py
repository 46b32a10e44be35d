# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold of every module, role, playbook and file of the collection."""

from __future__ import annotations

import ast
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODULES = sorted(ROOT.glob("plugins/modules/[!_]*.py"))
ROLES = sorted(path for path in ROOT.glob("roles/*") if path.is_dir())
PLAYBOOKS = sorted(ROOT.glob("playbooks/*.yml"))
PARTS = ("plugins", "roles", "playbooks", "campaigns", "inventories", "docs", "meta", "molecule", "tests")
FILES = [path for part in PARTS for path in sorted((ROOT / part).rglob("*")) if path.suffix in (".py", ".yml", ".md", ".sh", ".json")]
#: A home or work folder of somebody's own machine, which no user has.
DEVELOPERS_PATH = re.compile(r"(?<![\w.])/(?:work/\w|home/(?!operator\b|USER\b)\w|Users/\w)")
LICENCE = "# SPDX-License-Identifier: GPL-3.0-or-later"


def name_of(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def load(path: pathlib.Path) -> t.Any:
    return yaml.safe_load(path.read_text())


def constants(path: pathlib.Path) -> dict[str, str]:
    """Return the strings that the Python file at *path* assigns to names on its top level."""
    return {
        target.id: node.value.value
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_has_examples_of_its_own_tasks(path: pathlib.Path) -> None:
    examples = yaml.safe_load(constants(path)["EXAMPLES"])
    assert any(f"wirefleet.capture.{path.stem}" in task for task in examples)
    assert all(task["name"][0].isupper() for task in examples)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_documents_check_and_diff_mode(path: pathlib.Path) -> None:
    documentation = yaml.safe_load(constants(path)["DOCUMENTATION"])
    shared = "wirefleet.capture.attributes" in documentation.get("extends_documentation_fragment", [])
    assert shared or {"check_mode", "diff_mode", "platform"} <= set(documentation["attributes"])


@pytest.mark.parametrize("role", ROLES, ids=name_of)
def test_role_describes_each_default_and_defaults_only_what_it_describes(role: pathlib.Path) -> None:
    points = load(role / "meta" / "argument_specs.yml")["argument_specs"]
    options = {name: option for point in points.values() for name, option in point.get("options", {}).items()}
    defaults = load(role / "defaults" / "main.yml") or {}
    assert not set(defaults) - set(options), "a default that no argument spec describes"
    promised = {name: option["default"] for name, option in options.items() if "default" in option}
    assert {name: defaults.get(name) for name in promised} == promised
    assert not [name for name in [*options, *defaults] if name != role.name and not name.startswith(f"{role.name}_")]


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name_of)
def test_playbook_says_what_it_does(path: pathlib.Path) -> None:
    assert all(play["name"][0].isupper() for play in load(path))


def test_playbooks_pass_the_syntax_check() -> None:
    program = pathlib.Path(sys.executable).parent / "ansible-playbook"
    argv = [str(program), "--syntax-check", "-i", "inventories/example", *map(name_of, PLAYBOOKS)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_action_groups_name_the_modules_there_are() -> None:
    groups = load(ROOT / "meta" / "runtime.yml")["action_groups"]
    modules = {path.stem for path in MODULES}
    assert set(groups["all"]) == modules
    assert all(set(names) <= modules for names in groups.values())


def test_no_file_holds_a_path_of_somebodys_machine() -> None:
    found = [f"{name_of(path)}: {match[0]}" for path in FILES for match in DEVELOPERS_PATH.finditer(path.read_text())]
    assert not found


def test_every_python_file_says_its_licence() -> None:
    silent = [name_of(path) for path in FILES if path.suffix == ".py" and path.stat().st_size and LICENCE not in path.read_text()]
    assert not silent
