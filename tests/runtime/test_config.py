"""Configuration: where it comes from, which one wins, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remotemedia.core.errors import ConfigError
from remotemedia.runtime import Runtime
from remotemedia.runtime.config import MULTIPROCESS, MultiprocessConfig, load_config
from remotemedia.runtime.configuration import explain
from remotemedia.runtime.settings import SettingsFile

QUICK_START = """
[multiprocess]
max_processes_per_session = 10  # None for unlimited
channel_capacity = 100           # Messages per channel
init_timeout_secs = 30          # Node initialization timeout
cleanup_grace_period_secs = 5   # Graceful shutdown time
enable_backpressure = true      # Block on full channels
shm_segment_size = 268435456    # 256MB shared memory

[multiprocess.python]
executable = "python"            # Python interpreter path
venv_path = ".venv"             # Optional virtualenv
extra_paths = ["./nodes"]       # Additional Python paths
"""


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def file_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "runtime.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_of_the_quick_start_is_understood(tmp_path: Path) -> None:
    file_of(tmp_path, QUICK_START)
    config = load_config(environment={})
    assert config.max_processes_per_session == 10
    assert config.init_timeout_secs == 30
    assert config.python_executable == "python"
    assert [str(path) for path in config.extra_paths] == ["nodes"]
    assert str(config.venv_path) == ".venv"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = file_of(tmp_path / "sub", QUICK_START)
    config = load_config(path, environment={})
    assert str(config.venv_path) == str(tmp_path / "sub" / ".venv")
    assert [str(p) for p in config.extra_paths] == [str(tmp_path / "sub" / "nodes")]


def test_arguments_are_over_the_environment_over_the_file_over_defaults(tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        "[multiprocess]\nchannel_capacity = 1\ninit_timeout_secs = 1\nshm_segment_size = 1",
    )
    environment = {"REMOTEMEDIA_CHANNEL_CAPACITY": "2", "REMOTEMEDIA_INIT_TIMEOUT_SECS": "2"}
    config = load_config(path, environment, channel_capacity=3)
    assert (config.channel_capacity, config.init_timeout_secs, config.shm_segment_size) == (3, 2, 1)
    assert config.cleanup_grace_period_secs == 5


def test_the_environment_can_say_everything() -> None:
    environment = {
        "REMOTEMEDIA_MAX_PROCESSES_PER_SESSION": "none",
        "REMOTEMEDIA_ENABLE_BACKPRESSURE": "false",
        "REMOTEMEDIA_EXTRA_PATHS": "one:two",
        "REMOTEMEDIA_PYTHON_EXECUTABLE": "python3",
        "REMOTEMEDIA_CLEANUP_GRACE_PERIOD_SECS": "0.5",
    }
    assert load_config(None, environment) == MultiprocessConfig(
        max_processes_per_session=None,
        enable_backpressure=False,
        extra_paths=("one", "two"),
        python_executable="python3",
        cleanup_grace_period_secs=0.5,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[multiprocess]\nchanel_capacity = 1",
            "'multiprocess.chanel_capacity'.*did you mean 'channel_capacity'",
        ),
        ("[multiproces]\n", "'multiproces'.*did you mean 'multiprocess'"),
        ("[multiprocess.python]\nexecutabel = 'x'", "did you mean 'executable'"),
        ("[multiprocess]\nchannel_capacity = 'many'", "channel_capacity.*int"),
        ("[multiprocess]\nchannel_capacity = 1.5", "channel_capacity.*int"),
        ("[multiprocess]\nchannel_capacity = 0", "channel_capacity.*positive"),
        ("[multiprocess]\nmax_processes_per_session = 0", "max_processes_per_session.*positive"),
        ("[multiprocess]\nenable_backpressure = 'yes'", "enable_backpressure.*bool"),
        ("[multiprocess]\ninit_timeout_secs = -1", "init_timeout_secs.*positive"),
        ("[multiprocess]\ninit_timeout_secs = nan", "init_timeout_secs"),
        ("[multiprocess.python]\nextra_paths = 'x'", "extra_paths.*list of paths"),
        ("[multiprocess.python]\nextra_paths = 5", "extra_paths.*list of paths"),
        ("[multiprocess.python]\nextra_paths = [5]", "extra_paths.*list of paths"),
        ("[multiprocess.python]\nexecutable = 5", "python.*path"),
        ("[multiprocess]\npython = 5", "python.*table"),
        ("multiprocess = 5", "multiprocess.*table"),
        ("not toml", "not valid TOML.*line 1"),
    ],
)
def test_a_mistake_in_the_file_names_file_key_and_what_would_be_right(
    tmp_path: Path, text: str, message: str
) -> None:
    path = file_of(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path, environment={})
    assert str(path) in str(caught.value)


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    with pytest.raises(ConfigError, match="REMOTEMEDIA_CHANNEL_CAPACITY"):
        load_config(None, {"REMOTEMEDIA_CHANNEL_CAPACITY": "many"})


def test_a_file_that_is_not_there_or_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "other.toml", environment={})
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path, environment={})
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe4'")
    with pytest.raises(ConfigError, match="no UTF-8 text"):
        load_config(tmp_path / "latin.toml", environment={})


@pytest.mark.parametrize(
    "arguments",
    [
        {"channel_capacity": "100"},
        {"channel_capacity": True},
        {"max_processes_per_session": 2.5},
        {"extra_paths": "nodes"},
        {"python_executable": 5},
        {"shm_segment_size": None},
    ],
    ids=repr,
)
def test_a_wrong_argument_is_a_config_error_however_it_is_given(
    arguments: dict[str, object],
) -> None:
    (key,) = arguments
    with pytest.raises(ConfigError, match=key):
        load_config(None, {}, **arguments)
    with pytest.raises(ConfigError, match=key):
        MultiprocessConfig(**arguments)  # type: ignore[arg-type]


# ---- all that is wrong, and where things come from

_MISTAKES = """
[multiprocess]
chanel_capacity = 3
init_timeout_secs = -1

