"""Which workers may run at the same time, where the kernel lets two workers of one user signal each other.

A benchmark runs the same candidate several times at once. Where system calls are not filtered, an encoder, which has
the frames, could send them to the decoder of another run, and so could a decoder with good packets. A decoder then
runs alone.
"""

from __future__ import annotations

import threading

from codec_sandbox.faults import SandboxUnavailable

_LONGEST_S = 900.0  # a whole invocation


class Turns:
    """Lets encoders run together and each decoder alone.

    Attributes
    ----------
    apart : bool
        Whether that is needed. If not, nobody waits.
    """

    def __init__(self) -> None:
        self.apart = False
        self._running: dict[object, str] = {}
        self._changed = threading.Condition()

    def take(self, role: str | None, seconds: float = _LONGEST_S) -> object:
        """Wait for a turn.

        Parameters
        ----------
        role : str or None
            ``encoder`` or ``decoder``; None for a worker that runs neither function, which need not wait.
        seconds : float
            The longest to wait.

        Returns
        -------
        object
            The turn, to be passed to `give`.

        Raises
        ------
        SandboxUnavailable
            The others did not end in time.
        """
        turn = object()
        with self._changed:
            if role is not None and not self._changed.wait_for(lambda: self._may_run(role), seconds):
                raise SandboxUnavailable(
                    f"no turn for a {role} within {seconds:g} s: other workers do not end"
                )
            if role is not None:
                self._running[turn] = role
        return turn

    def give(self, turn: object) -> None:
        """End a turn. Safe to call twice."""
        with self._changed:
            self._running.pop(turn, None)
            self._changed.notify_all()

    def _may_run(self, role: str) -> bool:
        others = self._running.values()
        return not self.apart or not others or (role == "encoder" and "decoder" not in others)
