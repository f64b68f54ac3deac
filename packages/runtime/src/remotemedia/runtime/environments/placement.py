"""Which node runs in which environment: what they ask for, made and asked about them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from remotemedia.core.errors import NodeEnvironmentError
from remotemedia.core.plugin import NodeSpec
from remotemedia.runtime.environments.answers import Questions
from remotemedia.runtime.environments.environment import Environment
from remotemedia.runtime.environments.maker import CannotMake, provide
from remotemedia.runtime.environments.request import ExistingEnvironment, MadeEnvironment
from remotemedia.runtime.environments.survey import Unusable, survey
from remotemedia.runtime.nodetypes import NodeType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remotemedia.runtime.environments.answers import Answer, FoundType, NodeAnswer, NodeQuestion
    from remotemedia.runtime.environments.store import Store
    from remotemedia.runtime.plugins import PluginPolicy

__all__ = ["EnvironmentsNeeded", "Placement", "Places", "Wish", "installed_type", "type_of"]


@dataclass(frozen=True)
class Wish:
    """What one node asks for.

    Attributes:
        request: The environment.
        question: What has to be found out there; None where the node's type is known here.
    """

    request: ExistingEnvironment | MadeEnvironment
    question: NodeQuestion | None


@dataclass(frozen=True)
class Placement:
    """Where one node runs.

    Attributes:
        environment: The environment.
        answer: What was found out there; None where nothing was asked.
    """

    environment: Environment
    answer: NodeAnswer | None


class EnvironmentsNeeded(Exception):
    """A pipeline can't be checked to the end before its environments are there.

    Attributes:
        wishes: What its nodes ask for, by node.
    """

    def __init__(self, wishes: Mapping[str, Wish]) -> None:
        self.wishes = wishes
        super().__init__(f"{len(wishes)} nodes ask for environments")


def type_of(answer: NodeAnswer) -> NodeType:
    """Return the node type that an environment has described.

    Raises:
        LookupError: It is not there.
    """
    if answer.type is None:
        raise LookupError(answer.problem)
    found = installed_type(answer.type)
    return replace(found, source=answer.source, paths=answer.paths, absent=answer.absent)


def installed_type(found: FoundType) -> NodeType:
    """Return the node type that a package of an environment has, as it was described there."""
    spec = NodeSpec(
        name=found.name,
        target=found.target,
        inputs=found.inputs,
        outputs=found.outputs,
        summary=found.summary,
        api_version=found.api_version,
    )
    return NodeType(spec, config_name=found.config_target)


class Places:
    """The environments that a runtime uses.

    Args:
        store: Where made ones are kept.
        policy: Which plugins may be used in them.
        timeout: Seconds that an environment may take to say what is in it.
    """

    def __init__(self, store: Store, policy: PluginPolicy, timeout: float) -> None:
        self._store, self._policy, self._timeout = store, policy, timeout
        self._made: dict[str, Environment] = {}
        self._answers: dict[tuple[str, bytes], Answer] = {}

    async def find(
        self,
        wishes: Mapping[str, Wish],
        on_step: Callable[[str, float, str], object],
    ) -> dict[str, Placement]:
        """Make what is not there, and ask each environment about its nodes; all at once.

        Args:
            wishes: What the nodes ask for.
            on_step: Called with a node, a fraction and a message, while its environment is made.

        Raises:
            NodeEnvironmentError: One can't be made, or nodes can't run in it.
        """
        nodes: dict[ExistingEnvironment | MadeEnvironment, list[str]] = defaultdict(list)
        for node, wish in wishes.items():
            nodes[wish.request].append(node)

        async def one(
            request: ExistingEnvironment | MadeEnvironment, names: Sequence[str]
        ) -> dict[str, Placement]:
            questions = {name: wishes[name].question for name in names}

            def step(fraction: float, message: str) -> None:
                for name in names:
                    on_step(name, fraction, message)

            try:
                environment = await self._environment(request, step)
                asked = tuple(question for question in questions.values() if question is not None)
                answer = await self._ask(environment, Questions(self._policy, asked))
            except (CannotMake, Unusable) as error:
                raise NodeEnvironmentError(names[0], str(request), str(error)) from None
            answers = {found.node_id: found for found in answer.nodes}
            return {name: Placement(environment, answers.get(name)) for name in names}

        tasks = [asyncio.ensure_future(one(*item)) for item in nodes.items()]
        try:
            found = await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            raise
        return {name: placement for places in found for name, placement in places.items()}

    def close(self) -> None:
        """Let go of all environments: they may be removed from now on."""
        made, self._made = self._made, {}
        for environment in made.values():
            if environment.lock is not None:
                environment.lock.close()

    async def _ask(self, environment: Environment, questions: Questions) -> Answer:
        """Ask, unless the answer is known: like what is installed here, it is looked at once."""
        key = (environment.executable, msgspec.msgpack.encode(questions))
        answer = self._answers.get(key)
        if answer is None:
            answer = await survey(environment, questions, self._timeout)
            if not any(node.problem or node.mistakes for node in answer.nodes):
                self._answers[key] = answer
        return answer

    async def _environment(
        self,
        request: ExistingEnvironment | MadeEnvironment,
        on_step: Callable[[float, str], object],
    ) -> Environment:
        if isinstance(request, ExistingEnvironment):
            return Environment(request.executable)
        environment = await provide(request, self._store, self._policy, on_step)
        kept = self._made.setdefault(environment.executable, environment)
        if kept is not environment and environment.lock is not None:
            environment.lock.close()
        return kept
