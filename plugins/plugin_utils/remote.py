# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens the serve channel to hosts of the inventory, over the connection that Ansible itself would use.

This file is the only one that reaches into Ansible's connection and become plugins.
"""

from __future__ import annotations

import os
import shlex
import typing as t

from ansible import constants as C
from ansible.module_utils.common.text.converters import to_bytes
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.loader import become_loader, connection_loader
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import ROOT

from .channel import Channel, ChannelError, Escalation, Pieces, Stream

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible.playbook.play_context import PlayContext
    from ansible.playbook.task import Task
    from ansible.plugins.connection import ConnectionBase

#: A host that is silent for so long is given up: with data on the way, and when asked a small question.
DATA_TIMEOUT_S, ASK_TIMEOUT_S = 60.0, 10.0
#: AES-GCM moves half as much again as ssh's default cipher on CPUs with AES instructions; the others are the fallback.
CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr"


def serve_argv(campaign: str, told: t.Any = None) -> list[str]:
    """Return the command that serves a campaign's folder; *told* is what the host itself said when it was armed."""
    if isinstance(told, list) and told:
        return [str(word) for word in told]
    return ["python3", f"{ROOT}/{campaign}/supervisor.pyz", "serve", f"{ROOT}/{campaign}"]


def can_stream(connection: ConnectionBase) -> bool:
    """Whether a process of our own can speak over this connection."""
    if connection.transport == "local":
        return True
    if connection.transport != "ssh":
        return False
    return not _password(connection) or connection.get_option("password_mechanism") == "sshpass"


def open_stream(connection: ConnectionBase, serve: Sequence[str], bulk: bool) -> Stream:
    """Start *serve* on the host; *bulk* takes a connection of its own with a fast cipher instead of a shared one."""
    command, escalation, timeout = shlex.join(serve), None, DATA_TIMEOUT_S if bulk else ASK_TIMEOUT_S
    become = connection.become
    if become is not None and _changes_user(connection):
        command = become.build_become_command(command, connection._shell)
        escalation = Escalation(
            success=to_bytes(become.success),
            prompt=to_bytes(become.prompt).strip() if become.expect_prompt() else b"",
            password=to_bytes(become.get_option("become_pass") or ""),
        )
    if connection.transport == "local":
        return Stream(["/bin/sh", "-c", command], timeout, escalation)
    return _open_ssh(connection, f"/bin/sh -c {shlex.quote(command)}", escalation, bulk, timeout)


def _open_ssh(connection: ConnectionBase, command: str, escalation: Escalation | None, bulk: bool, timeout: float) -> Stream:
    host = connection.get_option("host") or connection._play_context.remote_addr
    program = connection.get_option("ssh_executable")
    connection.host = host
    argv = connection._build_command(program, "ssh", host, command)
    place = argv.index(to_bytes(program)) + 1
    argv[place:place] = ssh_options(argv) if bulk else [b"-T"]
    pipe = getattr(connection, "sshpass_pipe", None)
    if not pipe:
        return Stream(argv, timeout, escalation)
    os.write(pipe[1], to_bytes(_password(connection)) + b"\n")
    try:
        return Stream(argv, timeout, escalation, pass_fds=pipe)
    finally:
        for descriptor in pipe:
            os.close(descriptor)


def ssh_options(argv: Sequence[bytes]) -> list[bytes]:
    """Return what goes before the other options, since ssh keeps the first it sees; the user's cipher wins. Pure."""
    options = [b"-T", b"-o", b"ControlMaster=no", b"-o", b"ControlPath=none", b"-o", b"Compression=no"]
    if not any(word == b"-c" or word.lower().startswith(b"ciphers") for word in argv):
        options += [b"-o", b"Ciphers=" + CIPHERS.encode()]
    return options


def open_asking(connection: ConnectionBase, serve: Sequence[str]) -> Channel:
    """Return a channel for small questions, whatever the connection."""
    if can_stream(connection):
        return open_stream(connection, serve, bulk=False)

    def execute(command: str, as_root: bool) -> tuple[int, str, str]:
        if as_root and connection.become is not None and _changes_user(connection):
            command = connection.become.build_become_command(command, connection._shell)
        rc, out, err = connection.exec_command(f"/bin/sh -c {shlex.quote(command)}", sudoable=as_root)
        return rc, to_bytes(out).decode("utf-8", "replace"), to_bytes(err).decode("utf-8", "replace")

    def no_files(_remote: str, _local: str) -> None:
        raise ChannelError("this channel carries no files")

    return Pieces(serve, execute, no_files, "/nonexistent", C.DEFAULT_LOCAL_TMP)


def connect(host: str, hostvars: Mapping[str, t.Any], task: Task, play_context: PlayContext) -> ConnectionBase:
    """Return the connection plugin for *host*, set up by its variables, the task and the command line."""
    variables = hostvars[host]
    keys = {**task.dump_attrs(), "timeout": play_context.timeout}
    keys.pop("retries", None)
    if play_context.password:
        keys["password"] = play_context.password
    if play_context.become_pass:
        keys["become_pass"] = play_context.become_pass
    context = play_context.copy()
    context.remote_addr = variables.get("ansible_host", host)
    connection = connection_loader.get(variables.get("ansible_connection") or task.connection, context)
    if connection is None:
        raise ChannelError(f"{host} has the connection {variables.get('ansible_connection')!r}, which does not exist")
    _set(connection, "connection", variables, keys)
    _set(connection._shell, "shell", variables, keys)
    if boolean(variables.get("ansible_become", task.become) or False):
        become = become_loader.get(variables.get("ansible_become_method") or task.become_method)
        _set(become, "become", variables, keys)
        connection.set_become_plugin(become)
    return connection


def _set(plugin: t.Any, kind: str, variables: Mapping[str, t.Any], keys: Mapping[str, t.Any]) -> None:
    names = C.config.get_plugin_vars(kind, plugin._load_name)
    plugin.set_options(task_keys=keys, var_options={name: variables[name] for name in names if name in variables})


def _changes_user(connection: ConnectionBase) -> bool:
    """Whether become is needed: Ansible itself leaves it out where the login user is the wanted one."""
    try:
        login = connection.get_option("remote_user")
    except KeyError:
        login = getattr(connection, "default_user", None) or connection._play_context.remote_user
    wanted = connection.become.get_option("become_user")
    return bool(C.BECOME_ALLOW_SAME_USER or wanted != login or not (wanted or login))


def _password(connection: ConnectionBase) -> str | None:
    return connection.get_option("password") or connection._play_context.password
