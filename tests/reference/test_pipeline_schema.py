"""The JSON Schema of pipeline files: it accepts what runs, and finds what does not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema
import msgspec
import pytest

from remotemedia.core.plugin import NodeSpec, Port
from remotemedia.runtime.pipeline_file import NODE_KEYS
from remotemedia.runtime.plugins import discover
from remotemedia.runtime.reference.config_schema import ConfigField, config_fields
from remotemedia.runtime.reference.docstrings import attribute_docs
from remotemedia.runtime.reference.pipeline_schema import pipeline_schema
from remotemedia.runtime.reference.snippet import snippet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


class Filter(msgspec.Struct):
    """A filter.

    Attributes:
        order: How steep.
    """

    order: Annotated[int, msgspec.Meta(ge=1, le=8)] = 2


class Config(msgspec.Struct, kw_only=True):
    """What it can be told.

    Attributes:
        url: Where it sends to,
            which may be far.
        mode: How it works.
        gain: A factor.
        names (list): Whom it greets.
        filter: What it filters with.
    """

    url: Annotated[str, msgspec.Meta(min_length=3)]
    mode: Literal["fast", "good"] = "good"
    gain: Annotated[float, msgspec.Meta(gt=0)] | None = None
    names: list[str] = []
    filter: Filter = msgspec.field(default_factory=Filter)


SENDER = NodeSpec("sender", "acme.node:Sender", config=Config, summary="Sends.")
GREETER = NodeSpec("acme.greeter", "acme.node:Greeter", (), (Port("text", "text"),))
SCHEMA = pipeline_schema([SENDER, GREETER])


def mistakes(text: str, schema: dict[str, Any] = SCHEMA) -> list[str]:
    validator = jsonschema.Draft7Validator(schema)
    found = validator.iter_errors(tomllib.loads(text))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def test_it_is_a_schema_itself() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_types_that_are_only_elsewhere_are_known_by_name() -> None:
    schema = pipeline_schema([SENDER], {"far.away": "Far away."})
    text = "[nodes.a]\ntype = '{}'\nconfig.anything = 1"
    assert mistakes(text.format("far.away"), schema) == []
    assert mistakes(text.format("far.gone"), schema) != []
    assert mistakes(text.format("sender"), schema) != []


RIGHT = {
    "least": "[nodes.a]\ntype = 'acme.greeter'",
    "all": """
        #:schema ./pipeline.schema.json
        name = "x"
        inputs = ["a.input"]
        outputs = ["b.text", "a"]
        edges = [
          "b.text -> a",
          { from = "b.text", to = "a.input", policy = "error", capacity = 3, message_bytes = 9 },
        ]
        [nodes.a]
        type = "sender"
        executor = "inline"
        on_error = "continue"
        nice = 3
        max_memory = "2GB"
        environment = { A = "b" }
        working_directory = "."
        config = { url = "far", gain = 1, names = ["x"], filter = { order = 3 } }
        [nodes.b]
        type = "acme.greeter"
        config.anything = { goes = 1 }
        """,
    "class": "[nodes.a]\ntype = 'node.py:Sender'\nconfig.anything = 1",
    "local": "extra_paths = ['nodes']\n[nodes.a]\ntype = 'of_a_file'",
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_right_is_accepted(case: str) -> None:
    assert mistakes(RIGHT[case]) == []


A = "[nodes.a]\ntype = 'sender'\nconfig.url = 'far'\n"
WRONG = {
    "key": (A + "config.gian = 1", "nodes.a.config: Additional properties .*'gian'"),
    "type": (A + "config.names = 'x'", "nodes.a.config.names: 'x' is not of type 'array'"),
    "range": (A + "config.gain = 0", "nodes.a.config.gain"),
    "nested": (A + "config.filter.order = 9", "config.filter.order: 9 is greater than .* 8"),
    "nested_key": (A + "config.filter.ordr = 2", "config.filter: Additional .*'ordr'"),
    "choice": (A + "config.mode = 'quick'", "nodes.a.config.mode: 'quick' is not one of"),
    "required": ("[nodes.a]\ntype = 'sender'", "nodes.a: 'config' is a required property"),
    "required_key": (
        "[nodes.a]\ntype = 'sender'\nconfig.gain = 1",
        "nodes.a.config: 'url' is a required property",
    ),
    "node_type": ("[nodes.a]\ntype = 'sendr'", "nodes.a.type: 'sendr' is not valid"),
    "no_type": ("[nodes.a]\nconfig.url = 'far'", "nodes.a: 'type' is a required property"),
    "option": (A + "nicee = 3", "nodes.a: Additional properties .*'nicee'"),
    "option_type": (A + "nice = 'very'", "nodes.a.nice: 'very' is not of type 'integer'"),
    "on_error": (A + "on_error = 'skip'", "nodes.a.on_error: 'skip' is not one of"),
    "no_nodes": ("name = 'x'", ": 'nodes' is a required property"),
    "top": ("colour = 1\n" + A, "'colour' was unexpected"),
    "edge": ("edges = ['a => b']\n" + A, "edges.0: 'a => b' is not valid"),
    "policy": ("edges = [{from='a', to='b', policy='blok'}]\n" + A, "edges.0: .* is not valid"),
    "output": ("outputs = ['a.b.c']\n" + A, "outputs.0: 'a.b.c' does not match"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_found_where_it_stands(case: str) -> None:
    text, message = WRONG[case]
    (mistake,) = mistakes(text)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(mistake)


def test_it_knows_every_key_of_a_node() -> None:
    assert set(SCHEMA["definitions"]["node"]["properties"]) == set(NODE_KEYS)


def test_the_examples_are_right() -> None:
    schema = pipeline_schema(node.spec for node in discover().nodes.values())
    texts = {path: path.read_text("utf-8") for path in ROOT.glob("examples/**/*.toml")}
    found = {str(p): mistakes(text, schema) for p, text in texts.items() if "[nodes." in text}
    assert found
    assert not any(found.values()), found


def test_every_key_says_what_it_means() -> None:
    config = SCHEMA["definitions"]["sender.Config"]["properties"]
    assert config["url"]["description"] == "Where it sends to, which may be far."
    assert SCHEMA["definitions"]["sender.Filter"]["properties"]["order"]["description"]
    node = SCHEMA["definitions"]["node"]["properties"]
    assert all(field["description"] for field in (*config.values(), *node.values()))


# ---- the same in words


def test_the_fields_of_a_config_in_words() -> None:
    fields = {field.name: field for field in config_fields(SENDER)}
    assert {name: field.type for name, field in fields.items()} == {
        "url": "text at least 3 characters",
        "mode": '"fast", "good"',
        "gain": "number > 0 or none",
        "names": "list of text",
        "filter": "table Filter",
    }
    assert fields["url"] == ConfigField(
        name="url",
        type="text at least 3 characters",
        required=True,
        doc="Where it sends to, which may be far.",
        example="………",
    )
    assert (fields["mode"].required, fields["mode"].default) == (False, "good")


class Window(msgspec.Struct, frozen=True):
    size: int = 8


class Tables(msgspec.Struct):
    """What holds tables.

    Attributes:
        filter: As it is made.
        window: As it is.
        steep: Made otherwise than a given one.
    """

    filter: Filter = msgspec.field(default_factory=Filter)
    window: Window = Window()
    steep: Filter = msgspec.field(default_factory=lambda: Filter(order=8))
    other: Filter | None = None
    number: int = msgspec.field(default_factory=iter(range(100)).__next__)


TABLES = NodeSpec("tables", "m:C", config=Tables)


def test_a_table_has_its_default_and_its_keys() -> None:
    fields = {field.name: field for field in config_fields(TABLES)}
    assert {name: field.default for name, field in fields.items()} == {
        "filter": {"order": 2},
        "window": {"size": 8},
        "steep": {"order": 8},
        "other": None,
        "number": None,  # another one each time
    }
    (order,) = fields["filter"].keys
    assert (order.name, order.default, order.doc) == ("order", 2, "How steep.")
    assert fields["window"].doc == "As it is."
    jsonschema.Draft7Validator.check_schema(pipeline_schema([TABLES]))


def test_a_snippet_has_the_keys_of_tables() -> None:
    text = snippet(TABLES)
    assert "# config.filter.order = 2\n" in text
    assert "# config.window.size = 8\n" in text
    assert '# config.steep = { "order" = 8 }\n' in text
    (node,) = tomllib.loads(text.replace("# config.filter", "config.filter"))["nodes"].values()
    assert node["config"] == {"filter": {"order": 2}}


class Deep(msgspec.Struct):
    less: Deep | None = None
    name: str = "x"


def test_a_table_inside_of_itself_ends() -> None:
    assert [field.name for field in config_fields(NodeSpec("deep", "m:C", config=Deep))] == [
        "less",
        "name",
    ]


class Inner(msgspec.Struct):
    folder: Path = Path("inner")


def test_a_path_is_a_text() -> None:
    class Config(msgspec.Struct):
        folder: Path = Path("models")
        other: Path | None = None

    spec = NodeSpec("paths", "m:C", config=Config)
    folder, other = config_fields(spec)
    assert (folder.type, folder.default) == ("path", "models")
    assert other.type == "path or none"
    schema = pipeline_schema([spec])
    jsonschema.Draft7Validator.check_schema(schema)
    node = {"type": "paths", "config": {"folder": "here"}}
    jsonschema.validate({"nodes": {"a": node}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"nodes": {"a": {**node, "config": {"folder": 1}}}}, schema)


@pytest.mark.parametrize("default", [1j, Inner(), range(3)], ids=["complex", "struct", "range"])
def test_what_json_has_no_form_for_is_no_hindrance(default: object) -> None:
    odd = msgspec.defstruct(
        "Odd",
        [("odd", type(default), msgspec.field(default_factory=lambda: default)), ("n", int, 1)],
    )
    spec = NodeSpec("odd", "m:C", config=odd)
    assert [(field.name, field.required) for field in config_fields(spec)] == [
        ("odd", False),
        ("n", False),
    ]
    jsonschema.Draft7Validator.check_schema(pipeline_schema([spec]))


def test_a_docstring_with_more_than_attributes() -> None:
    class Documented:
        """Does something.

        Attributes:
            one: First
                thing: with a colon.
            two (int): Second.

        Raises:
            three: Is no attribute.
        """

    assert attribute_docs(Documented) == {"one": "First thing: with a colon.", "two": "Second."}


def test_a_snippet_is_toml_whose_comments_are_the_defaults() -> None:
    text = snippet(SENDER, "out")
    assert mistakes(text) == []
    assert tomllib.loads(text) == {"nodes": {"out": {"type": "sender", "config": {"url": "………"}}}}
    uncommented = text.replace("\n# ", "\n")
    assert mistakes(uncommented) == []
    table = tomllib.loads(uncommented)["nodes"]["out"]["config"]
    assert msgspec.convert(table, Config).mode == "good"


def test_a_snippet_of_a_type_that_is_a_file_has_a_valid_name() -> None:
    text = snippet(NodeSpec("Greeter", "node:Greeter"), "")
    assert [*tomllib.loads(text)["nodes"]] == ["Greeter"]
    assert [*tomllib.loads(snippet(GREETER))["nodes"]] == ["acme_greeter"]
