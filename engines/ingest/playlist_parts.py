"""An HLS stream in parts: a new one begins where its playlist says that anything may change, and is opened anew.

FFmpeg's demuxer keeps the codecs that a stream begins with. So it is shown a playlist that ends before the change, and
then another demuxer is shown the rest.
"""

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kuaihl.engines.ingest.parts import Peekable

if TYPE_CHECKING:
    from av.container import InputContainer

HEAD = b"#EXTM3U"
_LONGEST_BYTES = 1 << 24  # bytes of a playlist: a week of pieces of a second
_DIGITS, _LONGEST_PIECE = 18, 1e6  # of a number, and in seconds: beyond, a playlist is wrong
_LIVE_PIECES = 3  # from the end of a live playlist, where reading begins, as by RFC 8216 (6.3.3)
_GROWS_WITHIN = 2.0  # of its longest piece: RFC 8216 (6.2.2) gives a server 1.5 target durations
_LOOK_SECONDS = 1.0  # at most, between two looks whether it has grown
_END, _NUMBER, _CHANGE, _MAP = "#EXT-X-ENDLIST", "#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-DISCONTINUITY", "#EXT-X-MAP:"
_KEY, _SECONDS = "#EXT-X-KEY:", "#EXTINF:"
OF_PLAYLISTS = ("#EXT-X-STREAM-INF:", "#EXT-X-MEDIA:")
_OF_A_PIECE = (_SECONDS, _MAP, _KEY, "#EXT-X-BYTERANGE:", "#EXT-X-GAP")
_OF_PIECES = (*_OF_A_PIECE, _NUMBER)

File = Peekable | io.BufferedReader | io.BytesIO
Fetch = Callable[[str, Mapping[str, str]], Peekable | io.BufferedReader]
Open = Callable[[str, int, Mapping[str, str]], File]  # as PyAV asks for a file

# Pieces of a playlist may have any name, for no local file can be read; their PIDs may change from one to the next.
CHANGING_PIECES = {
    "merge_pmt_versions": "1",
    "allowed_extensions": "ALL",
    "allowed_segment_extensions": "ALL",
    "extension_picky": "0",
    "seg_format_options": "merge_pmt_versions=1",
}
# For a demuxer that opens nothing itself, and is shown no piece that it should leave out.
SHOWN = {"http_persistent": "0", "http_multiple": "0", "live_start_index": "0"}


@dataclass(frozen=True)
class _Piece:
    number: int
    lines: tuple[str, ...]  # its own tags, and its address
    before: tuple[str, ...]  # keys and headers of earlier pieces that hold for it, too
    changes: bool  # it may have other streams than the piece before


@dataclass
class _Place:
    """How far a playlist was read."""

    begin: int  # number of the first piece of this part
    end: int | None = None  # … and of the next one, once it is known
    last: int = -1  # number of the last piece that was seen, …
    text: str = ""  # … in this playlist …
    pieces: list[_Piece] = field(default_factory=list)  # … of these pieces
    is_over: bool = False  # it does not grow


