"""A command or a job is run, and answered for: one line for a mistake, a traceback for a fault, and
the exit code of either.
"""

from __future__ import annotations

from collections.abc import Callable


def answer(
    work: Callable[[], None],
    overrides: list[str] | None = None,
    *,
    cell: str = "",
    told: Callable[[str], None] | None = None,
) -> int:
    """Run a command; its exit code. The user's mistakes are one line, a fault has a traceback.

    `cell` names the cell of a sweep in front of what is said of it; `told` is given the line too.
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
        if received:
            return 128 + received[0]
        from genlab.runs.say.terminal import complain

        line, code = explain(error, overrides or [])
        if told is not None:
            told(line)
        if not any(o.startswith("debug=") for o in overrides or []):  # its trace has said it
            complain(line, cell)
        return code
    return 0


def explain(error: Exception, overrides: list[str]) -> tuple[str, int]:
    """The line that says what went wrong, and the exit code; a fault's traceback is printed."""
    from genlab.runs.say import errors
    from genlab.runs.say.secrets import redact

    redact(overrides)  # what they hold is secret in the messages too
    cause = errors.root_cause(error)
    named = f"{type(cause).__name__}: {cause}"
    if any(o.startswith("debug=") for o in overrides):
        _trace(error)
        return named, errors.FAULT
    if errors.of_composition(error) and not errors.is_users(cause):
        from genlab.runs.settings.flags import explained

        return explained(error, overrides), errors.USER
    if errors.is_users(cause):
        return str(cause), errors.USER
    if line := errors.of_the_disk(cause):
        return line, errors.USER if isinstance(cause, PermissionError) else errors.FAULT
    if code := getattr(cause, "exit_code", 0):  # a known fault needs no traceback
        return str(cause), code
    if line := errors.of_memory(cause):
        return line, errors.FAULT
    if frames := errors.theirs(cause):
        at = frames[-1]
        return f"{at.filename}:{at.lineno}: {at.line or ''}: {named}", errors.USER
    _trace(error)
    return f"a fault of the program, not of yours: {named}", errors.FAULT


def _trace(error: Exception) -> None:
    """The traceback, without secrets."""
    import traceback

    from genlab.runs.say.terminal import say

    say("".join(traceback.format_exception(error)).rstrip())
