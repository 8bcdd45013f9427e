"""How a command ends: its exit code, its errors on stderr, and the signals SIGINT (Ctrl-C) and SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType

from runner.errors import ConfigurationError, RunnerError, Terminated
from runner.messages import lines_for, printable

INTERRUPTED = 130
HELP_REQUESTS = ("help", "-h", "--help")
BACKENDS = ("tensorflow", "jax", "torch")


def guarded(action: Callable[[], int], what: str = "the configuration") -> int:
    """Run an action; the exit code. An exception is reported on stderr and gives its exit code.

    Several problems at once are reported as problems in `what`.
    """
    accept_any_text()
    try:
        return action()
    except ConfigurationError as error:
        many = len(error.problems) > 1
        complain(f"{len(error.problems)} problems in {what}" if many else error.problems[0],
                 *(error.problems if many else ()))  # fmt: skip
        return error.exit_code
    except RunnerError as error:
        complain(*str(error).splitlines())
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        complain("interrupted")
        return getattr(interrupt, "exit_code", INTERRUPTED)
    except MemoryError as error:
        what = str(error) or "an allocation failed"
        complain(f"no memory is left ({what}); lower loader.batch_size, loader.max_queue_size or loader.workers")
        return 1
    except Exception:
        traceback.print_exc()
        return 1


def error_text(error: BaseException) -> str:
    """The lines that another process may write about an error of this one."""
    if isinstance(error, KeyboardInterrupt):
        return "error: interrupted"
    problems = error.problems if isinstance(error, ConfigurationError) else [str(error) or type(error).__name__]
    return "\n".join(f"error: {problem}" for problem in problems)


def run_command(arguments: Sequence[str], help_text: str, action: Callable[[Sequence[str]], None]) -> int:
    """Print the help if the first argument requests it, or there is none; else run `action` on them. Returns 0."""
    if not arguments or arguments[0] in HELP_REQUESTS:
        sys.stdout.write(help_text)
    else:
        action(arguments)
    return 0


def accept_any_text() -> None:
    """Have stdout and stderr escape what their encoding lacks, as × in ASCII, in place of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def complain(first: str, *others: str) -> None:
    """Write an error to stderr, with further lines below it; a terminal breaks no word."""
    sys.stdout.flush()
    lines = [printable(line) for text in (f"error: {first}", *others) for line in text.splitlines()]
    sys.stderr.write("\n  ".join(part for line in lines for part in lines_for(sys.stderr, line, 2)) + "\n")


def leave(code: int) -> None:
    """End the process at once if the interpreter might wait for a thread that never ends; else return.

    After an interrupted `fit` on TensorFlow its threads wait for a batch; a thread that reads may be in storage that
    hangs. After an interrupt Python may ignore the exit code and end by SIGINT. All files are closed by now, and
    buffered output is flushed here.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    may_wait = any(backend in sys.modules for backend in BACKENDS) or not all(thread.daemon for thread in others)
    if may_wait or code == INTERRUPTED:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)


SAME_SECONDS = 1.0


class Requests:
    """Requests to end, of which a signal soon after the first one is part.

    Whoever ends a group of processes may send a signal to each, and the process that started the others passes its own
    on.
    """

    def __init__(self) -> None:
        self._latest: float | None = None

    def forget(self) -> None:
        """Take the next signal for a request of its own."""
        self._latest = None

    def is_new(self) -> bool:
        """Whether a signal that has come now is another request."""
        before, now = self._latest, time.monotonic()
        if before is not None and now - before <= SAME_SECONDS:
            return False
        self._latest = now
        return True


REQUESTS = Requests()
AGAIN_SECONDS = 0.02


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that the record is closed; a second request ends the process."""

    def terminate(number: int, frame: FrameType | None) -> None:
        if REQUESTS.is_new():
            signal.signal(number, end)
            raise Terminated

    def end(number: int, frame: FrameType | None) -> None:
        if REQUESTS.is_new():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def raise_again(ignored: sys.UnraisableHookArgs) -> None:
        if not isinstance(ignored.exc_value, KeyboardInterrupt):
            hook(ignored)
            return
        # Raised where nothing can be raised, as in JAX's callback of the garbage collector, which Python goes on from.
        REQUESTS.forget()
        number = signal.SIGTERM if isinstance(ignored.exc_value, Terminated) else signal.SIGINT
        if number == signal.SIGTERM:
            signal.signal(number, terminate)
        thread = threading.main_thread().ident or 0
        later = threading.Timer(AGAIN_SECONDS, signal.pthread_kill, (thread, number))  # now it would be raised here
        later.daemon = True
        later.start()

    REQUESTS.forget()
    hook, sys.unraisablehook = sys.unraisablehook, raise_again
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        sys.unraisablehook = hook


