"""Addresses without their credentials: what a file, a line, a log or an error may show of a URL.

Users, passwords, queries and fragments are left out. A part of the path that reads as a key or as parameters becomes
`***`, but not in an object store: there a path names an object, and its keys are elsewhere. A URL stays whole only
where its source is opened.
"""

import re

MASK = "***"

# Anything up to the next space, for a password may hold every other character. A path library writes `http:/host`.
_URL = re.compile(
    r"(?<![\w+.-])(?!file:)(?:[A-Za-z][\w+.-]+://|(?:https?|rtmp\w*|srt|ftps?|s3a?|gs|az):/)[^\s/][^\s]*", re.ASCII
)
_AROUND = "\"'`<>()[]{}“”‘’«».,:;!…"  # of a sentence around a URL
_OF_STORES = re.compile(r"(?:s3a?|gs|az):/", re.I)
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")

_NAMED = re.compile(r"secret|token|passw|pwd|(?:api|stream|publish|private|auth|access)[-_]?key|^[rs]k[-_]", re.I)
_GROUPS_OF_4 = re.compile(r"(?=[^\d]*\d)[a-z0-9]{4}(?:-[a-z0-9]{4}){3,}")  # YouTube's keys
_DATE_OR_SIZE = re.compile(r"(?:19|20)\d{6}T?(?:\d{4,9}Z?)?|\d{3,4}p\d*[a-z]*")
_RUN_OF_A_KIND = re.compile(r"[A-Za-z]+|\d+")
_RUN_OF_A_CASE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[A-Z]|\d+")
_SHORT, _LONG = 8, 20  # characters: a shorter word is never a key by its looks, a longer one always
_CASE_RUN = 3  # characters in a row of one case: fewer on average are a key's; of a word twice as long, one more


def shown_source(name: str) -> str:
    """The name of a source as it may be shown: a URL without credentials, anything else unchanged.

    Shown once more, it does not change.
    """
    found = re.match(r"(?!file:)([A-Za-z][\w+.-]+:/+)(.+)", name, re.ASCII | re.DOTALL)
    if found is None:
        return name
    address = found[2]
    host, slash, path = re.split(r"[?#]", _without_user(address), maxsplit=1)[0].partition("/")
    if not _OF_STORES.match(name):
        path = "/".join(map(_shown_part, path.split("/")))
    return found[1] + host + slash + path


def mask_credentials(text: str) -> str:
    """The text with each URL in it as `shown_source` shows it; over a text that was masked before, the same again."""
    return _URL.sub(_shown_match, text) if ":/" in text else text


def _shown_match(match: re.Match[str]) -> str:
    url = match[0].rstrip(_AROUND)
    return shown_source(url) + match[0][len(url) :]


def _without_user(address: str) -> str:
    """What follows `user:password@`, also if the password holds a character that ends the host."""
    host = re.split("[/?#]", address, maxsplit=1)[0]
    if "@" in host:
        return address[host.rindex("@") + 1 :]
    port = host.rpartition(":")[2] if not host.endswith("]") else ""
    if ":" in host and port and not port.isdigit() and "@" in address:
        return address[address.rindex("@") + 1 :]
    return address


def _shown_part(part: str) -> str:
    """A part of a path, `***` with its suffix for a key."""
    suffix = _SUFFIX.search(part)
    stem = part[: suffix.start()] if suffix else part
    if "=" in part or ";" in part:
        return MASK
    if _NAMED.search(stem) or _GROUPS_OF_4.fullmatch(stem) or any(map(_is_random, re.split(r"[^A-Za-z0-9]+", stem))):
        return MASK + (suffix[0] if suffix else "")
    return part


def _is_random(word: str) -> bool:
    """Whether a word of letters and digits reads as a key: it is long, or often changes its kind or its case."""
    if len(word) < _SHORT or _DATE_OR_SIZE.fullmatch(word):
        return False
    if len(word) >= _LONG or len(_RUN_OF_A_KIND.findall(word)) > 2:
        return True
    runs = len(_RUN_OF_A_CASE.findall(word))
    return runs > 2 and len(word) / runs < (_CASE_RUN if len(word) < 2 * _SHORT else _CASE_RUN + 1)
