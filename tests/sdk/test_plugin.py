"""NodeSpec and `register_node`: the one description of a node type."""

from __future__ import annotations

import dataclasses

import msgspec
import pluggy
import pytest

from remotemedia.core import plugin
from remotemedia.core.multiprocessing import MultiprocessNode, register_node
from remotemedia.core.plugin import (
    API_VERSION,
    ENTRY_POINT_GROUP,
    HookSpecs,
    NodeSpec,
    Port,
    hookimpl,
    hookspec,
    registered_nodes,
)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin._registry, "specs", {})


class Node(MultiprocessNode):
    """Does nothing.

    At length.
    """

    def process(self, data: object) -> None:
        return None


def test_a_node_that_declares_no_ports_has_one_of_each() -> None:
    spec = NodeSpec("n", "m:C")
    assert (spec.inputs, spec.outputs) == ((Port("input"),), (Port("output"),))


def test_a_description_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        NodeSpec("n", "m:C").name = "other"  # type: ignore[misc]


def test_it_is_of_the_current_api_unless_it_says_otherwise() -> None:
    assert NodeSpec("n", "m:C").api_version == API_VERSION


def test_registering_leaves_the_class_as_it_was_and_makes_it_known() -> None:
    registered = register_node("thing")(Node)
    assert registered is Node
    spec = registered_nodes()["thing"]
    assert spec.target == f"{__name__}:Node"
    assert spec.summary == "Does nothing."


def test_registering_takes_all_that_a_description_has() -> None:
    class Config(msgspec.Struct):
        rate: int = 1

    decorate = register_node(
        "full", inputs=[Port("a", "audio")], outputs=[], config=Config, summary="Full."
    )
    decorate(Node)
    assert registered_nodes()["full"] == NodeSpec(
        "full", f"{__name__}:Node", (Port("a", "audio"),), (), Config, "Full."
    )


def test_what_is_registered_can_not_be_changed_from_outside() -> None:
    registered_nodes()["intruder"] = NodeSpec("intruder", "m:C")
    assert "intruder" not in registered_nodes()


def test_a_subclass_is_not_registered_with_its_base() -> None:
    @register_node("base")
    class Base(Node):
        pass

    class Derived(Base):
        pass

    assert "__remotemedia_spec__" not in vars(Derived)


def test_a_plugin_is_a_hook_of_pluggy() -> None:
    class Plugin:
        @hookimpl
        def remotemedia_nodes(self) -> list[NodeSpec]:
            return [NodeSpec("n", "m:C")]

    manager = pluggy.PluginManager("remotemedia")
    manager.add_hookspecs(HookSpecs)
    manager.register(Plugin())
    manager.check_pending()
    assert manager.hook.remotemedia_nodes() == [[NodeSpec("n", "m:C")]]


def test_a_hook_can_get_arguments_without_breaking_old_plugins() -> None:
    class Later:
        @hookspec
        def remotemedia_nodes(self, platform: str) -> object:
            """Return the node types of this plugin."""

    class Plugin:
        @hookimpl
        def remotemedia_nodes(self) -> list[NodeSpec]:
            return [NodeSpec("n", "m:C")]

    manager = pluggy.PluginManager("remotemedia")
    manager.add_hookspecs(Later)
    manager.register(Plugin())
    manager.check_pending()
    assert manager.hook.remotemedia_nodes(platform="linux") == [[NodeSpec("n", "m:C")]]


def test_every_hook_is_documented() -> None:
    hooks = [member for name, member in vars(HookSpecs).items() if not name.startswith("_")]
    assert hooks
    assert all(hook.__doc__ for hook in hooks)


def test_the_entry_point_group_is_what_packages_declare() -> None:
    assert ENTRY_POINT_GROUP == "remotemedia.nodes"
