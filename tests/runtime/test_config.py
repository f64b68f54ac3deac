"""Configuration: where it comes from, which one wins, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from remotemedia.core.errors import ConfigError
from remotemedia.runtime.config import MultiprocessConfig, load_config

if TYPE_CHECKING:
    from pathlib import Path

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
            "'chanel_capacity'.*did you mean 'channel_capacity'",
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
