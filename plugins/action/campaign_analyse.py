# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes and compares the captures of published runs, writes the report beside them and prints its verdict."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.wirefleet.capture.plugins.plugin_utils import units
from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import model, publish
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import CampaignAction


class ActionModule(CampaignAction):
    _supports_check_mode = False
    _requires_connection = False
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {
        "evidence": {"type": "list", "elements": "path", "required": True},
        "dest": {"type": "path"},
        "optional": {"type": "bool", "default": False},
    }

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        folders = [os.path.abspath(folder) for folder in options["evidence"]]
        home = os.path.abspath(options["dest"]) if options["dest"] else None
        if not folders:
            raise units.Unusable("evidence names no folder: name at least one, in which campaign.json and SHA256SUMS are.")
        try:
            found = publish.answer(folders, home)
        except Exception as problem:  # whatever it is, the evidence is published and whole
            return self._without(problem, options["optional"])
        self._display.display(found.words())
        verdict = found.report["verdict"]
        return {"changed": True, "report": found.page, "answer": verdict["answer"], "sentences": verdict["sentences"]}

    def _without(self, problem: Exception, optional: bool) -> dict[str, t.Any]:
        if isinstance(problem, units.Unusable):
            raise problem
        known = isinstance(problem, model.Unavailable)
        words = str(problem) if known else f"The captures could not be compared: {type(problem).__name__}: {problem}."
        if not optional:
            raise units.Unusable(words) from None  # the words have the cause already
        self._display.warning(f"{words} The evidence is whole; playbooks/analyse.yml compares it later.")
        return {"changed": False, "report": None, "answer": None, "sentences": [], "msg": words}
