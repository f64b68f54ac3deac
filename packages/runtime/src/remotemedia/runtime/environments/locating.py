"""Finding a node's type where the node runs: here, or in an environment of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remotemedia.core.config import ConfigMistake, check_config
from remotemedia.core.plugin import registered_nodes
from remotemedia.runtime.environments.answers import NodeQuestion
from remotemedia.runtime.environments.placement import Wish, type_of
from remotemedia.runtime.environments.pythons import is_version
from remotemedia.runtime.environments.request import requested
from remotemedia.runtime.environments.requirements import anchored
from remotemedia.runtime.nodetypes import UnknownNodeType, resolve_type, type_of_class

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from remotemedia.runtime.environments.environment import Environment
    from remotemedia.runtime.environments.placement import Placement
    from remotemedia.runtime.environments.request import ExistingEnvironment, MadeEnvironment
    from remotemedia.runtime.node_options import NodeOptions
    from remotemedia.runtime.nodetypes import NodeType
    from remotemedia.runtime.pipeline import NodeEntry
    from remotemedia.runtime.plugins import Catalog

__all__ = ["Located", "Locator"]


@dataclass(frozen=True)
class Located:
    """A node's type, and where it was found.

    Attributes:
        type: The type.
        environment: Where the node runs; None for the application's own environment.
        config: The node's config as plain values.
        mistakes: What is wrong with its config.
    """

    type: NodeType
    environment: Environment | None
    config: dict[str, Any]
    mistakes: Sequence[ConfigMistake]


class Locator:
    """Finds the types of a pipeline's nodes.

    Args:
        catalog: What is installed here.
        paths: Where else types may be defined.
        directory: Where the path of a file begins.
        placements: Where the nodes run that ask for an environment, as far as that is known.
        everyones: The environment of nodes that ask for none, where it is not the application's.

    Attributes:
        wishes: What those ask for that have no placement.
    """

    def __init__(
        self,
        catalog: Catalog,
        paths: Sequence[Path],
        directory: Path,
        placements: Mapping[str, Placement],
        everyones: ExistingEnvironment | None = None,
    ) -> None:
        self._catalog, self._paths, self._placements = catalog, paths, placements
        self._everyones = everyones
        self._directory = directory
        self.wishes: dict[str, Wish] = {}

    def locate(self, entry: NodeEntry, options: NodeOptions, *, able: bool) -> Located | None:
        """Find a node's type.

        Args:
            entry: The node.
            options: What is said of its process.
            able: Whether its executor can run it in another environment.

        Returns:
            None where its environment has to be asked first; its wish is noted.

        Raises:
            UnknownNodeType: There is no such type.
            InvalidRequest: The environment that it asks for can't be.
        """
        known, unknown = None, None
        try:
            known = self._here(entry, run=False)
        except UnknownNodeType as error:
            unknown = error
        request = self._request(options, known) if able else None
        if request is None and unknown is not None and able:
            request = self._everyones  # what is not installed here may be there
        if request is None:
            if unknown is not None:
                raise unknown
            found = known if known is not None and known.complete else self._here(entry, run=True)
            paths = dict.fromkeys((*found.paths, *(str(path.resolve()) for path in self._paths)))
            here = replace(found, paths=tuple(paths))
            return self._configured(entry, here, None)
        placement = self._placements.get(entry.id)
        if placement is None:
            self.wishes[entry.id] = Wish(request, self._question(entry))
            return None
        if placement.answer is None and known is not None:
            return self._configured(entry, known, placement.environment)
        return self._there(entry, placement)

    def _here(self, entry: NodeEntry, *, run: bool) -> NodeType:
        if isinstance(entry.type, str):
            return resolve_type(entry.type, self._catalog, self._paths, self._directory, run=run)
        return type_of_class(entry.type, self._catalog)

    def _configured(
        self, entry: NodeEntry, found: NodeType, environment: Environment | None
    ) -> Located:
        config, mistakes = check_config(entry.config, found.spec.config)
        if not mistakes:
            found = found.configured(config)
        return Located(found, environment, config, mistakes)

    def _there(self, entry: NodeEntry, placement: Placement) -> Located:
        answer = placement.answer
        if answer is None:
            raise AssertionError(f"nothing was asked about {entry.id!r}")
        try:
            found = type_of(answer)
        except LookupError as error:
            raise UnknownNodeType(f"{error}; looked for in {placement.environment}") from error
        mistakes = [ConfigMistake(*mistake) for mistake in answer.mistakes]
        _, unsendable = check_config(entry.config, None)
        return Located(found, placement.environment, answer.config, [*unsendable, *mistakes])

    def _question(self, entry: NodeEntry) -> NodeQuestion | None:
        """Return what to ask about a node; nothing where its class is in this process."""
        if not isinstance(entry.type, str) or entry.type in registered_nodes():
            return None
        config, _ = check_config(entry.config, None)
        paths = tuple(str(path.resolve()) for path in self._paths)
        return NodeQuestion(entry.id, entry.type, config, paths, str(self._directory.resolve()))

    def _request(
        self, options: NodeOptions, known: NodeType | None
    ) -> ExistingEnvironment | MadeEnvironment | None:
        python, requirements = options.python, options.requirements
        elsewhere = options.venv_path or (python is not None and not is_version(python))
        if known is not None and requirements is None and not elsewhere:
            base = Path(known.source).parent if known.source else Path()
            requirements = tuple(anchored(text, base) for text in known.spec.requirements)
            python = python or known.spec.python or None
        return requested(
            python=python,
            venv_path=options.venv_path,
            requirements=requirements,
            distribution=self._distribution(known),
            known=known is not None,
        )

    def _distribution(self, known: NodeType | None) -> str | None:
        installed = None if known is None else self._catalog.nodes.get(known.spec.name)
        if known is None or installed is None or installed.spec is not known.spec:
            return None
        return installed.plugin.distribution or None
