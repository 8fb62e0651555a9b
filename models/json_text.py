"""JSON from outside: text that Python's parser cannot take raises one kind of error."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """The value in a text. Raises ValueError, also for a text that is nested too deep."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
