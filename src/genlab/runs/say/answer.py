"""A command or a job is run, and answered for: one line for a mistake, a traceback for a fault, and
the exit code of either.
"""

from __future__ import annotations

from collections.abc import Callable


def answer(work: Callable[[], None], overrides: list[str] | None = None, *, cell: str = "") -> int:
    """Run a command; its exit code. The user's mistakes are one line, a fault has a traceback.

    `cell` names the cell of a sweep in front of what is said of it.
    """
    from genlab.runs.devices.signals import received, stand_by

    stand_by()
    try:
        work()
    except SystemExit as stop:
        return stop.code & 255 if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:  # asked twice: at once
        return 130
    except Exception as error:
        return 128 + received[0] if received else _explain(error, overrides or [], cell)
    return 0


def _explain(error: Exception, overrides: list[str], cell: str) -> int:
    from genlab.runs.say import errors
    from genlab.runs.say.secrets import redact
    from genlab.runs.say.terminal import complain

    redact(overrides)  # what they hold is secret in the messages too
    cause = errors.root_cause(error)
    if any(o.startswith("debug=") for o in overrides):
        _trace(error)
        return errors.FAULT
    if errors.of_composition(error) and not errors.is_users(cause):
        from genlab.runs.settings.flags import explained

        complain(explained(error, overrides), cell)
        return errors.USER
    if errors.is_users(cause):
        complain(cause, cell)
        return errors.USER
    if line := errors.of_the_disk(cause):
        complain(line, cell)
        return errors.USER if isinstance(cause, PermissionError) else errors.FAULT
    if code := getattr(cause, "exit_code", 0):  # a known fault needs no traceback
        complain(cause, cell)
        return code
    if line := errors.of_memory(cause):
        complain(line, cell)
        return errors.FAULT
    if frames := errors.theirs(cause):
        at = frames[-1]
        complain(
            f"{at.filename}:{at.lineno}: {at.line or ''}: {type(cause).__name__}: {cause}", cell
        )
        return errors.USER
    _trace(error)
    complain(f"a fault of the program, not of yours: {type(cause).__name__}: {cause}", cell)
    return errors.FAULT


def _trace(error: Exception) -> None:
    """The traceback, without secrets."""
    import traceback

    from genlab.runs.say.terminal import say

    say("".join(traceback.format_exception(error)).rstrip())
