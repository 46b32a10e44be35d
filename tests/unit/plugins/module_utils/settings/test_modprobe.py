# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of kernel modules: files as modprobe reads them, what a module takes, what it would be loaded with."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.modprobe_live import compare, judge_running
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.modprobe_option import ModprobeOption, own_path
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.modprobe_text import (
    Option,
    bad_value,
    parse_options,
    parse_parm,
    parse_parmtype,
    parse_passed,
    render_options,
    same_value,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.recorded import Recorded

# Types as declared in drivers/net/ethernet/mellanox of Linux 6.1.
MLX4_TYPES = "debug_level:int\nmsi_x:int\nnum_vfs:array of byte\nlog_num_mgm_entry_size:int\nenable_64b_cqe_eqe:bool\n"
MLX5_TYPES = "debug_mask:uint\nprof_sel:uint\n"
SIZE = "log_num_mgm_entry_size"
OURS = "/etc/modprobe.d/wirefleet-mlx4_core.conf"
INSMOD = "insmod /lib/modules/6.1.0/kernel/drivers/net/ethernet/mellanox/mlx4/mlx4_core.ko"
RECORDED: dict[str, tuple[int, str, str]] = {
    "uname -r": (0, "6.1.0\n", ""),
    "modinfo -F parmtype mlx4_core": (0, MLX4_TYPES, ""),
    "modinfo -0 -F parm mlx4_core": (0, "log_num_mgm_entry_size:log mgm size\0", ""),
    "modinfo -F filename mlx4_core": (0, INSMOD.split()[1], ""),
    "modinfo -F parmtype mlx5_core": (0, MLX5_TYPES, ""),
    "modinfo -0 -F parm mlx5_core": (0, "prof_sel:profile selector. Valid range 0 - 2\0", ""),
    "modinfo -F filename mlx5_core": (0, "/lib/modules/6.1.0/mlx5_core.ko", ""),
    "modinfo -F parmtype ipv6": (0, "disable:int\n", ""),
    "modinfo -F filename ipv6": (0, "(builtin)\n", ""),
    "modinfo -F parmtype mlx6_core": (1, "", "modinfo: ERROR: Module mlx6_core not found."),
    "modprobe -n --show-depends mlx4_core": (0, f"{INSMOD} {SIZE}=-1 \n", ""),
}


def refusal(name: str, value: str | None, module: str = "mlx4_core", files: dict[str, str] | None = None) -> str:
    kind, host = ModprobeOption(), Recorded(files, RECORDED)
    with pytest.raises(Refused) as refused:
        kind.resolve(module, {name: value}, kind.read(host, module, [name]))
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("options mlx4-core debug_level=1 msi_x=0\n", [("mlx4_core", "debug_level", "1", 1), ("mlx4_core", "msi_x", "0", 1)]),
        ("# options a b=1\n\noptions a \\\n  b=1 \\\n  c=2\noptions a d=3", [("a", "b", "1", 3), ("a", "c", "2", 3), ("a", "d", "3", 6)]),
        ("blacklist irdma\ninstall mlx4_core /sbin/modprobe --ignore-install mlx4_core\noptions mlx4_core\n", []),
        ("options mlx4_core x = -1:\n", [("mlx4_core", "x", None, 1), ("mlx4_core", "", "", 1), ("mlx4_core", "-1:", None, 1)]),
    ],
)
def test_options_are_read_as_modprobe_reads_them(text: str, found: list[tuple[str, str, str | None, int]]) -> None:
    assert parse_options(text, "p") == [Option(module, name, value, "p", line) for module, name, value, line in found]


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.from_regex(r"[-\w.,=]{1,8}", fullmatch=True), min_size=1))
def test_what_is_rendered_is_read_back(values: dict[str, str]) -> None:
    assert {option.parameter: option.value for option in parse_options(render_options("m", values), "p")} == values


@pytest.mark.parametrize(
    ("kind", "value", "good"),
    [
        ("int", "-1", True), ("int", "0x10", True), ("int", "-1:", False), ("int", "= -1:", False), ("int", "", False),
        ("uint", "-1", False), ("uint", "2", True), ("bool", "Y", True), ("bool", "2", False), ("charp", "eth0", True),
        ("charp", 'a"b', False), ("array of byte", "1,2,3", True), ("array of int", "1,x", False), ("array of int", "1,", False),
    ],
)  # fmt: skip
def test_values_are_checked_against_the_parameters_type(kind: str, value: str, good: bool) -> None:
    assert (bad_value(kind, value) is None) is good


@pytest.mark.parametrize(
    ("kind", "stored", "live", "same"),
    [
        ("int", "0x10", "16", True),
        ("bool", "1", "Y", True),
        ("bool", "off", "N", True),
        ("charp", "a", "b", False),
        ("int", "-1", "10", False),
    ],
)
def test_the_kernels_spelling_is_understood(kind: str, stored: str, live: str, same: bool) -> None:
    assert same_value(kind, stored, live) is same


def test_parameters_are_read_past_lines_that_are_none() -> None:
    assert parse_parmtype("a:int\n  continued: text\nnum_vfs:array of byte\n") == {"a": "int", "num_vfs": "array of byte"}


def test_parameters_with_a_description_only_are_parameters() -> None:
    """loop of Linux 6.1.176, as modinfo prints it, and a description of two lines."""
    text = "max_loop:Maximum number of loop devices\0hw_queue_depth:Queue depth. Default: 128\nunit: entries\0"
    assert parse_parm(text) == ["max_loop", "hw_queue_depth"]
    assert (bad_value("", "16"), same_value("", "16", "16")) == (None, True)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        (f"insmod /lib/modules/6.1.0/devlink.ko x=2\n{INSMOD} {SIZE}=10 {SIZE}=-1\n", {SIZE: "-1"}),
        (INSMOD + ".xz\n", {}),
        ("install /usr/libexec/mlx4-setup.sh\n", None),
        ("builtin mlx4_core\n", None),
    ],
)
def test_what_modprobe_would_pass_is_read(text: str, passed: dict[str, str] | None) -> None:
    assert parse_passed(text, "mlx4-core") == passed


