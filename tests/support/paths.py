"""Where the repository's files and the shared folder lie; the latter is absent on most machines."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
DOCS = REPOSITORY / "docs"
SHARED = REPOSITORY.parent / "shared"
