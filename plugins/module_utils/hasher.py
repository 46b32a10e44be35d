# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A SHA-256 beside the work whose bytes it is of: hashlib lets other threads run meanwhile."""

from __future__ import annotations

import hashlib
import queue
import threading
import typing as t


class Hasher:
    """A SHA-256 that is computed in a thread of its own."""

    #: How many pieces may wait: of those fed before the latest WAITING + 1, none is needed any more.
    WAITING = 4

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._queue: queue.Queue[t.Any] = queue.Queue(maxsize=self.WAITING)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def feed(self, piece: t.Any) -> None:
        """Hash *piece* (bytes-like) soon; it must not change until then."""
        self._queue.put(piece)

    def so_far(self) -> str:
        """Return the sum of everything fed."""
        self._queue.join()
        return self._sum.hexdigest()

    def stop(self) -> None:
        """End the thread; can be called twice."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (piece := self._queue.get()) is not None:
            self._sum.update(piece)
            self._queue.task_done()
