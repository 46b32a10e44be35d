# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command lines of Comware and VRP: what is a prompt, what is an error, and how the connection plugin is spoken to."""

from __future__ import annotations

import json

import pytest
from ansible_collections.wirefleet.capture.plugins.cliconf import comware as comware_cliconf
from ansible_collections.wirefleet.capture.plugins.cliconf import vrp as vrp_cliconf
from ansible_collections.wirefleet.capture.plugins.plugin_utils.views import PROMPT
from ansible_collections.wirefleet.capture.plugins.terminal import comware, vrp


@pytest.mark.parametrize(
    "text",
    [
        b"\r\n<tor1>",
        b"<tor-1.site_a>",
        b"\r\n[tor1]",
        b"\r\n[tor1-GigabitEthernet1/0/1]",
        b"\n[~CE1]",
        b"\n[*CE1-10GE1/0/1]",
        b"\n[tor1-vlan10] ",
    ],
)
def test_prompts_of_both_views(text):
    assert PROMPT.search(text)


@pytest.mark.parametrize(
    "text",
    [
        b"Continue? [Y/N]:",
        b"Continue?\r\n[Y/N]",
        b"\r\n[Y/N/C]",
        b"description <tor1>",
        b"\r\nmirroring-group 1 local",
        b"[edit here]",
        b"\r\n#",
    ],
)
def test_questions_and_configuration_are_no_prompts(text):
    assert not PROMPT.search(text)


@pytest.mark.parametrize(
    ("terminal", "text", "refused"),
    [
        (comware, b"         ^\r\n % Unrecognized command found at '^' position.", True),
        (comware, b" % Too many parameters found at '^' position.", True),
        (comware, b" % Wrong parameter found at '^' position.", True),
        (comware, b"The mirroring group does not exist.", False),
        (vrp, b"Error: Unrecognized command found at '^' position.", True),
        (vrp, b"\r\nError[4]: The observe port exists.", True),
        (vrp, b"Info: The configuration takes effect after commit.", False),
        (vrp, b" description Error: none", False),
    ],
)
def test_what_a_terminal_knows_to_be_an_error(terminal, text, refused):
    assert any(pattern.search(text) for pattern in terminal.TerminalModule.terminal_stderr_re) is refused


class Connection:
    """What network_cli is to a cliconf plugin: it types lines and knows the last prompt."""

    connected = True

    def __init__(self, prompt=b"<tor1>", said=""):
        self.prompt, self.said, self.typed, self.answers = prompt, said, [], []

    def send(self, command, answer=None, **_more):
        self.typed.append(command.decode())
        self.answers.append(answer)
        return self.said

    def get_prompt(self):
        return self.prompt


def test_configuration_is_typed_in_the_system_view():
    connection = Connection()
    done = comware_cliconf.Cliconf(connection).edit_config(["vlan 10", "name a"])
    assert connection.typed == ["system-view", "vlan 10", "name a", "return"] and done["request"] == ["vlan 10", "name a"]


def test_vrp_commits_where_its_prompt_says_that_something_waits():
    for prompt, typed in ((b"[*CE1]", ["commit", "return"]), (b"[S5700]", ["return"])):
        connection = Connection(prompt)
        vrp_cliconf.Cliconf(connection).edit_config("vlan 10")
        assert connection.typed == ["system-view", "vlan 10", *typed]


def test_a_view_that_was_left_open_is_left_without_a_commit():
    connection = Connection(b"\r\n[*CE1]")
    vrp_cliconf.Cliconf(connection).set_cli_prompt_context()
    assert (connection.typed, connection.answers) == (["return"], [b"n"])
    connection = Connection(b"<tor1>")
    comware_cliconf.Cliconf(connection).set_cli_prompt_context()
    assert connection.typed == []


@pytest.mark.parametrize(
    ("cliconf", "said", "version", "model"),
    [
        (
            comware_cliconf,
            "H3C Comware Software, Version 7.1.070, Release 6710\nH3C S6805-54HF uptime is 3 weeks, 1 day\n",
            "7.1.070",
            "S6805-54HF",
        ),
        (
            vrp_cliconf,
            "VRP (R) software, Version 8.180 (CE6850EI V200R005C10SPC800)\nHUAWEI CE6850-48S4Q-EI uptime is 1 day\n",
            "8.180",
            "CE6850-48S4Q-EI",
        ),
    ],
)
def test_what_the_switch_is(cliconf, said, version, model):
    told = json.loads(cliconf.Cliconf(Connection(said=said)).get_capabilities())
    assert told["device_info"] == {"network_os": cliconf.Cliconf.system, "network_os_version": version, "network_os_model": model}