class SignalsOfTheParent:
    """Handler of signals in a process whose steps another one leads: they have no effect before `ends` is called.

    The processes of a group do the same steps, so one alone must not end after its own.
    """

    def __init__(self) -> None:
        self._has_ended = False

    def install(self) -> None:
        """Have this handler get SIGINT and SIGTERM from now on."""
        for number in SIGNALS:
            signal.signal(number, self)

    def ends(self) -> None:
        """End the main thread as SIGTERM does; may be called in any thread."""
        self._has_ended = True
        os.kill(os.getpid(), signal.SIGTERM)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self._has_ended:
            self._has_ended = False  # once: its cleaning up is not to be interrupted
            raise Terminated


STDOUT, STDERR = 1, 2


def keep_terminal(log: Path) -> None:
    """Leave stdout and stderr to Python; what libraries in C++ and child processes write there is added to `log`."""
    for name, number in (("stdout", STDOUT), ("stderr", STDERR)):
        stream = getattr(sys, name)
        stream.flush()
        buffering = 1 if stream.line_buffering else -1
        kept = open(os.dup(number), "w", buffering, stream.encoding, stream.errors)  # noqa: SIM115, PTH123
        setattr(sys, name, kept)
    with suppress(OSError), log.open("ab") as file:
        os.dup2(file.fileno(), STDOUT)
        os.dup2(file.fileno(), STDERR)


def _stderr_descriptor() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError):  # a stream of a program's own
        return STDERR


SIGNALS: dict[signal.Signals, type[KeyboardInterrupt]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}


class Interruption:
    """Whether a signal has requested the run to stop, and which."""

    def __init__(self) -> None:
        self.requested: type[KeyboardInterrupt] | None = None

    def raise_if_requested(self) -> None:
        """Raise `KeyboardInterrupt` after SIGINT, `Terminated` after SIGTERM; return after neither."""
        if self.requested is not None:
            raise self.requested


AFTER_STEP = "after this step, once its state is saved"


@contextmanager
def interruptible(when: str = AFTER_STEP) -> Iterator[Interruption]:
    """Note the first signal in the block, to end after the step; a second request acts as it did before the block.

    The notice in the terminal says `when` the process will end.

    Python delivers signals to the main thread only; in other threads the block changes nothing, nor in a process that
    leaves signals to its parent.
    """
    interruption = Interruption()
    notice = f"interrupted: ending {when}\n  press Ctrl-C again to end at once\n".encode()
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or isinstance(signal.getsignal(signal.SIGTERM), SignalsOfTheParent):
        yield interruption
        return

    def note(number: int, frame: FrameType | None) -> None:
        if not REQUESTS.is_new():
            return
        if interruption.requested is None:
            interruption.requested = SIGNALS[signal.Signals(number)]
            terminal = _stderr_descriptor()
            line = b"\n" if os.isatty(terminal) else b""  # below the progress and the ^C of the terminal
            os.write(terminal, line + notice)  # not by a stream, which may be in the middle of a write
        else:
            REQUESTS.forget()
            restore()
            os.kill(os.getpid(), number)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    REQUESTS.forget()
    for number in SIGNALS:
        signal.signal(number, note)
    try:
        yield interruption
    finally:
        restore()


@contextmanager
def noting_signals(note: Callable[[Sequence[int]], None]) -> Iterator[None]:
    """Within the block, call `note` at each SIGINT and SIGTERM, with all of them so far.

    Python delivers signals to the main thread only; in other threads the block changes nothing.
    """
    numbers: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def take(number: int, frame: FrameType | None) -> None:
        numbers.append(number)
        note(numbers)

    before = {number: signal.signal(number, take) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
