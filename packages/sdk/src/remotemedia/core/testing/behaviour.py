"""Behaviour: what a node does when it is run, stopped, and fails."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from remotemedia.core import outputs
from remotemedia.core.config import check_config
from remotemedia.core.configured import configured
from remotemedia.core.errors import LoanError, NodeError, ProcessCrashError
from remotemedia.core.ports import PORT_TYPES
from remotemedia.core.testing.clock import is_idle_worker, runs_code_of
from remotemedia.core.testing.harness import NodeHarness
from remotemedia.core.testing.report import Violation
from remotemedia.core.testing.samples import sample
from remotemedia.core.testing.steps import NodeTimeout
from remotemedia.core.testing.strange import garbage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from remotemedia.core.data import RuntimeData
    from remotemedia.core.ports import Port
    from remotemedia.core.testing.life import Reported
    from remotemedia.core.testing.subject import Subject

__all__ = ["Behaviour"]

_THREADS_END_WITHIN_SECS = 1.0
Answer = Literal["given", "nothing", "refused"]


class _MadeUpError(Exception):
    """What makes an initialization fail."""


class Behaviour:
    """Runs a node in every way that its contract speaks of, and notes what it does not keep.

    Args:
        subject: The node type.
        config: What it is run with.
        inputs: Items for its inputs; ordinary ones for those that are not named.
        quiet: Outputs that may give nothing.
        deadline: Seconds for each step.
    """

    def __init__(
        self,
        subject: Subject,
        config: Mapping[str, Any] | None,
        inputs: Mapping[str, Sequence[Any]],
        quiet: Collection[str],
        deadline: float | None,
    ) -> None:
        plain, _ = check_config(dict(config or {}), subject.spec.config)
        spec, _ = configured(subject.spec, plain)
        names = {port.name for port in spec.inputs}, {port.name for port in spec.outputs}
        unknown = {*inputs} - names[0] | {*quiet} - names[1]
        if unknown:
            raise TypeError(f"the node has no ports {sorted(unknown)}; see `inputs` and `quiet`")
        self._subject, self._spec, self._config = subject, spec, config
        self._inputs, self._quiet, self._deadline = inputs, quiet, deadline
        self._found: list[Violation] = []
        self._reports = 0

    def check(self) -> list[Violation]:
        """Run the node; returns what was found."""
        if self._live():
            self._stop_in_the_middle()
            for number in sorted({0, 1, self._reports}):
                self._fail_to_initialize(number)
        return self._found

    # ---- ways to live

    def _live(self) -> bool:
        """Run it from initialize to cleanup; says whether more can be found out."""
        threads = set(threading.enumerate())
        harness = self._harness()
        started = False
        try:
            harness.start()
            started = True
            self._reports = len(harness.progress)
            for port in self._spec.inputs:
                self._feed_ordinary(harness, port)
            for port in self._spec.inputs:
                self._feed_strange(harness, port)
            for port in self._spec.inputs:
                self._feed_ordinary(harness, port, "after strange data, ")
            harness.finish()
        except (NodeError, ProcessCrashError) as error:
            self._failed("", error)
        except NodeTimeout as error:
            self._failed("", error)
            started = False  # nothing else would end any sooner
        finally:
            self._close(harness)
        self._look_at_outputs(harness)
        self._look_at_what_is_left(harness, threads)
        return started

    def _stop_in_the_middle(self) -> None:
        """Stop it at the first item that it gives, as a session does that ends."""
        harness = self._harness()
        try:
            harness.start()
            for port in self._spec.inputs:
                for item in self._ordinary(port):
                    stream = harness.stream(item, port.name)
                    if next(stream, None) is not None:
                        stream.close()  # type: ignore[attr-defined]
                        return
        except NodeError:
            pass  # an item that it refuses, which `_live` has told
        except (ProcessCrashError, NodeTimeout) as error:
            self._failed("stopped in the middle, ", error)
        finally:
            self._close(harness, "stopped in the middle of a stream, ")

    def _fail_to_initialize(self, at_report: int) -> None:
        """Have initialize fail at a report of progress (0: before it begins), then clean up."""
        harness = self._harness()
        when = f"after its report {at_report} of progress" if at_report else "before it begins"

        def fail(report: Reported) -> None:
            if report.stage == "initialize" and len(harness.progress) == at_report:
                raise _MadeUpError(f"made up by the contract check, {when}")

        harness.on_progress(fail)
        try:
            if at_report:
                harness.start()
            else:
                harness.make()
        except NodeError as error:
            if not isinstance(error.__cause__, _MadeUpError) and at_report:
                self._failed("", error)
        except (ProcessCrashError, NodeTimeout) as error:
            self._failed(f"where initialize fails {when}, ", error)
        for noted in harness.errors:
            if noted.stage == "cleanup":
                self._cleanup_failed(f"where initialize fails {when}, ", noted)
        self._close(harness, f"where initialize fails {when}, ")

    def _harness(self) -> NodeHarness:
        return NodeHarness(
            self._subject,
            self._config,
            node_id=self._spec.name,
            on_error="continue",
            deadline=self._deadline,
        )

    def _close(self, harness: NodeHarness, when: str = "") -> None:
        try:
            harness.close()
        except NodeError as error:
            if error.stage == "cleanup":
                self._cleanup_failed(when, error)
            else:
                self._failed(when, error)
        except (ProcessCrashError, NodeTimeout) as error:
            self._failed(when, error)
        for item in harness.modified_inputs():
            self._violation(
                f"it writes into the memory of its input {item}",
                "other nodes read the same memory",
                "work on a copy: array.copy()",
            )

    # ---- data

    def _ordinary(self, port: Port) -> Sequence[Any]:
        if port.name in self._inputs:
            return self._inputs[port.name]
        if port.type == "any":
            return [sample(kind) for kind in PORT_TYPES if kind != "any"]
        return [sample(port.type)]

    def _feed_ordinary(self, harness: NodeHarness, port: Port, when: str = "") -> None:
        is_guess = port.type == "any" and port.name not in self._inputs
        for item in self._ordinary(port):
            _, error = self._feed(harness, port, item)
            if error is not None and not (is_guess and _is_refusal(error)):
                self._failed(when, error)

    def _feed_strange(self, harness: NodeHarness, port: Port) -> None:
        for what, item in garbage(port.type).items():
            self._offer(harness, port, item, f"given strange data ({what}), ")
        if port.type == "any" and not self._quiet:
            answers = {
                kind: self._offer(harness, port, sample(kind), f"given {kind}, ")
                for kind in PORT_TYPES
                if kind != "any"
            }
            swallowed = [kind for kind, answer in answers.items() if answer == "nothing"]
            if swallowed and "given" in answers.values():
                self._violation(
                    f"input {port.name!r} is declared for any type, but {', '.join(swallowed)} "
                    "comes to nothing, without an error",
                    "an edge that carries such data looks right, and nobody learns why nothing "
                    "comes out",
                    f"declare the type: inputs=[Port({port.name!r}, '…')], or raise DataError",
                )

    def _offer(self, harness: NodeHarness, port: Port, item: RuntimeData, when: str) -> Answer:
        """Feed what the node may refuse."""
        answer, error = self._feed(harness, port, item)
        if error is not None and not _is_refusal(error):
            self._failed(when, error)
        return answer

    @staticmethod
    def _feed(
        harness: NodeHarness,
        port: Port,
        item: Any,  # noqa: ANN401 - what `RuntimeData.of` takes
    ) -> tuple[Answer, NodeError | None]:
        try:
            return ("given" if harness.feed(item, port.name) else "nothing"), None
        except NodeError as error:
            return "refused", error

    # ---- what is wrong

    def _look_at_outputs(self, harness: NodeHarness) -> None:
        for port, items in harness.outputs.items():
            if not items and port not in self._quiet and not self._found:
                self._violation(
                    f"output {port!r} gave nothing, in all of this",
                    "a pipeline that connects it waits for data that does not come",
                    "remove the output; or call the check with inputs={…} that make it give "
                    f"something; or with quiet=[{port!r}]",
                )

    def _look_at_what_is_left(self, harness: NodeHarness, before: set[threading.Thread]) -> None:
        file = str(getattr(sys.modules.get(type(harness.node).__module__), "__file__", ""))
        for thread in set(threading.enumerate()) - before:
            # Libraries have daemon threads that stay; those of the node itself are a mistake.
            if is_idle_worker(thread) or (thread.daemon and not runs_code_of(thread, file)):
                continue
            thread.join(_THREADS_END_WITHIN_SECS)
            if thread.is_alive():
                self._violation(
                    f"its thread {thread.name!r} runs on after cleanup",
                    "it works on what cleanup has released, for as long as its process lives"
                    if thread.daemon
                    else "its process can't end by itself, and has to be killed",
                    "end and join the thread in cleanup",
                )
        if harness.is_active_after_cleanup:
            self._violation(
                "it reports progress or takes loans after its cleanup",
                "nobody listens any more, and what it uses may be gone",
                "end what works in the background in cleanup, and wait for it",
            )

    def _cleanup_failed(self, when: str, error: NodeError) -> None:
        self._violation(
            f"{when}cleanup raises {error.remote_type}: {error.remote_message}",
            "what it did not reach stays behind, and the error hides the first one",
            "release only what is there: cleanup may be called at any time after __init__",
            error,
        )

    def _failed(self, when: str, error: NodeError | ProcessCrashError | NodeTimeout) -> None:
        stage = error.stage
        if isinstance(error, NodeTimeout):
            self._violation(
                f"{when}{stage} does not end within {error.seconds:g} s",
                "a session would wait for ever",
                "give every wait a deadline; or call the check with a longer one",
                error,
            )
            return
        if isinstance(error, ProcessCrashError):
            self._violation(
                f"{when}it ends its process in {stage} (exit code {error.exit_code})",
                "the whole session ends with it, and nobody learns why",
                "raise an exception that says what is wrong",
            )
            return
        cause = error.__cause__
        told = f"{when}{stage} raises {error.remote_type}: {error.remote_message}"
        if cause is not None and _is_read_only(cause):
            why = "inputs are memory that other nodes read too, and can't be written"
            advice = "work on a copy: array.copy(); or fill a loan: self.loan_audio(…)"
        elif isinstance(cause, LoanError):
            why = "loans are given back or sent with the item that they were taken for"
            advice = "return the loan, or let go of it, before process ends"
        elif cause is not None and _is_emission(cause):
            why = "what it gives is not what its outputs are declared for; no session lets it pass"
            advice = "correct the outputs of its NodeSpec, or the port or type of what it returns"
        elif stage == "process":
            why = "every item like this ends the session"
            port = error.item.partition("#")[0]
            advice = (
                f"mend it; or, where input {port!r} takes other data, call the check with "
                f"inputs={{{port!r}: […]}}"
            )
        else:
            why = "no session with this node would work"
            advice = "mend it; or call the check with a config={…} that it can work with"
        self._violation(told, why, advice, error)

    def _violation(
        self, what: str, why: str, advice: str, error: BaseException | None = None
    ) -> None:
        detail = error.remote_traceback if isinstance(error, NodeError) else str(error or "")
        if what not in [found.what for found in self._found]:
            self._found.append(Violation(what, why, advice, detail))


def _is_refusal(error: NodeError) -> bool:
    """Say whether an error is the node's own answer to an item, and not a mistake in it."""
    cause = error.__cause__
    return isinstance(cause, Exception) and not (_is_emission(cause) or _is_read_only(cause))


def _is_emission(error: BaseException) -> bool:
    """Say whether it was raised where items are sent, about what the node gave."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    if at is None or Path(at.tb_frame.f_code.co_filename) != Path(str(outputs.__file__)):
        return False
    return not str(error).startswith("input ")


def _is_read_only(error: BaseException) -> bool:
    return isinstance(error, ValueError) and "read-only" in str(error)