def test_mlx5_has_no_steering_parameter_and_says_which_it_has() -> None:
    assert f"mlx5_core has no parameter '{SIZE}'" in refusal(SIZE, "-1", "mlx5_core")
    assert "debug_mask, prof_sel" in refusal(SIZE, "-1", "mlx5_core")


def test_the_form_that_takes_the_card_away_is_refused() -> None:
    assert "must be a whole number" in refusal(SIZE, "-1:")
    assert "one word without spaces" in refusal(SIZE, "= -1:")


def test_another_files_value_is_named_with_its_line() -> None:
    files = {"/etc/modprobe.d/mlnx.conf": f"# vendor\noptions mlx4-core {SIZE}=10\n"}
    assert f"/etc/modprobe.d/mlnx.conf:2 sets mlx4_core {SIZE}=10" in refusal(SIZE, "-1", files=files)


def test_a_file_that_modprobe_does_not_read_is_no_conflict() -> None:
    files = {
        "/etc/modprobe.d/mlnx.conf.bak": f"options mlx4_core {SIZE}=10\n",
        "/etc/modprobe.d/a.conf": "options mlx4_core msi_x=1\n",
        "/usr/lib/modprobe.d/a.conf": f"options mlx4_core {SIZE}=10\n",
    }
    kind = ModprobeOption()
    assert kind.resolve("mlx4_core", {SIZE: "-1"}, kind.read(Recorded(files, RECORDED), "mlx4_core", [SIZE])) == {SIZE: "-1"}


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("mlx6_core", "kernel 6.1.0 has no module mlx6_core: check its name"),
        ("ipv6", "ipv6 is built into this kernel"),
        ("../x", "not the name"),
    ],
)
def test_modules_that_can_have_no_options_are_refused(module: str, words: str) -> None:
    assert words in refusal("disable", "1", module)


def test_an_option_can_be_taken_out_after_the_driver_was_uninstalled() -> None:
    host, kind = Recorded({own_path("mlx6_core"): "options mlx6_core a=1\n"}, RECORDED), ModprobeOption()
    reading = kind.read(host, "mlx6_core", ["a"])
    kind.write(host, "mlx6_core", kind.resolve("mlx6_core", {"a": None}, reading), reading.values)
    assert (reading.values, host.files) == ({"a": "1"}, {})


def test_options_are_merged_into_our_file() -> None:
    host, kind = Recorded({OURS: "options mlx4_core msi_x=1\n"}, RECORDED), ModprobeOption()
    kind.write(host, "mlx4_core", {SIZE: "-1"}, {})
    assert kind.read(host, "mlx4_core", []).values == {SIZE: "-1", "msi_x": "1"}


def test_a_file_that_modprobe_would_not_follow_is_taken_back() -> None:
    outdone = {**RECORDED, "modprobe -n --show-depends mlx4_core": (0, f"{INSMOD} {SIZE}=-1 {SIZE}=10\n", "")}
    host = Recorded({OURS: "options mlx4_core msi_x=1\n"}, outdone)
    with pytest.raises(Refused, match=f"with 10 for {SIZE} in spite of {OURS}"):
        ModprobeOption().write(host, "mlx4_core", {SIZE: "-1"}, {})
    assert host.files[OURS] == "options mlx4_core msi_x=1\n"


@pytest.mark.parametrize(
    ("before", "stored", "running", "stale"),
    [
        (None, "-1", "10", True),
        ("-1", "-1", "-1", False),
        ("-1", "-1", "10", True),
        ("-1", None, "-1", True),  # taken out, but the module still runs with it
        (None, None, "-1", False),
        (None, "-1", None, False),  # not shown by the kernel
    ],
)
def test_a_reload_is_due_where_the_module_runs_with_something_else(
    before: str | None, stored: str | None, running: str | None, stale: bool
) -> None:
    found, notes = judge_running({SIZE: "int"}, {SIZE: before}, {SIZE: stored}, {SIZE: running})
    assert found is stale
    assert bool(notes) is (running is None)


IMAGE = "usr/lib/modules/6.1.0/kernel/drivers/net/ethernet/mellanox/mlx4/mlx4_core.ko\n"


@pytest.mark.parametrize(
    ("said", "inside", "note"),
    [
        ({"lsinitramfs /boot/initrd.img-6.1.0": (0, IMAGE, "")}, True, "update-initramfs -u"),
        ({"lsinitrd": (0, f"-rw-r--r-- 1 root root 1 Jan 1 {IMAGE}", "")}, True, "dracut -f"),
        ({"lsinitramfs /boot/initrd.img-6.1.0": (0, IMAGE.replace("core", "en"), "")}, False, ""),
        ({"lsinitrd": (1, "", "No /boot/initramfs")}, None, "No /boot/initramfs"),
        ({}, None, "neither lsinitramfs nor lsinitrd"),
    ],
)
def test_an_initramfs_with_the_module_has_to_be_made_anew(said: dict[str, t.Any], inside: bool | None, note: str) -> None:
    live = compare(Recorded({}, {**RECORDED, **said}), "mlx4_core", {}, {SIZE: "-1"})
    assert live.initramfs_update_required is inside
    assert note in " ".join(live.notes)
