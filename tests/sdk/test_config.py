"""A node's config: checked against what its type declares, and made from plain values."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
import pytest

from remotemedia.core.config import check_config, make_config


class Speed(Enum):
    SLOW = "slow"
    FAST = "fast"


class Config(msgspec.Struct, kw_only=True):
    model: Path = Path("models") / "small"
    others: list[Path] = []
    inside: PurePosixPath | None = None
    style: Annotated[Literal["upper", "title"] | None, msgspec.Meta(description="How.")] = None
    speed: Speed = Speed.SLOW
    count: int = 1


def mistakes_of(config: dict[str, Any]) -> list[str]:
    return [mistake.text for mistake in check_config(config, Config)[1]]


def test_a_path_is_a_text_in_a_pipeline_file() -> None:
    given = {"model": "a/b", "others": ["c"], "inside": "/d"}
    plain, mistakes = check_config(given, Config)
    assert (plain, mistakes) == (given, [])
    made = make_config(plain, Config)
    assert made == Config(model=Path("a/b"), others=[Path("c")], inside=PurePosixPath("/d"))


def test_a_path_may_be_given_as_one() -> None:
    plain, mistakes = check_config({"model": Path("a") / "b"}, Config)
    assert (plain, mistakes) == ({"model": "a/b"}, [])


def test_a_path_in_a_config_that_is_not_declared_becomes_a_text() -> None:
    assert check_config({"model": Path("a"), "n": 1}, None) == ({"model": "a", "n": 1}, [])


def test_what_is_no_path() -> None:
    (mistake,) = mistakes_of({"model": 3})
    assert mistake == "config key 'model': Expected `Path`, got `int`"


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"style": "titel"}, "did you mean 'title'?"),
        ({"style": "x"}, "known: 'title', 'upper'"),
        ({"speed": "fsat"}, "did you mean 'fast'?"),
        ({"cuont": 1}, "did you mean 'count'?"),
    ],
)
def test_a_word_that_is_not_known_gets_the_known_ones(config: dict[str, Any], hint: str) -> None:
    (mistake,) = mistakes_of(config)
    assert mistake.startswith(f"config key '{next(iter(config))}'") or "unknown" in mistake
    assert mistake.endswith(f"; {hint}")


class Band(msgspec.Struct):
    low: float = 0.0
    high: float = 8000.0


class Shelf(msgspec.Struct, tag="shelf", tag_field="kind"):
    cut: float = 0.0


class Peak(msgspec.Struct, tag="peak", tag_field="kind"):
    width: float = 1.0


class Nested(msgspec.Struct):
    band: Band = msgspec.field(default_factory=Band)
    more: list[Band] = []
    named: dict[str, Band] = {}
    pair: tuple[Band, int] | None = None
    shape: Shelf | Peak | None = None


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"band": {"lo": 1.0}}, "unknown config key 'band.lo'; did you mean 'low'?"),
        ({"more": [{}, {"lwo": 1.0}]}, "unknown config key 'more[1].lwo'; did you mean 'low'?"),
        ({"named": {"x": {"hig": 1}}}, "unknown config key 'named.x.hig'; did you mean 'high'?"),
        ({"pair": [{"lwo": 1}, 2]}, "unknown config key 'pair[0].lwo'; did you mean 'low'?"),
        (
            {"shape": {"kind": "peak", "cut": 1.0}},
            "unknown config key 'shape.cut'; known: 'width'",
        ),
        ({"band": {"low": "x"}}, "config key 'band.low': Expected `float`, got `str`"),
        ({"more": [{"low": "x"}]}, "config key 'more[0].low': Expected `float`, got `str`"),
    ],
)
def test_what_is_wrong_inside_of_a_table_is_told_by_its_key(
    config: dict[str, Any], text: str
) -> None:
    assert [mistake.text for mistake in check_config(config, Nested)[1]] == [text]


def test_what_is_right_inside_of_a_table_is_taken() -> None:
    config = {
        "band": {"low": 1.0},
        "named": {"lo": {"high": 2.0}},
        "shape": {"kind": "shelf", "cut": 1.0},
    }
    plain, mistakes = check_config(config, Nested)
    assert mistakes == []
    assert make_config(plain, Nested) == Nested(
        band=Band(low=1.0), named={"lo": Band(high=2.0)}, shape=Shelf(cut=1.0)
    )


def test_what_no_file_can_say_is_told_to_be_left_out() -> None:
    class Odd(msgspec.Struct):
        chosen: Callable[[int], int] = abs

    assert check_config({}, Odd) == ({}, [])
    _, (mistake,) = check_config({"chosen": "abs"}, Odd)
    assert mistake.text.startswith("config key 'chosen': no value in a pipeline file is a ")
    assert mistake.text.endswith("; leave it out")


def test_what_is_missing_can_be_set() -> None:
    class Needy(msgspec.Struct):
        model: Path
        voice: str
        speed: float = 1.0

    _, (mistake,) = check_config({"speed": 2.0}, Needy)
    assert mistake.text.startswith("config: ")
    assert mistake.text.endswith("; set config.model, config.voice")


def test_a_value_that_no_pipeline_file_could_have() -> None:
    (mistake,) = [one.text for one in check_config({"model": object()}, None)[1]]
    assert mistake == "config: object has no form in a pipeline file; use values as in JSON"
