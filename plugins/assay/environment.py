"""What the command `assay` runs in: which configuration, and the variables of the `.env` that stands beside it.

`assay init` writes such a file; Airflow started by hand reads the same one (`set -a; . ./.env; set +a`). A variable that is set already stays as it is.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from assay.config import CONFIG_VARIABLE, FILE_NAME, default_path
from assay.errors import ConfigError

ENV_FILE = ".env"


def load_environment(config: Path | None = None) -> Path:
    """Choose the configuration and take over the variables beside it, for this process and its children.

    The configuration is the given one; else the one that ASSAY_CONFIG names; else `assay.toml` in the current folder, where it is; else the one in
    AIRFLOW_HOME. Whether it exists is found out by whoever reads it.

    Args:
        config: What the command line names.

    Returns:
        The configuration file.

    Raises:
        ConfigError: The variables' file cannot be read, or others may read it.
    """
    here = Path(FILE_NAME)
    if config is None:
        config = here if CONFIG_VARIABLE not in os.environ and here.is_file() else default_path()
    config = config.absolute()
    for name, value in read_env(config.parent / ENV_FILE).items():
        os.environ.setdefault(name, value)
    os.environ[CONFIG_VARIABLE] = str(config)
    return config


def read_env(path: Path) -> Mapping[str, str]:
    """Return the variables of a file of `NAME='value'` lines; none where there is no file.

    Raises:
        ConfigError: It cannot be read, or others than its owner may read it.
    """
    from dotenv import dotenv_values

    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(
                f"others may read it (mode {stat.S_IMODE(mode):o}), and it holds secrets", subject=str(path), next_step=f"chmod 600 {path}"
            )
        # Nothing is expanded: a secret may hold a dollar sign.
        values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"it cannot be read ({error})", subject=str(path), next_step="correct the file, or its rights") from error
    if unset := sorted(name for name, value in values.items() if value is None):
        raise ConfigError(f"the line {unset[0]!r} gives no value", subject=str(path), next_step="write it as NAME='value'")
    return {name: value for name, value in values.items() if value is not None}