[multiprocess.python]
executable = 5

[plugins]
strict = 7

[other]
"""


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file_of(tmp_path, _MISTAKES)
    environment = {"REMOTEMEDIA_SPIN_US": "x"}
    with pytest.raises(ConfigError, match="the configuration has 6 mistakes") as caught:
        load_config(environment=environment, channel_capacity=0)
    problems = caught.value.problems
    assert [problem.partition(" ")[0] for problem in problems] == [
        "runtime.toml:12:",
        "runtime.toml:3:",
        "runtime.toml:4:",
        "runtime.toml:7:",
        "environment",
        "argument:",
    ]


def test_a_runtime_tells_of_all_sections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file_of(tmp_path, _MISTAKES)
    monkeypatch.setenv("REMOTEMEDIA_PLUGINS_BLOK", "a")
    with pytest.raises(ConfigError) as caught:
        Runtime()
    text = str(caught.value)
    assert "the configuration has 6 mistakes" in text
    assert "runtime.toml:10: config key 'plugins.strict'" in text
    assert "REMOTEMEDIA_PLUGINS_BLOK: unknown; did you mean 'REMOTEMEDIA_PLUGINS_BLOCK'" in text


def test_several_wrong_arguments_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match="2 mistakes") as caught:
        MultiprocessConfig(channel_capacity=0, spin_us=-1)
    assert len(caught.value.problems) == 2
    assert all(line.startswith("MultiprocessConfig: ") for line in caught.value.problems)


def test_a_variable_that_is_nearly_one_of_ours_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="did you mean 'REMOTEMEDIA_CHANNEL_CAPACITY'"):
        load_config(environment={"REMOTEMEDIA_CHANEL_CAPACITY": "1"})
    assert load_config(environment={"REMOTEMEDIA_HOME": "1"}) == MultiprocessConfig()


def test_a_variable_of_another_section_is_no_mistake_for_being_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REMOTEMEDIA_PLUGINS_TIMEOUT_SECS", "3")
    settings, error = explain()
    assert error is None
    assert {one.key: one.value for one in settings}["plugins.timeout_secs"] == 3
    Runtime()


def test_each_value_is_explained(tmp_path: Path) -> None:
    file_of(tmp_path, QUICK_START)
    environment = {"REMOTEMEDIA_SPIN_US": "20", "REMOTEMEDIA_PLUGINS_BLOCK": "a,b"}
    settings, error = explain(environment=environment, channel_capacity=3)
    assert error is None
    found = {one.key: (one.value, one.source, one.place) for one in settings}
    assert len(found) == len(settings)
    multiprocess = "multiprocess."
    assert found[multiprocess + "channel_capacity"] == (3, "argument", "")
    assert found[multiprocess + "spin_us"] == (20, "environment", "REMOTEMEDIA_SPIN_US")
    assert found[multiprocess + "init_timeout_secs"] == (30.0, "file", "runtime.toml:5")
    assert found[multiprocess + "python.executable"] == ("python", "file", "runtime.toml:11")
    assert found[multiprocess + "python.preload"] == ((), "default", "")
    assert found["plugins.block"] == (("a", "b"), "environment", "REMOTEMEDIA_PLUGINS_BLOCK")


def test_what_is_wrong_has_no_effect_in_the_explanation(tmp_path: Path) -> None:
    file_of(tmp_path, _MISTAKES)
    settings, error = explain(environment={})
    assert error is not None
    assert len(error.problems) == 5
    assert {one.source for one in settings} == {"default"}


_TEXT = st.text("aé.\0", max_size=4)
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | _TEXT
_VALUES = _PLAIN | st.lists(_PLAIN, max_size=3) | st.dictionaries(_TEXT, _PLAIN, max_size=3)
_KEYS = st.sampled_from([*MultiprocessConfig.__struct_fields__, "python", "other", ""])


@given(st.dictionaries(_KEYS, _VALUES, max_size=5))
def test_whatever_the_file_holds_is_taken_or_a_config_error(table: dict[str, object]) -> None:
    file = SettingsFile(Path("runtime.toml"), {"multiprocess": table}, {(): "runtime.toml"})
    found = MULTIPROCESS.gather(file, {}, {})
    wrong = {problem.key.split(".")[1] for problem in found.problems}
    if found.problems:
        with pytest.raises(ConfigError):
            found.built()
    else:
        assert isinstance(found.built(), MultiprocessConfig)
    assert wrong <= {*table}
