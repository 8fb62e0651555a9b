"""Texts of media, viewers and speech on one line, so that none controls or reorders what stands around it."""

_JOINERS = "\u200c\u200d"  # format characters that letters and emoji are made with


def one_line(text: str, longest: int | None = None) -> str:
    """A text with single spaces, without control and format characters, cut to `longest` characters.

    Half of a surrogate pair, as in a file's name that is not UTF-8, becomes U+FFFD.
    """
    shown = " ".join("".join(map(_shown, text)).split())
    return shown if longest is None or len(shown) <= longest else shown[: longest - 1].rstrip() + "…"


def _shown(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    if character.isspace():
        return " "
    return "\ufffd" if "\ud800" <= character <= "\udfff" else ""
