"""rooms.yaml: the rooms that an operator wants. A file goes in, rooms come and go as it changes."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuaihl.engines.serving.access import host_of
from kuaihl.engines.serving.room_spec import RoomSpec, id_of, is_unicode
from kuaihl.models.errors import KuaihlError, SourceError, UsageError, reason_of

if TYPE_CHECKING:
    from kuaihl.engines.serving.rooms import Rooms

_POLL_SECONDS = 1.0
_NOTHING = ("", "~", "null")  # of a field that is left empty
_FIELDS = ("id", "url", "streamer", "language", "comments")


def read_rooms_file(path: Path) -> list[RoomSpec]:
    """The rooms of a file: `rooms:`, a list with `id` and `url`, and if wanted streamer, language and comments.

    Raises UsageError for anything else.
    """
    import yaml

    try:
        said = yaml.load(path.read_text(encoding="utf-8"), Loader=_text_loader())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({reason_of(error)})") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: what is said to be a date, but is none
        raise UsageError(f"{path}: not YAML ({reason_of(error)})") from error
    entries = said.get("rooms") if isinstance(said, dict) and set(said) == {"rooms"} else None
    if not isinstance(entries, list):
        raise UsageError(f"{path}: holds no list of rooms; begin it with `rooms:`, then one `- id: …` per room")
    found: dict[str, RoomSpec] = {}
    for number, entry in enumerate(entries, start=1):
        spec = _parse_entry(f"{path}, room {number}", entry)
        if spec.id in found:
            raise UsageError(f"{path}, room {number}: {spec.id} is there twice")
        found[spec.id] = spec
    return list(found.values())


def _text_loader() -> Any:
    """A loader of YAML whose values are all texts: otherwise `id: 0123` were 83, and `language: no` were False."""
    import yaml

    merging = {"<": yaml.SafeLoader.yaml_implicit_resolvers["<"]}  # `<<: *defaults`
    return type("TextLoader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": merging})


def _parse_entry(place: str, entry: Any) -> RoomSpec:
    texts = {name: value for name, value in entry.items() if value not in _NOTHING} if isinstance(entry, dict) else {}
    if not {"id", "url"} <= set(texts) <= set(_FIELDS):
        raise UsageError(f"{place}: give id and url, and if wanted streamer, language and comments")
    for name, value in texts.items():
        if not isinstance(value, str):
            raise UsageError(f"{place}: {name} is no text")
        if not is_unicode(value):
            raise UsageError(f"{place}: {name} has half a character, {value[:40]!a}")
    try:
        host_of(texts["url"])
    except SourceError as error:
        raise UsageError(f"{place}: {error}") from error
    return RoomSpec(
        id_of(texts["id"]),
        texts["url"],
        texts.get("streamer"),
        texts.get("language"),
        texts.get("comments"),
        origin="file",
    )


class RoomsFile:
    """Follows a file: what it names is added, and what it no longer names ends."""

    def __init__(
        self, path: Path, rooms: "Rooms", check_language: Callable[[str | None], None], report: Callable[[str], None]
    ) -> None:
        """`check_language` raises UsageError for one that cannot be transcribed."""
        self._path, self._rooms, self._check_language, self._report = path, rooms, check_language, report
        self._seen: object = None
        self._unmet: list[RoomSpec] = []  # found no place, or their id is another room's
        self._told: set[str] = set()  # lines on the file as it is now
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="kuaihl-rooms-file", daemon=True)

    def start(self) -> None:
        """Read it now, and follow it. Raises UsageError if it cannot be read."""
        self._seen = self._mark()
        self._apply(read_rooms_file(self._path))
        self._thread.start()

    def stop(self) -> None:
        """Follow it no longer."""
        self._stop.set()

    def _follow(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            mark = self._mark()
            if mark == self._seen:
                self._add(self._unmet)
                continue
            self._seen = mark
            self._told.clear()
            try:
                self._apply(read_rooms_file(self._path))
            except KuaihlError as error:
                self._say(f"the rooms stay as they are: {error}")

    def _mark(self) -> object:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _apply(self, wanted: list[RoomSpec]) -> None:
        by_id = {spec.id: spec for spec in wanted}
        for spec in wanted:
            try:
                self._check_language(spec.language)
            except UsageError as error:
                self._say(f"{self._path}, {spec.id}: {error}")
                del by_id[spec.id]
        refused = {spec.id for spec in wanted} - by_id.keys()  # the room of an earlier entry stays
        for room in self._rooms.all():
            if room.spec.origin == "file" and room.spec.id not in refused and by_id.get(room.spec.id) != room.spec:
                self._rooms.remove(room.spec.id)
        self._add(list(by_id.values()))

    def _add(self, specs: list[RoomSpec]) -> None:
        self._unmet = []
        for spec in specs:
            try:
                self._rooms.add(spec)
            except KuaihlError as error:
                self._unmet.append(spec)
                self._say(f"{self._path}, {spec.id}: {error}")

    def _say(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._report(line)
