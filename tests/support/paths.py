"""Paths of the repository's files and of the shared folder, which most machines do not have."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
DOCS = REPOSITORY / "docs"
SHARED = REPOSITORY.parent / "shared"
