"""The text of CSV files that users write, with what is wrong said of the file."""

import os
from pathlib import Path

from configs.messages import ConfigError


def read_csv_text(path: Path) -> str:
    """Return the text of a CSV file.

    Raises
    ------
    ConfigError
        There is no such file, or it holds no UTF-8 text; the message names it and says the remedy.
    """
    if os.path.isdir(path):
        raise ConfigError(f"{path}: expected a CSV file, got a folder")
    if not os.path.exists(path):
        raise ConfigError(f"{path}: expected an existing CSV file, got no such file")
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark before the first byte
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: expected UTF-8 text, got the byte {error.object[error.start]:#04x} at "
            f"position {error.start}; save the file as CSV UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable file, got: {error.strerror}") from None