class PlaylistParts:
    """A playlist and all that it names. Once it was opened, a piece that cannot be fetched counts as damage."""

    def __init__(
        self,
        fetch: Fetch,
        demux: "Callable[[Open], InputContainer]",
        *,
        never_grows: bool = False,
        patience: float = 0.0,
    ) -> None:
        """`fetch` opens an address with FFmpeg's options, `demux` FFmpeg's demuxer of the playlist.

        `patience`: seconds that a live playlist may take to grow, before which it is not believed to be on air. One
        that may take longer is believed at once.
        """
        self.fetch, self.demux, self.never_grows, self.patience = fetch, demux, never_grows, patience
        self.is_left_behind = False  # a live playlist did not grow
        self.places: dict[str, _Place] = {}  # by the address of a playlist of pieces
        self.is_whole = False  # sound has a playlist of its own: both cannot be shown up to the same place
        self.length: float | None = None  # in seconds; None while it is live
        self.damaged = self.is_read = False

    def open(self, _name: str) -> "InputContainer":
        """The demuxer of this part. Raises a readable SourceError."""
        container = self.demux(self.open_file)
        self.is_read = True
        return container

    @property
    def error(self) -> None:
        """None: what cannot be fetched is damage, or FFmpeg's own error."""

    @property
    def is_over(self) -> bool:
        """Whether its server has written its end."""
        return any(place.is_over for place in self.places.values())

    def duration(self, _container: "InputContainer") -> float | None:
        """That of a playlist that does not grow."""
        return self.length

    def choose(self, _ids: frozenset[int], /, *, wants_more: bool) -> None:
        """Nothing follows from it: the playlist says where parts end."""

    def locate(self, _byte: int) -> None:
        """None: a playlist is read from its beginning."""

    def go_on(self) -> bool:
        """Begin the next part; returns whether there is one."""
        moved = [place for place in self.places.values() if place.end is not None]
        for place in moved:
            place.begin, place.end = place.end or 0, None
        return bool(moved)

    def open_file(self, url: str, _flags: int, options: Mapping[str, str]) -> File:
        """What FFmpeg asks for: a playlist up to the end of this part, or a piece.

        Raises what fetching raises, or later ConnectionError for a playlist that cannot be fetched again.
        """
        if self.damaged and not self.is_read:
            return io.BytesIO()  # PyAV has an error to raise, and would raise it to whoever uses it next
        place = self.places.get(url)
        if place is not None and place.is_over:
            return self.show_as_file(url, place.text)
        try:
            file = self.fetch(url, options)
        except Exception as error:
            self.damaged = True
            if not self.is_read:
                raise
            if place is not None:
                raise ConnectionError(str(error)) from error
            return io.BytesIO()
        if not is_playlist_head(file.peek(len(HEAD))):
            return file  # as it is, for FFmpeg may seek in one on disk
        text = first = text_of(file)
        if not self.places:
            text = self.wait_for_growth(url, options, text)
        if text is not first:
            self.show(url, first)  # where reading begins: meanwhile a piece may have been added
        return self.show_as_file(url, text)

    def wait_for_growth(self, url: str, options: Mapping[str, str], text: str) -> str:
        """A live playlist when it has grown, any other one at once. Raises ConnectionError if it does not grow."""
        first = _growth_of(text)
        if self.never_grows or first is None or not 0 < (limit := _GROWS_WITHIN * first.target) <= self.patience:
            return text
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            time.sleep(min(first.target / 4, _LOOK_SECONDS))
            with suppress(Exception):  # FFmpeg's: a server that fails once is asked again
                text = text_of(self.fetch(url, options))
            if _growth_of(text) != first:
                return text
        self.is_left_behind = self.damaged = True
        raise ConnectionError("the playlist does not grow")

    def show_as_file(self, url: str, text: str) -> io.BytesIO:
        return io.BytesIO(self.show(url, text).encode("utf-8", "surrogateescape"))

    def show(self, url: str, text: str) -> str:
        """The part of a playlist that is read now."""
        lines = _lines_of(text)
        if any(line.startswith(OF_PLAYLISTS) for line in lines):
            self.is_whole = any(line.startswith(OF_PLAYLISTS[1]) and "URI=" in line for line in lines)
            return text
        is_over = self.never_grows or _END in lines
        place = self.places.get(url)
        is_known = place is not None and place.text == text  # as at each discontinuity of a recording
        pieces = place.pieces if place is not None and is_known else list(_pieces_in(lines))
        if is_over and not is_known:
            self.length = max(self.length or 0.0, sum(_seconds_of(piece) for piece in pieces))
        if not pieces:
            return text
        if place is not None and pieces[-1].number < place.begin:
            if any((one.number, one.lines[-1]) == (pieces[-1].number, pieces[-1].lines[-1]) for one in place.pieces):
                return self.show(url, place.text)  # one of several servers, which is behind the others
            place = None  # its server has begun to count anew
        if place is None:
            first = pieces[0 if is_over else max(0, len(pieces) - _LIVE_PIECES)]
            place = self.places[url] = _Place(first.number)
        if pieces[-1].number >= place.last:
            place.last, place.text, place.pieces, place.is_over = pieces[-1].number, text, pieces, is_over
        if place.end is None and not self.is_whole:
            changes = (one.number for one in pieces if one.number > place.begin and one.changes)
            place.end = next(changes, None)
        shown = [one for one in pieces if one.number >= place.begin and (place.end is None or one.number < place.end)]
        head = [line for line in lines[: lines.index(pieces[0].lines[-1])] if not line.startswith(_OF_PIECES)]
        number, before = (shown[0].number, shown[0].before) if shown else (place.end, ())  # it was not read in time
        body = [line for piece in shown for line in piece.lines]
        tail = [_END] if is_over or place.end is not None else []
        return "\n".join([*head, f"{_NUMBER}{number}", *before, *body, *tail, ""])


def is_playlist_head(head: bytes) -> bool:
    """Whether a file that begins with these bytes is an HLS playlist."""
    return head.startswith(HEAD)


def text_of(file: Peekable | io.BufferedReader) -> str:
    """The text of a playlist, up to a limit; the file is closed."""
    text = b""
    while len(text) < _LONGEST_BYTES and (more := file.read(_LONGEST_BYTES)):
        text += more
    file.close()
    return text.decode("utf-8", "surrogateescape")


class _Growth(NamedTuple):
    """How far a live playlist has grown."""

    target: float  # the longest piece's seconds
    last: int  # number of the last piece
    address: str  # of it


def _growth_of(text: str) -> _Growth | None:
    """None of a playlist that does not grow: a finished one, one of playlists, one without pieces."""
    lines = _lines_of(text)
    pieces = list(_pieces_in(lines))
    if _END in lines or any(line.startswith(OF_PLAYLISTS) for line in lines) or not pieces:
        return None
    return _Growth(max(map(_seconds_of, pieces)), pieces[-1].number, pieces[-1].lines[-1])


def _lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n")]


def _pieces_in(lines: list[str]) -> Iterator[_Piece]:
    numbers = (line.removeprefix(_NUMBER).strip() for line in lines if line.startswith(_NUMBER))
    number = next((int(one) for one in numbers if one.isdecimal() and len(one) <= _DIGITS), 0)
    held: dict[str, str] = {}  # the latest key and header
    tags: list[str] = []
    before = dict(held)
    for line in lines:
        if line.startswith("#") or not line.strip():
            tags.append(line)
            continue
        own = [tag for tag in tags if tag.startswith(_OF_A_PIECE)]
        maps = [tag for tag in own if tag.startswith(_MAP)]
        changes = _CHANGE in tags or any(tag != held.get(_MAP, tag) for tag in maps)
        yield _Piece(number, (*own, line), tuple(before.values()), changes)
        for tag in own:
            for kind in (_KEY, _MAP):
                if tag.startswith(kind):
                    held[kind] = tag
        number, tags, before = number + 1, [], dict(held)


def _seconds_of(piece: _Piece) -> float:
    """As its tag states them; 0.0 if it states none that can be."""
    with suppress(ValueError, StopIteration):
        stated = next(line for line in piece.lines if line.startswith(_SECONDS))
        seconds = float(stated.removeprefix(_SECONDS).partition(",")[0])
        return seconds if 0 < seconds < _LONGEST_PIECE else 0.0
    return 0.0
