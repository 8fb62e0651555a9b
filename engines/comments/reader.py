"""A file of comments in, its comments out: the format is recognised by content, never by name.

A new format is one file under `formats/`.
"""

import codecs
import gzip
import io
import re
import stat
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from kuaihl.engines.comments.formats import FORMATS
from kuaihl.engines.comments.formats.bilibili import RefusedXml
from kuaihl.engines.comments.formats.comment_format import CommentFormat, make_comment, parse_seconds
from kuaihl.engines.stores.file import StoredFile
from kuaihl.engines.stores.urls import is_stored
from kuaihl.engines.types import Comment
from kuaihl.models.errors import SourceError, UsageError

HEAD = 1 << 17  # characters by which a format is recognised
MAX_BYTES = 2 << 30  # unpacked; a day of a crowded chat is some hundred MB
MAX_COMMENTS = 2_000_000
_MAX_SKIPPED, _SKIPPED_SHARE = 250_000, 2  # entries left out, and as many times the good ones
_MAX_OFFSET = 1e6  # seconds
_FREE_BYTES, _MAX_RATIO = (
    64 << 20,
    100,
)  # unpacked bytes of any gzip file, and beyond them per packed byte; chats have 5 to 30

_MARKS = {  # of an encoding; the longer ones come first
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be",
}  # fmt: skip
_DECLARED = re.compile(rb"""\s*<\?xml\s[^>]{0,100}?\bencoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
# Encodings of text in which ASCII stays as it is; of others a declaration in ASCII is wrong.
_OF_TEXT = re.compile(
    r"gb2312|gbk|gb18030|hz|big5(?:hkscs)?|euc_\w+|shift_jis\w*|cp\d+|iso8859-\d+|koi8-\w|johab|tis-620"
)


@dataclass(frozen=True)
class CommentFile:
    """The result of reading a file: comments in order of time, and the number of entries left out."""

    format: str
    comments: tuple[Comment, ...]
    skipped: int  # entries that are torn, or lack a time or words
    before_start: int  # comments that fall before 0, where the stream begins


def read_comments(path: str | Path, *, offset: float = 0.0) -> list[Comment]:
    """The comments of a file in order of time, each `offset` seconds later than written. Raises SourceError."""
    return list(read_comment_file(path, offset=offset).comments)


def read_comment_file(path: str | Path, *, offset: float = 0.0) -> CommentFile:
    """As `read_comments`, with the name of the format and the number of entries left out. An object is read as a file.

    Raises SourceError if the file cannot be read or has no known format, UsageError for an offset beyond bounds.
    """
    _check_offset(offset)
    path = path if is_stored(str(path)) else Path(path)
    try:
        return _read(path, _format_of(head_of(path), path), offset)
    except RefusedXml as error:
        raise SourceError(f"{path}: {error}") from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def _check_offset(offset: float) -> None:
    if not abs(offset) <= _MAX_OFFSET:  # NaN too
        raise UsageError(
            f"give seconds between -{_MAX_OFFSET:.0f} and {_MAX_OFFSET:.0f}", setting="comments_offset", value=offset
        )


def head_of(path: str | Path) -> str:
    with _open_text(path) as stream:
        return stream.read(HEAD)


def _format_of(head: str, path: str | Path) -> CommentFormat:
    """Raises SourceError if no format recognises `head`."""
    if not head.strip():
        raise SourceError(f"{path}: empty; there are no comments in it")
    format = next((format for format in FORMATS if format.recognises(head)), None)
    if format is None:
        known = ", ".join(format.name for format in FORMATS)
        raise SourceError(f"{path}: not comments in any known format ({known})")
    return format


def collect_comments(comments: Iterable[Comment], *, offset: float = 0.0) -> CommentFile:
    """Comments that a program passes in, under the rules of files: bounded texts, usable times, in order of time.

    Raises SourceError for too many, UsageError for an offset beyond bounds.
    """
    _check_offset(offset)
    entries = (make_comment(parse_seconds(one.time), one.text, one.author, one.kind, one.value) for one in comments)
    return _collect(entries, "comments", "Comment objects", offset)


def _read(path: str | Path, format: CommentFormat, offset: float) -> CommentFile:
    with _open_text(path) as stream:
        found = _collect(format.read(stream), str(path), format.name, offset)
    if not found.comments and not found.before_start and found.skipped:
        raise SourceError(f"{path}: {format.name}, but none of its {found.skipped} entries has both a time and words")
    return found


def _collect(entries: Iterable[Comment | None], source: str, format: str, offset: float) -> CommentFile:
    comments: list[Comment] = []
    skipped = before_start = 0
    for comment in entries:
        if comment is None:
            skipped += 1
            if skipped > max(_MAX_SKIPPED, _SKIPPED_SHARE * (len(comments) + before_start)):
                raise SourceError(f"{source}: {format}, but of {skipped:,} entries most have no time or no words")
        elif comment.time + offset < 0:
            before_start += 1
        elif len(comments) == MAX_COMMENTS:
            raise SourceError(f"{source}: more than {MAX_COMMENTS:,} comments; split the file")
        else:
            comments.append(shift_comment(comment, offset))
    comments.sort(key=lambda comment: comment.time)
    return CommentFile(format, tuple(comments), skipped, before_start)


def shift_comment(comment: Comment, offset: float) -> Comment:
    return replace(comment, time=comment.time + offset) if offset else comment


def _open_text(path: str | Path) -> TextIO:
    """Decoded text of a file, plain or gzip; a byte that is not UTF-8 becomes U+FFFD, line ends stay as they are."""
    file, size = _open_bytes(path)
    start = file.read(2)
    file.seek(0)
    packed = start == b"\x1f\x8b"
    unpacked = gzip.GzipFile(fileobj=file) if packed else file
    bytes_ = io.BufferedReader(_Bounded(path, unpacked, file, size if packed else None))
    try:
        encoding = _encoding_of(bytes_.peek(512))
    except BaseException:
        bytes_.close()
        raise
    return io.TextIOWrapper(bytes_, encoding, errors="replace", newline="")


def _open_bytes(path: str | Path) -> tuple[io.BufferedReader, int]:
    """A file or an object, and its size in bytes."""
    if isinstance(path, str):
        stored = StoredFile(path)
        return io.BufferedReader(stored), stored.stored.size
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would be read twice, and block
        raise SourceError(f"{path}: not a regular file; save the comments to one")
    return path.open("rb"), status.st_size


def _encoding_of(head: bytes) -> str:
    """The encoding by its mark, or the one that XML declares; else UTF-8."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    declared = _DECLARED.match(head)
    if declared is None:
        return "utf-8"
    try:
        name = codecs.lookup(declared[1].decode()).name
    except LookupError:
        return "utf-8"
    # Chinese tools declare the older sets and write the newest, which holds them.
    return "gb18030" if name in ("gb2312", "gbk") else name if _OF_TEXT.fullmatch(name) else "utf-8"


class _Bounded(io.RawIOBase):
    """Bytes up to MAX_BYTES, and of a packed file not many times its size; a truncated one ends at the cut."""

    def __init__(
        self,
        path: str | Path,
        source: io.BufferedReader | gzip.GzipFile,
        file: io.BufferedReader,
        packed_size: int | None,
    ) -> None:
        """`packed_size`: bytes of a packed file; None for a plain one."""
        self._path = path
        self._source = source
        self._file = file
        self._left = MAX_BYTES
        if packed_size is not None:
            self._left = min(MAX_BYTES, max(_FREE_BYTES, _MAX_RATIO * packed_size))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        try:
            data = self._source.read1(len(buffer))  # read() would throw away the data before the cut
        except EOFError:
            return 0
        except (zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(f"{self._path}: damaged gzip file") from error
        self._left -= len(data)
        if self._left < 0:
            raise SourceError(f"{self._path}: more comments than fit: over 2 GiB, or padded; split the file")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._source.close()
        self._file.close()
        super().close()
